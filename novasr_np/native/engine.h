/* Speech super-resolution: speech in, 48 kHz out, piece by piece, while it is spoken.
 *
 * airband makes what is missing above the edge of speech at 4 to 48 kHz, airband-live the same with
 * little delay, NovaSR of speech at 16 kHz. This program reads float32 samples at 16 kHz and writes
 * them at 48 kHz, 10 ms at a time:
 *
 *     #include <stdio.h>
 *     #include <stdlib.h>
 *     #include "engine.h"
 *
 *     static unsigned char weights[1 << 20];
 *
 *     int main(int argc, char **argv)
 *     {
 *         FILE *file = fopen(argv[argc - 1], "rb"); // airband-live-2.safetensors
 *         size_t size = file ? fread(weights, 1, sizeof weights, file) : 0;
 *         void *memory = aligned_alloc(64, novasr_model_bytes(novasr_kind(weights, size)));
 *         const novasr_model *model = novasr_load(memory, weights, size, 16000);
 *         if (!model)
 *             return 1;
 *         novasr_state *state = novasr_begin(aligned_alloc(64, novasr_state_bytes(model)), model);
 *         void *work = aligned_alloc(64, novasr_work_bytes(model));
 *         float x[160], *y = malloc(sizeof *y * (size_t)novasr_room(model, 160));
 *         for (size_t count = 160; count == 160;) {
 *             count = fread(x, sizeof *x, 160, stdin);
 *             long made = novasr_push(state, work, x, (long)count, count < 160, y);
 *             fwrite(y, sizeof *y, (size_t)made, stdout);
 *         }
 *         return 0;
 *     }
 *
 * Compile engine.c, which includes the rest, as C11 with GCC or Clang, -O3 and the flag for your
 * processors, such as -march=x86-64-v3. It allocates nothing, and of C's library it needs memcpy, memmove
 * and memset alone.
 *
 * Memory. A model is weights prepared for one sampling rate; it is never written after loading, and
 * threads may share it. A state is one channel of a signal. Work is memory that a push uses and leaves
 * behind as rubbish: a thread needs one, for all its channels. The caller gives all three, aligned to
 * 64 bytes; the sizes are multiples of 64. Nothing is to be freed inside. There is no global state.
 *
 * Signals. Samples are float32 within [-1, 1]; louder ones are no error. T samples at `rate` Hz give
 * ceil(48000 T / rate) outputs in all, the same bytes whatever the pieces. A push does the work of
 * the samples that it brings and no other: airband works 200 times a second, NovaSR each time. Only
 * the last push has more to do, by as much as the latency. Denormal numbers count as zero inside a
 * push, on x86 and ARM.
 */
#ifndef NOVASR_ENGINE_H
#define NOVASR_ENGINE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined NOVASR_API /* by who builds it into something else */
#elif defined __GNUC__
#define NOVASR_API __attribute__((visibility("default")))
#else
#define NOVASR_API
#endif

typedef struct novasr_model novasr_model;
typedef struct novasr_state novasr_state;

enum {
    NOVASR_NONE = 0, /* no network that is known, or weights that are not whole */
    NOVASR_NOVASR = 1,
    NOVASR_AIRBAND = 2,
    NOVASR_AIRBAND_LIVE = 3
};

/* The network that weights are for: a safetensors file of `size` bytes, F16 or F32, or I8 with scales
 * beside it. Every offset and shape in it is checked; bytes that are no such file give NOVASR_NONE. */
NOVASR_API int novasr_kind(const unsigned char *weights, size_t size);

/* Whether a network of this kind takes input at `rate` Hz: NovaSR at 16000 only, airband at any
 * multiple of 200 from 4000 to 48000. Other sounds have to be resampled before, for airband to 48000
 * by a steep filter. Rates whose fiftieth has no prime factors but 2, 3 and 5, as usual ones have, are
 * the quickest. */
NOVASR_API int novasr_takes(int kind, int rate);

/* Bytes of a model of this kind; 0 for NOVASR_NONE. */
NOVASR_API size_t novasr_model_bytes(int kind);

/* Prepare weights for input at `rate` Hz. NULL, and nothing written, for weights or a rate that are
 * not taken, and for memory that is NULL or not aligned. The weights are not needed afterwards. */
NOVASR_API const novasr_model *novasr_load(void *memory, const unsigned char *weights, size_t size, int rate);

/* Bytes of a state of this model, and of the work of a push. */
NOVASR_API size_t novasr_state_bytes(const novasr_model *model);
NOVASR_API size_t novasr_work_bytes(const novasr_model *model);

/* Input samples that must follow one before all outputs of it can be given; for some, fewer do. */
NOVASR_API long novasr_latency(const novasr_model *model);

/* How many outputs a push of `count` samples gives at most. */
NOVASR_API long novasr_room(const novasr_model *model, long count);

/* Begin a signal, whose edge is half the rate and whose gain is 1. NULL for memory that is NULL or not
 * aligned. */
NOVASR_API novasr_state *novasr_begin(void *memory, const novasr_model *model);

/* Begin another signal with the same edge and gain, whatever has been pushed before. */
NOVASR_API void novasr_reset(novasr_state *state);

/* airband: where the sound ends, in Hz, rounded to a multiple of 50, halves to an even one: what lies
 * below stays, what is above is made. At least 2000, at most half the rate, and 0 for that. It holds from the next frame on, whose
 * first sample came at most 20 ms ago. */
NOVASR_API void novasr_edge(novasr_state *state, int edge);

/* airband: factor of what is made above the edge; 0 and below for nothing. It holds for the frames that
 * are given from now on, and is faded to over 20 ms. */
NOVASR_API void novasr_gain(novasr_state *state, float gain);

/* Take x[count], count >= 0, and write the outputs that are determined now to y, which must not overlap
 * x; give how many. last: nothing follows, and all that is missing is written; the next push begins
 * another signal. */
NOVASR_API long novasr_push(novasr_state *state, void *work, const float *x, long count, int last, float *y);

#ifdef __cplusplus
}
#endif

#endif
