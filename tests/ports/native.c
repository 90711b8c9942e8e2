/* The engine as a program:  native weights.safetensors rate edge piece input.f32 output.f32
 * rate and edge in Hz, edge 0 for half the rate; piece: samples that are pushed at a time. Both
 * signals are raw float32 in the machine's byte order. A sound at a rate that the network does not
 * take is resampled before. */
#include <stdio.h>
#include <stdlib.h>

#include "rates.h"

static int die(const char *what, const char *name)
{
    fprintf(stderr, "native: %s: %s\n", name, what);
    exit(1);
}

static unsigned char *read_all(const char *name, long *size)
{
    FILE *f = fopen(name, "rb");
    unsigned char *data;
    if (!f || fseek(f, 0, SEEK_END) || (*size = ftell(f)) < 0)
        die("cannot be opened", name);
    rewind(f);
    if (!(data = malloc((size_t)*size + 1)) || fread(data, 1, (size_t)*size, f) != (size_t)*size)
        die("cannot be read", name);
    fclose(f);
    return data;
}

static void *memory(size_t bytes, const char *what)
{
    void *at = bytes ? aligned_alloc(64, (bytes + 63) / 64 * 64) : 0;
    if (!at)
        die("no such rate, or out of memory", what);
    return at;
}

/* x[count] at the rate that the network takes, in the place of x; gives how many there are now. */
static long resample(int kind, const char *told, int *rate, int *edge, float **x, long count)
{
    int design = kind == NOVASR_NOVASR ? NOVASR_UPSTREAM : NOVASR_STEEP, to = kind == NOVASR_NOVASR ? 16000 : 48000;
    void *table = memory(novasr_filter_bytes(design, 0, *rate, to), told);
    const novasr_filter *filter = novasr_filter_make(table, design, 0, *rate, to);
    novasr_filter_state *state = novasr_filter_begin(memory(novasr_filter_state_bytes(filter), told), filter);
    float *y = memory(sizeof *y * (size_t)novasr_filter_room(filter, count), told);
    if (*rate < to && (!*edge || *edge > novasr_filter_passes(filter)))
        *edge = (int)novasr_filter_passes(filter);
    count = novasr_filter_push(state, *x, count, 1, y);
    free(table), free(state), free(*x);
    *x = y, *rate = to;
    return count;
}

int main(int argc, char **argv)
{
    long size, bytes;
    if (argc != 7)
        die("wants weights.safetensors rate edge piece input.f32 output.f32", "arguments");
    int rate = atoi(argv[2]), edge = atoi(argv[3]), piece = atoi(argv[4]);
    unsigned char *weights = read_all(argv[1], &size);
    float *x = (float *)read_all(argv[5], &bytes);
    int kind = novasr_kind(weights, (size_t)size);
    if (!kind)
        die("no weights of NovaSR or airband", argv[1]);
    if (piece < 1)
        die("no piece that can be pushed", argv[4]);
    long samples = bytes / 4, due = (long)((48000LL * samples + rate - 1) / (rate > 0 ? rate : 1));
    if (!novasr_takes(kind, rate))
        samples = resample(kind, argv[2], &rate, &edge, &x, samples);
    void *folded = memory(novasr_model_bytes(kind), argv[1]);
    const novasr_model *model = novasr_load(folded, weights, (size_t)size, rate);
    void *work = memory(novasr_work_bytes(model), argv[1]);
    novasr_state *state = novasr_begin(memory(novasr_state_bytes(model), argv[1]), model);
    float *y = memory(sizeof *y * (size_t)novasr_room(model, piece), argv[4]);
    FILE *f = fopen(argv[6], "wb");
    if (!f)
        die("cannot be written", argv[6]);
    novasr_edge(state, edge);
    for (long at = 0, last = 0; !last; at += piece) {
        long count = samples - at < piece ? samples - at : piece;
        last = at + count == samples;
        long made = novasr_push(state, work, x + at, count, (int)last, y);
        made = made < due ? made : due; /* NovaSR gives three for each that was resampled */
        due -= made;
        if (fwrite(y, sizeof *y, (size_t)made, f) != (size_t)made)
            die("cannot be written", argv[6]);
    }
    if (fclose(f))
        die("cannot be written", argv[6]);
    free(weights), free(x), free(y), free(folded), free(state), free(work);
    return 0;
}
