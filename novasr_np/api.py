"""The front door: an array at any rate in, the same sound at 48 kHz out."""

import numpy as np

from . import crossover
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
    keep_lowband: bool | float = False,
    threads: int | None = None,
) -> np.ndarray:
    """Speech at any rate to 48 kHz.

    x [..., T]: float32, float64 (full scale is 1) or int16 samples at `sample_rate` Hz, each
    leading index a channel of its own. weights: a name, a path or loaded params
    (`load_weights`). resampler: how another rate becomes 16 kHz (`resample`). keep_lowband: put
    back what x itself has below so many Hz, in place of the network's; True for nearly all that
    `sample_rate` can hold (`crossover.cutoff`: 7 kHz at 16 kHz). threads: how many share the
    network's work, None for one on each core; the result is the same to the byte.

    Returns [..., 3 ceil(16000 T / sample_rate)] at 48 kHz, so exactly 3T samples for 16 kHz:
    float64 for float64, else float32. |y| <= 1 for the network alone, while a low band that is kept
    keeps its level, whatever that is. No sample in gives none out.

    Defined as `forward` of the 16 kHz samples followed by two zeros, cut to 3T. The network
    alone gives 3T - 4, and the same ones but for the last 39: those stand for the last 13
    samples in, whose look-ahead reaches past the end. Computed in blocks (`blocks`), so that
    beside x and y only a few MB are needed.

    Raises TypeError for another dtype or a rate that is no whole number, ValueError for NaN,
    infinity, a scalar or a rate out of range, and WeightsError as `load_weights` does.
    """
    x = as_samples(x)
    params = load_weights(weights)
    given = x.reshape(-1, x.shape[-1]) if x.size else x
    x = resample(x, sample_rate, resampler)
    hertz = crossover.cutoff(keep_lowband, sample_rate)
    samples = x.shape[-1]
    if x.size == 0:
        return np.zeros((*x.shape[:-1], UPSAMPLING * samples), x.dtype)
    silence = np.zeros((*x.shape[:-1], 2), x.dtype)
    rows = np.concatenate([x, silence], axis=-1).reshape(-1, samples + 2)
    with Workers(threads) as workers:
        y = run(network(params, x.dtype), rows, True, True, workers)[:, : UPSAMPLING * samples]
    if hertz is not None:
        crossover.keep(given, sample_rate, y, hertz)
    return y.reshape(*x.shape[:-1], UPSAMPLING * samples)


def count_saturated(y) -> int:
    """How many samples of an output lie at full scale, |y| >= 32767/32768.

    The network ends in a tanh, so it never clips; too loud an input flattens it instead. A low band
    that is kept may reach beyond, and is cut where a file holds whole numbers.
    """
    return int(np.count_nonzero(np.abs(y) >= SATURATION))
