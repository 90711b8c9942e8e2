/* What stands around a network: filters from one sampling rate to another, the low band that is kept,
 * and where a sound ends. They are those of novasr_np/dsp and of networks/airband/follow.py.
 *
 * This lets airband hear 44.1 kHz:
 *
 *     size_t bytes = novasr_filter_bytes(NOVASR_STEEP, 0, 44100, 48000);
 *     const novasr_filter *filter = novasr_filter_make(aligned_alloc(64, bytes), NOVASR_STEEP, 0, 44100, 48000);
 *     bytes = novasr_filter_state_bytes(filter);
 *     novasr_filter_state *state = novasr_filter_begin(aligned_alloc(64, bytes), filter);
 *     float x[441], y[novasr_filter_room(filter, 441)];
 *     while (next(x, 441))
 *         hear(y, novasr_filter_push(state, x, 441, 0, y));
 *     hear(y, novasr_filter_push(state, x, 0, 1, y));
 *
 * Memory and signals are as in engine.h, and engine.c includes this as well: what depends on rates
 * alone is made once and may be shared by threads; a state is one channel; all of it is the caller's
 * memory, aligned to 64 bytes. What is refused has 0 bytes and is NULL. The bytes of the outputs do
 * not depend on the pieces. A push does the work of the samples that it brings and no other; only the
 * last one has more to do, by as much as the latency.
 */
#ifndef NOVASR_RATES_H
#define NOVASR_RATES_H

#include "engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- filters --------------------------------------------------------------------------------- */

typedef struct novasr_filter novasr_filter;
typedef struct novasr_filter_state novasr_filter_state;

enum {
    NOVASR_STEEP = 1,    /* nothing passes from half the lower rate on: for airband */
    NOVASR_UPSTREAM = 2, /* the windowed sinc of NovaSR's original */
    NOVASR_LOW_PASS = 3  /* of the crossover: half of the sound is left at `hertz` */
};

/* Bytes of a filter from `rate` to `new_rate`, each from 1000 to 768000 Hz; hertz: of NOVASR_LOW_PASS
 * only. 0 if it is refused: another design or rate; a table above 200 MB, as high rates without a large
 * common divisor have; equal rates, unless for a low pass; and Hz that are not above 0, or above 7/15 of
 * the lower rate. */
NOVASR_API size_t novasr_filter_bytes(int design, double hertz, int rate, int new_rate);

/* Compute a filter's table, which takes some ms, or seconds for one of many MB. */
NOVASR_API const novasr_filter *novasr_filter_make(void *memory, int design, double hertz, int rate, int new_rate);

NOVASR_API size_t novasr_filter_state_bytes(const novasr_filter *filter);

/* Hz at which half of a sound is left. What came from a lower rate ends there for airband, at most. */
NOVASR_API double novasr_filter_passes(const novasr_filter *filter);

/* Input samples that must follow one before all outputs of it can be given. */
NOVASR_API long novasr_filter_latency(const novasr_filter *filter);

/* How many outputs a push of `count` samples gives at most. */
NOVASR_API long novasr_filter_room(const novasr_filter *filter, long count);

NOVASR_API novasr_filter_state *novasr_filter_begin(void *memory, const novasr_filter *filter);
NOVASR_API void novasr_filter_reset(novasr_filter_state *state);

/* Take x[count] and write the outputs that are determined now to y; give how many. last: nothing
 * follows, and all that is missing is written, ceil(T new_rate / rate) for T samples in all; the next
 * push begins another signal. */
NOVASR_API long novasr_filter_push(novasr_filter_state *state, const float *x, long count, int last, float *y);

/* ---- the low band that is kept --------------------------------------------------------------- */

typedef struct novasr_crossover novasr_crossover;
typedef struct novasr_crossover_state novasr_crossover_state;

/* Hz below which nearly all of the input is kept: 7/8 of the highest frequency of both rates, or of
 * where the sound ends, if that is lower. edge: Hz, 0 for half the rate. */
NOVASR_API double novasr_crossover_highest(int rate, int rate_out, double edge);

/* As for a filter: a low pass for the input, from `rate` to that of the output, and one for the output. */
NOVASR_API size_t novasr_crossover_bytes(double hertz, int rate, int rate_out);
NOVASR_API const novasr_crossover *novasr_crossover_make(void *memory, double hertz, int rate, int rate_out);

/* Samples of look-ahead at the input's rate, in addition to the network's. */
NOVASR_API long novasr_crossover_latency(const novasr_crossover *crossover);

/* ahead: samples of the input by which one of both signals is pushed before the other, at most, with
 * those of a push: the latency of the network and of what is before it, and a block. */
NOVASR_API size_t novasr_crossover_state_bytes(const novasr_crossover *crossover, long ahead);
NOVASR_API novasr_crossover_state *novasr_crossover_begin(void *memory, const novasr_crossover *crossover, long ahead);
NOVASR_API void novasr_crossover_reset(novasr_crossover_state *state);

/* How many outputs a push gives at most, of `made` outputs of the network. */
NOVASR_API long novasr_crossover_room(const novasr_crossover_state *state, long made);

/* Take x[count], and y[made], the outputs that the network has for x by now. Write low(x) + gain (y -
 * low(y)) as far as it is determined to `out`, and give how many: in all as many as the network's. gain:
 * of what the network adds; 1 for all of it. last: as for a filter. Gives -1, with nothing taken, if one
 * of both would be more than `ahead`. */
NOVASR_API long novasr_crossover_push(novasr_crossover_state *state, const float *x, long count, const float *y, long made, float gain, int last, float *out);

/* ---- where a sound ends ---------------------------------------------------------------------- */

typedef struct novasr_band novasr_band;
typedef struct novasr_follow novasr_follow;

/* The end of a whole sound, at any rate that a filter takes. */
NOVASR_API size_t novasr_band_bytes(int rate, int channels);
NOVASR_API novasr_band *novasr_band_begin(void *memory, int rate, int channels);

/* Take x[count] of one channel, from 0 on. */
NOVASR_API void novasr_band_push(novasr_band *band, int channel, const float *x, long count);

/* Hz at which the sound that was pushed ends, to 50 Hz; 0 if it has no end below half the rate. */
NOVASR_API double novasr_band_edge(novasr_band *band);

/* The end of a sound that moves, as in a call whose codec changes, for airband and at its rates. It is
 * looked for ten times a second in the last second, and believed when it was found three times. edge:
 * Hz with which to begin, as for novasr_edge. The WebAssembly lacks it. */
NOVASR_API size_t novasr_follow_bytes(int rate, int channels);
NOVASR_API novasr_follow *novasr_follow_begin(void *memory, int rate, int channels, int edge);

/* Take samples of all channels, x[channel][count]. It stops when it has looked, and gives how many it
 * took. With the same samples taken by the network, the edge is due to it:
 *
 *     for (long took; count; x += took, count -= took) {
 *         took = novasr_follow_push(follow, &x, count);
 *         y += novasr_push(state, work, x, took, 0, y);
 *         novasr_edge(state, novasr_follow_edge(follow));
 *     }
 *
 * A frame is analysed when it is complete, 200 times a second for each channel; a look takes about
 * as long as four frames. */
NOVASR_API long novasr_follow_push(novasr_follow *follow, const float *const *x, long count);
NOVASR_API int novasr_follow_edge(const novasr_follow *follow); /* Hz */

#ifdef __cplusplus
}
#endif

#endif
