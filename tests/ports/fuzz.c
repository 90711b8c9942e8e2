/* Random signals at random rates in random pieces, and weights with bytes changed, cut off or made up:
 *   fuzz weights.safetensors rounds seed
 * Built with sanitizers; a finding ends it. All pieces have to give what one block after another
 * gives. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

enum { LONGEST = 12000 };

static unsigned long long state;

static unsigned long any(unsigned long below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return below ? (unsigned long)(state >> 33) % below : 0;
}

/* Each piece in memory of its own, so that a sample too far is noticed. */
static long push(void *engine, int kind, int rate, const float *x, long count, int last, float *y)
{
    size_t room = (size_t)novasr_room(kind, rate, count);
    float *in = malloc(count ? sizeof *in * (size_t)count : 1), *out = malloc(sizeof *out * room);
    memcpy(in, x, sizeof *in * (size_t)count);
    long made = novasr_push(engine, in, count, last, out);
    memcpy(y, out, sizeof *y * (size_t)made);
    free(in), free(out);
    return made;
}

static long run(void *engine, int kind, int rate, const float *x, long samples, int random, float *y)
{
    long made = 0;
    novasr_reset(engine);
    for (long at = 0, last = 0; !last;) {
        long left = samples - at, most = left < NOVASR_BLOCK ? left : NOVASR_BLOCK;
        long count = random ? (long)any((unsigned long)(any(2) ? most : most < 200 ? most : 200) + 1) : most;
        last = count == left && (!random || any(2));
        made += push(engine, kind, rate, x + at, count, (int)last, y + made);
        at += count;
    }
    return made;
}

static void signals(const unsigned char *weights, unsigned long size)
{
    static const int rates[] = {16000, 4000, 8000, 16200, 44200, 48000};
    static float x[LONGEST], a[12 * LONGEST + 9], b[12 * LONGEST + 9];
    static void *engine;
    int kind = novasr_kind(weights, size), rate = rates[kind == NOVASR_NOVASR ? 0 : any(6)];
    if (!engine)
        engine = aligned_alloc(64, (novasr_memory(kind) + 63) / 64 * 64);
    novasr_open(engine, weights, size, rate, (int)any(2) * (int)any(500));
    long samples = (long)any(any(20) ? 120 : LONGEST), outputs = (samples * 48000L + rate - 1) / rate;
    for (long i = 0; i < samples; i++)
        x[i] = any(50) ? (float)any(2001) / 1000 - 1 : (float)any(9) * 1e30f;
    if (samples && any(3) == 0) {
        long first = (long)any((unsigned long)samples);
        memset(x + first, 0, sizeof *x * any((unsigned long)(samples - first)));
    }
    long one = run(engine, kind, rate, x, samples, 0, a), two = run(engine, kind, rate, x, samples, 1, b);
    if (one != outputs || two != one || memcmp(a, b, sizeof *a * (size_t)one)) {
        fprintf(stderr, "%ld samples at %d Hz: %ld and %ld outputs, or other ones\n", samples, rate, one, two);
        exit(1);
    }
}

static void hostile(const unsigned char *weights, unsigned long size)
{
    unsigned long cut = any(3) ? size : any(any(2) ? 64 : size + 1);
    unsigned char *bytes = malloc(cut ? cut : 1);
    memcpy(bytes, weights, cut);
    unsigned long header = cut > 3000 ? 3000 : cut;
    for (unsigned long changes = any(8); cut && changes; changes--)
        bytes[any(4) ? any(header) : any(cut)] = (unsigned char)(any(2) ? any(256) : (unsigned long)"{}[]\":,0123456789F"[any(18)]);
    int kind = novasr_kind(bytes, cut);
    if (kind) {
        void *engine = aligned_alloc(64, (novasr_memory(kind) + 63) / 64 * 64);
        float x[100] = {1}, *y = malloc(sizeof *y * (size_t)novasr_room(kind, 16000, 100));
        novasr_open(engine, bytes, cut, 16000, 0);
        novasr_push(engine, x, 100, 1, y);
        free(engine), free(y);
    }
    free(bytes);
}

int main(int argc, char **argv)
{
    static unsigned char weights[1 << 20];
    FILE *f = argc == 4 ? fopen(argv[1], "rb") : 0;
    if (!f)
        return 2;
    unsigned long size = fread(weights, 1, sizeof weights, f);
    fclose(f);
    state = strtoull(argv[3], 0, 10);
    for (long rounds = atol(argv[2]); rounds > 0; rounds--)
        (rounds % 2 ? signals : hostile)(weights, size);
    return 0;
}
