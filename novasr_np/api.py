"""The front door: an array at any rate in, the same sound at 48 kHz out."""

import numpy as np

from .blocks import Workers, network, run
from .resample import resample
from .spec import SAMPLE_RATE_IN, UPSAMPLING
from .stream import as_samples
from .weights import Source, load_weights

# |y| from here on is full scale in 16 bits: the tanh at the network's end is saturated.
SATURATION = 32767 / 32768


def upsample(
    x,
    sample_rate: int = SAMPLE_RATE_IN,
    *,
    weights: Source = None,
    resampler: str = "upstream",
    threads: int | None = None,
) -> np.ndarray:
    """Speech at any rate to 48 kHz.

    x [..., T]: float32, float64 (full scale is 1) or int16 samples at `sample_rate` Hz, each
    leading index a channel of its own. weights: a name, a path or loaded params
    (`load_weights`). resampler: how another rate becomes 16 kHz (`resample`). threads: how many
    share the work, None for one on each core; the result is the same to the byte.

    Returns [..., 3 ceil(16000 T / sample_rate)] at 48 kHz, so exactly 3T samples for 16 kHz:
    float64 for float64, else float32; |y| <= 1. No sample in gives none out.

    Defined as `forward` of the 16 kHz samples followed by two zeros, cut to 3T. The network
    alone gives 3T - 4, and the same ones but for the last 39: those stand for the last 13
    samples in, whose look-ahead reaches past the end. Computed in blocks (`blocks`), so that
    beside x and y only a few MB are needed.

    Raises TypeError for another dtype or a rate that is no whole number, ValueError for NaN,
    infinity, a scalar or a rate out of range, and WeightsError as `load_weights` does.
    """
    x = as_samples(x)
    params = load_weights(weights)
    x = resample(x, sample_rate, resampler)
    samples = x.shape[-1]
    if x.size == 0:
        return np.zeros((*x.shape[:-1], UPSAMPLING * samples), x.dtype)
    silence = np.zeros((*x.shape[:-1], 2), x.dtype)
    rows = np.concatenate([x, silence], axis=-1).reshape(-1, samples + 2)
    with Workers(threads) as workers:
        y = run(network(params, x.dtype), rows, True, True, workers)
    return y[:, : UPSAMPLING * samples].reshape(*x.shape[:-1], UPSAMPLING * samples)


def count_saturated(y) -> int:
    """How many samples of an output lie at full scale, |y| >= 32767/32768.

    The network ends in a tanh, so an output never clips; too loud an input flattens it instead.
    """
    return int(np.count_nonzero(np.abs(y) >= SATURATION))
