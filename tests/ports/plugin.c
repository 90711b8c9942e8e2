/* The plugin in a host that does whatever it likes:
 *   plugin rounds seed
 * Built with the plugin's source, and with sanitizers; a finding ends it. Each round is a block of any
 * size, of any samples, with any controls. A second instance has the same blocks in other cuts and other
 * buffers, and must give the same bytes. Between the two calls of getppid around each run there must be
 * no other call of the system, and no memory is asked for or given back; what traces calls can see it.
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int running;

static void *counted_alloc(size_t alignment, size_t bytes)
{
    void *memory = aligned_alloc(alignment, bytes);
    if (running || !memory)
        abort();
    memset(memory, 0xFF, bytes); /* zeros must not be relied on */
    return memory;
}

static void counted_free(void *memory)
{
    if (running)
        abort();
    free(memory);
}

#define aligned_alloc counted_alloc
#define free counted_free
#include "ladspa.c"
#undef aligned_alloc
#undef free

static uint64_t state;

static long any(long below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return below > 0 ? (long)(state >> 33) % below : 0;
}

static void fail(const char *what, long round)
{
    fprintf(stderr, "plugin: round %ld: %s\n", round, what);
    exit(1);
}

static float any_sample(int kind)
{
    static const float odd[] = {NAN, -INFINITY, INFINITY, 1e-40f, -1e-45f, 1e30f, -999, 1001, 0, -0.0f};
    return kind == 0 ? 0 : kind == 1 && !any(20) ? odd[any(10)] : kind == 2 ? odd[any(10)]
        : (float)any(2001) / 1000 - 1;
}

static float any_control(int port)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f, -1, 0.5f, 1e9f, -1e9f};
    float range = port == EDGE ? 24001 : port == HIGHS ? 73 : 2, first = port == HIGHS ? -60 : 0;
    return !any(10) ? odd[any(8)] : !any(3) ? 0 : first + (float)any((long)range);
}

static void run_block(const ladspa_plugin *d, void *instance, float **x, float **y, long at, long count)
{
    for (unsigned long c = 0; AUDIO + 2 * c < d->port_count; c++) {
        d->connect_port(instance, AUDIO + 2 * c, x[c] + at);
        d->connect_port(instance, AUDIO + 2 * c + 1, y[c] + at);
    }
    getppid();
    running = 1;
    d->run(instance, (unsigned long)count);
    running = 0;
    getppid();
}

/* As many blocks as that at one rate. */
static void session(long rounds, unsigned long rate)
{
    const ladspa_plugin *d = ladspa_descriptor((unsigned long)any(2));
    void *instances[2] = {d->instantiate(d, rate), d->instantiate(d, rate)};
    float controls[2][AUDIO] = {{0}};
    int channels = (int)(d->port_count - AUDIO) / 2;
    if (!instances[0] || !instances[1])
        fail("a rate is not taken", (long)rate);
    for (int i = 0; i < 2; i++) {
        for (unsigned long port = 0; port < AUDIO; port++)
            d->connect_port(instances[i], port, &controls[i][port]);
        d->activate(instances[i]);
    }
    while (rounds--) {
        long count = any(30) ? any(any(4) ? 100 : 1000) : any(8193);
        int kind = (int)any(8);
        float *x[STEREO], *same[STEREO], *y[STEREO]; /* in memory that ends where they do */
        for (int c = 0; c < channels; c++) {
            x[c] = malloc(sizeof(float) * (size_t)(count + 1)), x[c]++;
            same[c] = malloc(sizeof(float) * (size_t)(count + 1)), same[c]++;
            y[c] = malloc(sizeof(float) * (size_t)(count + 1)), y[c]++;
            for (long i = 0; i < count; i++)
                x[c][i] = same[c][i] = any_sample(kind);
        }
        if (!any(5)) {
            int port = (int)any(LATENCY);
            controls[0][port] = controls[1][port] = any_control(port);
        }
        if (!any(500))
            for (int i = 0; i < 2; i++)
                d->activate(instances[i]);
        run_block(d, instances[0], same, same, 0, count);
        for (long at = 0, some; at < count; at += some) {
            some = 1 + any(any(2) ? 64 : count);
            some = some < count - at ? some : count - at;
            run_block(d, instances[1], x, y, at, some);
        }
        if (count && controls[0][LATENCY] != controls[1][LATENCY])
            fail("latencies differ", rounds);
        for (int c = 0; c < channels; c++) {
            for (long i = 0; i < count; i++)
                if (!isfinite(same[c][i]))
                    fail("an output that is no number", rounds);
            if (count && memcmp(same[c], y[c], sizeof(float) * (size_t)count))
                fail("other cuts give other bytes", rounds);
            free(x[c] - 1), free(same[c] - 1), free(y[c] - 1);
        }
    }
    for (int i = 0; i < 2; i++)
        d->cleanup(instances[i]);
}

int main(int argc, char **argv)
{
    static const unsigned long rates[] = {48000, 44100, 16000, 8000, 96000, 192000, 48000, 22050, 32000, 11025, 12345};
    if (argc != 3)
        return 2;
    state = strtoull(argv[2], 0, 10);
    for (long rounds = atol(argv[1]), some; rounds > 0; rounds -= some) {
        some = rounds < 1000 ? rounds : 1000;
        session(some, rates[any(11)]);
    }
    return 0;
}
