/* NovaSR and airband: speech in, 48 kHz out, piece by piece, exactly.
 *
 * No library, no allocation, no global state: the caller gives the memory. An engine is one channel.
 * T samples at `rate` Hz give ceil(48000 T / rate) in all, those that the whole signal at once would
 * give, whatever the pieces.
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
    NOVASR_BLOCK = 4800, /* input samples of a push, at most */
    NOVASR_NONE = 0,     /* no network that is known, or weights that are not whole */
    NOVASR_NOVASR = 1,
    NOVASR_AIRBAND = 2,
    NOVASR_AIRBAND_LIVE = 3
};

/* Which network weights are for: a safetensors file of `size` bytes, F16 or F32. Every offset and
 * shape in it is checked; bytes that are no such file give NOVASR_NONE. */
NOVASR_API int novasr_kind(const unsigned char *weights, unsigned long size);

/* Whether a network of this kind takes input at `rate` Hz: NovaSR at 16000 only, airband at any
 * multiple of 200 from 4000 to 48000. Other sounds have to be resampled before, for airband to 48000
 * by a steep filter. Rates whose fiftieth has no prime factors but 2, 3 and 5, as usual ones have, are
 * the quickest. */
NOVASR_API int novasr_takes(int kind, int rate);

/* Bytes of memory that an engine of this kind needs; it has to be aligned to 64. */
NOVASR_API unsigned long novasr_memory(int kind);

/* Fold the weights into `memory` and begin a signal. rate: as novasr_takes has it. edge: as for
 * novasr_edge. Gives the kind, or NOVASR_NONE for weights or a rate that it does not take. The weights
 * are not needed afterwards. */
NOVASR_API int novasr_open(void *memory, const unsigned char *weights, unsigned long size, int rate, int edge);

/* Where the sound ends, in bins of 50 Hz: what lies below `edge` stays, what is above is made. At
 * least 40, at most half the rate; 0 for that. It holds from the next frame on, whose first sample
 * came at most 20 ms ago. NovaSR needs none. */
NOVASR_API void novasr_edge(void *memory, int edge);

/* Begin another signal with the same weights, rate and edge. */
NOVASR_API void novasr_reset(void *memory);

/* Input samples that must follow one before its outputs can be given; fewer do for some. */
NOVASR_API long novasr_latency(int kind, int rate);

/* How many outputs a push of `count` samples gives at most. */
NOVASR_API long novasr_room(int kind, int rate, long count);

/* Take x[count], 0 <= count <= NOVASR_BLOCK, and write the outputs that are determined now to y; give
 * how many. last: nothing follows, and all that is missing is written; then reset before the next
 * push. */
NOVASR_API long novasr_push(void *memory, const float *x, long count, int last, float *y);

#ifdef __cplusplus
}
#endif

#endif
