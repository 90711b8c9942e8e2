/* A host's sound made whole: any rate, blocks of any length, as many samples out as in, some time later.
 *
 * This is what a plugin needs: airband-live and NovaSR with all that stands around them, the filters to
 * their rates and back, the follower of the sound's edge, NovaSR's crossover, and a queue.
 *
 *     const novasr_voice *voice = novasr_voice_make(aligned_alloc(64, novasr_voice_bytes(48000)), 48000, &weights);
 *     size_t bytes = novasr_voice_state_bytes(voice, 2);
 *     novasr_voice_state *state = novasr_voice_begin(aligned_alloc(64, bytes), voice, 2);
 *     while (novasr_voice_set(state, NOVASR_AIRBAND_LIVE, 0, 0), next(stereo, 64))
 *         novasr_voice_run(state, stereo, stereo, 64);
 *
 * Memory is as in engine.h: the voice is made once for a rate, and may be shared; a state is all channels
 * of one sound. A run allocates nothing, waits for nothing, and does the work of the samples that it brings,
 * in steps of 1 or 5 ms. The outputs do not depend on the sizes of the blocks, but for the moment at which
 * something is set.
 *
 * What is given. Below the edge the sound stays as it is, and what is above 24 kHz stays as well. Samples
 * that are no numbers, or louder than 1000, count as zeros. NovaSR is made for sound that ends at 8 kHz: it
 * makes what is above 7 kHz (7/8 of half the rate at rates below 16 kHz), and sound that goes on above 9 kHz
 * passes as it is. At rates below 48 kHz there is room for what lies below half the rate, and no more.
 */
#ifndef NOVASR_VOICE_H
#define NOVASR_VOICE_H

#include "rates.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct novasr_voice novasr_voice;
typedef struct novasr_voice_state novasr_voice_state;

/* Safetensors files, of airband-live or airband, and of NovaSR, and their bytes. */
typedef struct {
    const unsigned char *airband, *novasr;
    size_t airband_size, novasr_size;
} novasr_voice_weights;

/* Bytes of a voice at `rate` Hz, from 8000 to 192000; 0 for another rate. */
NOVASR_API size_t novasr_voice_bytes(int rate);

/* Prepare all that depends on the rate, which takes some ms, or seconds at rates that have no large divisor
 * in common with 48000. NULL for a rate, weights or memory that is not taken. */
NOVASR_API const novasr_voice *novasr_voice_make(void *memory, int rate, const novasr_voice_weights *weights);

/* Bytes of a state of 1 to 8 channels; 0 for another number. */
NOVASR_API size_t novasr_voice_state_bytes(const novasr_voice *voice, int channels);

/* Begin a sound, with airband, an edge that is followed, and all that is made. */
NOVASR_API novasr_voice_state *novasr_voice_begin(void *memory, const novasr_voice *voice, int channels);

/* Begin another sound with what was set before. */
NOVASR_API void novasr_voice_reset(novasr_voice_state *state);

/* Set how the sound is from here on, before a run or between two; values out of range are brought
 * into it. network: NOVASR_NOVASR, or another number for airband. Another network than
 * before begins anew: 10 ms fade out, the latency is silent, 10 ms fade in. edge: where the sound ends, in
 * Hz, rounded to 50, at least 2000 and at most half the rate; 0 to follow it. highs: dB of what is made, from
 * -60, for nothing of it, to 12; it is faded to. */
NOVASR_API void novasr_voice_set(novasr_voice_state *state, int network, int edge, float highs);

/* Samples by which outputs are later than inputs, with the network that is set. */
NOVASR_API long novasr_voice_latency(const novasr_voice_state *state);

/* Take x[channel][count], count >= 0, and write as many outputs to y[channel], which may be x. The first
 * ones, as many as the latency, are zeros. */
NOVASR_API void novasr_voice_run(novasr_voice_state *state, const float *const *x, float *const *y, long count);

#ifdef __cplusplus
}
#endif

#endif
