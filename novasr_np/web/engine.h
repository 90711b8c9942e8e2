/* NovaSR and airband: speech at 16 kHz in, 48 kHz out, piece by piece, exactly.
 *
 * No library, no allocation, no global state: the caller gives the memory. An engine is one channel.
 * What comes out in all has three samples for each that went in, and is what the whole signal at
 * once would give, whatever the pieces.
 */
#ifndef NOVASR_ENGINE_H
#define NOVASR_ENGINE_H

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __wasm__
#define NOVASR_API __attribute__((visibility("default")))
#else
#define NOVASR_API
#endif

enum {
    NOVASR_BLOCK = 1600, /* input samples of a push, at most: 0.1 s */
    NOVASR_NONE = 0,     /* no network that is known, or weights that are not whole */
    NOVASR_NOVASR = 1,
    NOVASR_AIRBAND = 2,
    NOVASR_AIRBAND_LIVE = 3
};

/* Which network weights are for: a safetensors file of `size` bytes, F16 or F32. Every offset and
 * shape in it is checked; bytes that are no such file give NOVASR_NONE. */
NOVASR_API int novasr_kind(const unsigned char *weights, unsigned long size);

/* Bytes of memory that an engine of this kind needs; it has to be aligned to 64. */
NOVASR_API unsigned long novasr_memory(int kind);

/* Fold the weights into `memory` and begin a signal. Gives the kind, or NOVASR_NONE. The weights
 * are not needed afterwards. */
NOVASR_API int novasr_open(void *memory, const unsigned char *weights, unsigned long size);

/* Begin another signal with the same weights. */
NOVASR_API void novasr_reset(void *memory);

/* Input samples that must follow one before its outputs can be given. */
NOVASR_API long novasr_latency(int kind);

/* Take x[count], 0 <= count <= NOVASR_BLOCK, and write the outputs that are determined now to y; give
 * how many. Never more than 3 * (count + novasr_latency + 160). last: nothing follows, and all that
 * is missing is written; then reset before the next push. */
NOVASR_API long novasr_push(void *memory, const float *x, long count, int last, float *y);

#ifdef __cplusplus
}
#endif

#endif
