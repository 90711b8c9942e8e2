/* The engine as a program:  native weights.safetensors rate edge piece input.f32 output.f32
 * rate and edge in Hz, edge 0 for half the rate; piece: samples that are pushed at a time. Both
 * signals are raw float32 in the machine's byte order. */
#include <stdio.h>
#include <stdlib.h>

#include "engine.h"

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

int main(int argc, char **argv)
{
    long size, bytes;
    if (argc != 7)
        die("wants weights.safetensors rate edge piece input.f32 output.f32", "arguments");
    int rate = atoi(argv[2]), piece = atoi(argv[4]);
    unsigned char *weights = read_all(argv[1], &size);
    float *x = (float *)read_all(argv[5], &bytes);
    int kind = novasr_kind(weights, (size_t)size);
    if (!kind)
        die("no weights of NovaSR or airband", argv[1]);
    if (!novasr_takes(kind, rate))
        die("no rate of this network", argv[2]);
    if (piece < 1)
        die("no piece that can be pushed", argv[4]);
    void *memory = aligned_alloc(64, novasr_model_bytes(kind));
    const novasr_model *model = novasr_load(memory, weights, (size_t)size, rate);
    if (!model)
        die("out of memory", argv[1]);
    void *own = aligned_alloc(64, novasr_state_bytes(model)), *work = aligned_alloc(64, novasr_work_bytes(model));
    float *y = malloc(sizeof *y * (size_t)novasr_room(model, piece));
    FILE *f = fopen(argv[6], "wb");
    novasr_state *state = novasr_begin(own, model);
    if (!state || !work || !y || !f)
        die("cannot be written, or out of memory", argv[6]);
    novasr_edge(state, atoi(argv[3]));
    for (long at = 0, samples = bytes / 4, last = 0; !last; at += piece) {
        long count = samples - at < piece ? samples - at : piece;
        last = at + count == samples;
        long made = novasr_push(state, work, x + at, count, (int)last, y);
        if (fwrite(y, sizeof *y, (size_t)made, f) != (size_t)made)
            die("cannot be written", argv[6]);
    }
    if (fclose(f))
        die("cannot be written", argv[6]);
    free(weights), free(x), free(y), free(memory), free(own), free(work);
    return 0;
}
