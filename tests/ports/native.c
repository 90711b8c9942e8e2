/* The engine as a program:  native weights.safetensors input.f32 output.f32
 * Both signals are raw float32 in the machine's byte order. */
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
    if (argc != 4)
        die("wants weights.safetensors input.f32 output.f32", "arguments");
    unsigned char *weights = read_all(argv[1], &size);
    float *x = (float *)read_all(argv[2], &bytes);
    int kind = novasr_kind(weights, (unsigned long)size);
    if (!kind)
        die("no weights of NovaSR or airband", argv[1]);
    void *engine = aligned_alloc(64, (novasr_memory(kind) + 63) / 64 * 64);
    float *y = malloc(sizeof *y * 3 * (NOVASR_BLOCK + (size_t)novasr_latency(kind) + 160));
    FILE *f = fopen(argv[3], "wb");
    if (!engine || !y || !f)
        die("cannot be written, or out of memory", argv[3]);
    novasr_open(engine, weights, (unsigned long)size);
    for (long at = 0, samples = bytes / 4, last = 0; !last; at += NOVASR_BLOCK) {
        long count = samples - at < NOVASR_BLOCK ? samples - at : NOVASR_BLOCK;
        last = at + count == samples;
        long made = novasr_push(engine, x + at, count, (int)last, y);
        if (fwrite(y, sizeof *y, (size_t)made, f) != (size_t)made)
            die("cannot be written", argv[3]);
    }
    if (fclose(f))
        die("cannot be written", argv[3]);
    free(weights), free(x), free(y), free(engine);
    return 0;
}
