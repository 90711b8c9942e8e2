/* Random signals at random rates in random pieces, and weights with bytes changed, cut off or made up:
 *   fuzz weights.safetensors rounds seed
 * Built with sanitizers; a finding ends it. All pieces have to give what one block after another
 * gives, and a model has to stay as it was loaded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

enum { LONGEST = 12000, BLOCK = 4800 };

typedef struct {
    void *memory, *own, *work;
    const novasr_model *model; /* null if it takes no such weights or rate */
    novasr_state *state;
} Engine;

static unsigned long long drawn;

static unsigned long any(unsigned long below)
{
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return below ? (unsigned long)(drawn >> 33) % below : 0;
}

static void *rubbish(size_t size) /* zeros must not be relied on */
{
    void *memory = aligned_alloc(64, size);
    return memset(memory, 255, size);
}

static Engine opened(const unsigned char *weights, size_t size, int rate)
{
    Engine e = {rubbish(novasr_model_bytes(novasr_kind(weights, size))), 0, 0, 0, 0};
    e.model = novasr_load(e.memory, weights, size, rate);
    if (e.model) {
        e.own = rubbish(novasr_state_bytes(e.model)), e.work = rubbish(novasr_work_bytes(e.model));
        e.state = novasr_begin(e.own, e.model);
    }
    return e;
}

static void closed(Engine e)
{
    free(e.memory), free(e.own), free(e.work);
}

/* Each piece in memory of its own, so that a sample too far is noticed. */
static long push(Engine e, const float *x, long count, int last, float *y)
{
    size_t room = (size_t)novasr_room(e.model, count);
    float *in = malloc(count ? sizeof *in * (size_t)count : 1), *out = malloc(sizeof *out * room);
    memcpy(in, x, sizeof *in * (size_t)count);
    long made = novasr_push(e.state, e.work, in, count, last, out);
    memcpy(y, out, sizeof *y * (size_t)made);
    free(in), free(out);
    return made;
}

static long run(Engine e, const float *x, long samples, int random, float *y)
{
    long made = 0;
    novasr_reset(e.state);
    for (long at = 0, last = 0; !last;) {
        long left = samples - at, most = random || left < BLOCK ? left : BLOCK;
        long count = random ? (long)any((unsigned long)(any(2) ? most : most < 200 ? most : 200) + 1) : most;
        last = count == left && (!random || any(2));
        made += push(e, x + at, count, (int)last, y + made);
        at += count;
        if (random) /* nothing may be kept in it */
            memset(e.work, (int)any(256), novasr_work_bytes(e.model));
    }
    return made;
}

static void signals(const unsigned char *weights, size_t size)
{
    static const int rates[] = {16000, 4000, 8000, 16200, 44200, 48000};
    static float x[LONGEST], a[12 * LONGEST + 9], b[12 * LONGEST + 9];
    int kind = novasr_kind(weights, size), rate = rates[kind == NOVASR_NOVASR ? 0 : any(6)];
    Engine e = opened(weights, size, rate);
    unsigned char *before = malloc(novasr_model_bytes(kind));
    memcpy(before, e.memory, novasr_model_bytes(kind));
    novasr_edge(e.state, (int)any(2) * (int)any(25000));
    novasr_gain(e.state, (float)any(3) / 2);
    long samples = (long)any(any(20) ? 120 : LONGEST), outputs = (samples * 48000L + rate - 1) / rate;
    for (long i = 0; i < samples; i++)
        x[i] = any(50) ? (float)any(2001) / 1000 - 1 : (float)any(9) * 1e30f;
    if (samples && any(3) == 0) {
        long first = (long)any((unsigned long)samples);
        memset(x + first, 0, sizeof *x * any((unsigned long)(samples - first)));
    }
    long one = run(e, x, samples, 0, a), two = run(e, x, samples, 1, b);
    if (one != outputs || two != one || memcmp(a, b, sizeof *a * (size_t)one)
        || memcmp(before, e.memory, novasr_model_bytes(kind))) {
        fprintf(stderr, "%ld samples at %d Hz: %ld and %ld outputs, or other ones, or another model\n", samples, rate, one, two);
        exit(1);
    }
    free(before), closed(e);
}

static void hostile(const unsigned char *weights, size_t size)
{
    size_t cut = any(3) ? size : any(any(2) ? 64 : size + 1);
    unsigned char *bytes = malloc(cut ? cut : 1);
    memcpy(bytes, weights, cut);
    size_t header = cut > 3000 ? 3000 : cut;
    for (unsigned long changes = any(8); cut && changes; changes--)
        bytes[any(4) ? any(header) : any(cut)] = (unsigned char)(any(2) ? any(256) : (unsigned long)"{}[]\":,0123456789FI"[any(19)]);
    Engine e = opened(bytes, cut, 16000);
    free(bytes); /* they are not needed afterwards */
    if (e.model) {
        float x[100] = {1}, *y = malloc(sizeof *y * (size_t)novasr_room(e.model, 100));
        novasr_push(e.state, e.work, x, 100, 1, y);
        free(y);
    }
    closed(e);
}

int main(int argc, char **argv)
{
    static unsigned char weights[1 << 20];
    FILE *f = argc == 4 ? fopen(argv[1], "rb") : 0;
    if (!f)
        return 2;
    size_t size = fread(weights, 1, sizeof weights, f);
    fclose(f);
    drawn = strtoull(argv[3], 0, 10);
    for (long rounds = atol(argv[2]); rounds > 0; rounds--)
        (rounds % 2 ? signals : hostile)(weights, size);
    return 0;
}
