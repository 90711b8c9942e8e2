/* Bytes that the engine needs on this processor:  sizes weights.safetensors rate
 * Writes those of a model, of a state and of the work of a push. */
#include <stdio.h>
#include <stdlib.h>

#include "engine.h"

int main(int argc, char **argv)
{
    static unsigned char weights[1 << 20];
    FILE *f = argc == 3 ? fopen(argv[1], "rb") : 0;
    if (!f)
        return 2;
    size_t size = fread(weights, 1, sizeof weights, f), bytes = novasr_model_bytes(novasr_kind(weights, size));
    const novasr_model *model = novasr_load(aligned_alloc(64, bytes), weights, size, atoi(argv[2]));
    fclose(f);
    if (!model)
        return 1;
    printf("%zu %zu %zu\n", bytes, novasr_state_bytes(model), novasr_work_bytes(model));
    return 0;
}
