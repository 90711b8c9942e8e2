/* Filters, crossovers and edges at random rates, of random signals in random pieces:
 *   fuzz_rates rounds seed
 * Built with sanitizers; a finding ends it. All pieces have to give what the whole sound gives. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rates.h"

enum { LONGEST = 12000, MOST = 50 * LONGEST };

static unsigned long long state;
static float x[LONGEST], y[2][MOST];

static long any(long below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return below > 0 ? (long)(state >> 33) % below : 0;
}

static int any_rate(void)
{
    static const int rates[] = {8000, 11025, 16000, 22050, 24000, 44100, 48000, 96000, 192000};
    return any(4) ? rates[any(9)] : 1000 * (int)(1 + any(200));
}

static void *rubbish(size_t bytes) /* zeros must not be relied on */
{
    return memset(aligned_alloc(64, bytes), 255, bytes);
}

/* Memory of exactly that size, so that a sample too far is noticed. */
static float *copied(const float *from, long count)
{
    float *to = malloc(count ? sizeof *to * (size_t)count : 1);
    memcpy(to, from, sizeof *to * (size_t)count);
    return to;
}

static float *room_for(long count)
{
    return malloc(sizeof(float) * (size_t)count);
}

static void fail(const char *what, int rate)
{
    fprintf(stderr, "%s at %d Hz\n", what, rate);
    exit(1);
}

static long some(long left)
{
    return any(left < 100 || any(2) ? left + 1 : 100);
}

static void filters(long samples)
{
    int design = 1 + (int)any(3), rate = any_rate(), new_rate = any_rate();
    double hertz = (double)any(rate < new_rate ? rate : new_rate) / 2;
    size_t bytes = novasr_filter_bytes(design, hertz, rate, new_rate);
    long outputs = (long)(((long long)samples * new_rate + rate - 1) / rate), made[2] = {0};
    if (!bytes || bytes > 20000000 || outputs > MOST)
        return;
    const novasr_filter *filter = novasr_filter_make(rubbish(bytes), design, hertz, rate, new_rate);
    novasr_filter_state *state = novasr_filter_begin(rubbish(novasr_filter_state_bytes(filter)), filter);
    for (int run = 0; run < 2; run++) {
        if (any(2)) {
            novasr_filter_push(state, x, any(samples), 0, y[0]);
            novasr_filter_reset(state);
        }
        for (long at = 0, last = 0; !last;) {
            long count = run ? some(samples - at) : samples - at;
            last = at + count == samples && (!run || any(2));
            float *in = copied(x + at, count), *out = room_for(novasr_filter_room(filter, count));
            long now = novasr_filter_push(state, in, count, (int)last, out);
            memcpy(y[run] + made[run], out, sizeof *out * (size_t)now);
            made[run] += now, at += count;
            free(in), free(out);
        }
    }
    if (made[0] != outputs || made[1] != outputs || memcmp(y[0], y[1], sizeof **y * (size_t)outputs))
        fail("other outputs of a filter", rate);
    free((void *)filter), free(state);
}

static void crossovers(long samples)
{
    int rate = any_rate();
    double hertz = novasr_crossover_highest(rate, 48000, any(2) ? 0 : (double)(100 + any(rate / 2)));
    size_t bytes = novasr_crossover_bytes(hertz, rate, 48000);
    long outputs = (long)((samples * 48000LL + rate - 1) / rate), made[2] = {0}, late = any(3000);
    if (!bytes || bytes > 20000000 || outputs > LONGEST)
        return;
    const novasr_crossover *crossover = novasr_crossover_make(rubbish(bytes), hertz, rate, 48000);
    for (int run = 0; run < 2; run++) {
        long ahead = run ? late * rate / 48000 + 200 : samples, given = 0;
        void *memory = rubbish(novasr_crossover_state_bytes(crossover, ahead));
        novasr_crossover_state *state = novasr_crossover_begin(memory, crossover, ahead);
        for (long at = 0, last = 0; !last;) {
            long count = run ? any(samples - at < 100 ? samples - at + 1 : 100) : samples - at;
            last = at + count == samples;
            at += count;
            long there = last ? outputs : at * 48000LL / rate - late;
            there = there < given ? given : there;
            float *in = copied(x + at - count, count), *network = copied(x + given, there - given);
            float *out = room_for(novasr_crossover_room(state, there - given));
            long now = novasr_crossover_push(state, in, count, network, there - given, 1, (int)last, out);
            if (now < 0)
                fail("too far ahead", rate);
            memcpy(y[run] + made[run], out, sizeof *out * (size_t)now);
            made[run] += now, given = there;
            free(in), free(network), free(out);
        }
        free(memory);
    }
    if (made[0] != outputs || made[1] != outputs || memcmp(y[0], y[1], sizeof **y * (size_t)outputs))
        fail("other outputs of a crossover", rate);
    free((void *)crossover);
}

static void edges(long samples)
{
    int rate = any_rate(), channels = 1 + (int)any(5);
    double found[2];
    for (int run = 0; run < 2; run++) {
        novasr_band *band = novasr_band_begin(rubbish(novasr_band_bytes(rate, channels)), rate, channels);
        for (int c = 0; c < channels; c++)
            for (long at = 0, count; at < samples; at += count) {
                count = run ? any(samples - at + 1) : samples - at;
                float *in = copied(x + at, count);
                novasr_band_push(band, c, in, count);
                free(in);
            }
        found[run] = novasr_band_edge(band);
        free(band);
    }
    if (found[0] < found[1] || found[0] > found[1])
        fail("other edges", rate);
}

static void followed(long samples)
{
    int rate = 200 * (int)(20 + any(221)), channels = 1 + (int)any(5);
    void *memory = rubbish(novasr_follow_bytes(rate, channels));
    novasr_follow *follow = novasr_follow_begin(memory, rate, channels, (int)any(rate));
    for (long at = 0; at < samples;) {
        float *in[5];
        long count = any(samples - at + 1);
        for (int c = 0; c < channels; c++)
            in[c] = copied(x + at, count);
        at += novasr_follow_push(follow, (const float *const *)in, count);
        int edge = novasr_follow_edge(follow);
        if (edge % 50 || edge < 2000 || edge > rate / 2)
            fail("an edge outside the band", rate);
        for (int c = 0; c < channels; c++)
            free(in[c]);
    }
    free(memory);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    state = strtoull(argv[2], 0, 10);
    for (long rounds = atol(argv[1]); rounds > 0; rounds--) {
        long samples = any(any(10) ? LONGEST + 1 : 20);
        float level = any(20) ? 1 : 1e30f;
        for (long i = 0; i < samples; i++)
            x[i] = level * ((float)any(2001) / 1000 - 1);
        void (*tried[])(long) = {filters, crossovers, edges, followed};
        tried[rounds % 4](samples);
    }
    return 0;
}
