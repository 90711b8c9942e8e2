"""The front door: an array at any rate in, the same sound at 48 kHz out."""

import numpy as np

from .model import forward
from .resample import resample
from .spec import SAMPLE_RATE_IN, UPSAMPLING
from .weights import Source, load_weights

# |y| from here on is full scale in 16 bits: the tanh at the network's end is saturated.
SATURATION = 32767 / 32768


def upsample(
    x,
    sample_rate: int = SAMPLE_RATE_IN,
    *,
    weights: Source = None,
    resampler: str = "upstream",
) -> np.ndarray:
    """Speech at any rate to 48 kHz.

    x [..., T]: float32, float64 (full scale is 1) or int16 samples at `sample_rate` Hz, each
    leading index a channel of its own. weights: a name, a path or loaded params
    (`load_weights`). resampler: how another rate becomes 16 kHz (`resample`).

    Returns [..., 3 ceil(16000 T / sample_rate)] at 48 kHz, so exactly 3T samples for 16 kHz:
    float64 for float64, else float32; |y| <= 1. No sample in gives none out.

    Defined as `forward` of the 16 kHz samples followed by two zeros, cut to 3T. The network
    alone gives 3T - 4, and the same ones but for the last 39: those stand for the last 13
    samples in, whose look-ahead reaches past the end.

    Raises TypeError for another dtype or a rate that is no whole number, ValueError for NaN,
    infinity, a scalar or a rate out of range, and WeightsError as `load_weights` does.
    """
    x = _samples(x)
    params = load_weights(weights)
    x = resample(x, sample_rate, resampler)
    length = UPSAMPLING * x.shape[-1]
    if x.size == 0:
        return np.zeros((*x.shape[:-1], length), x.dtype)
    x = np.concatenate([x, np.zeros_like(x, shape=(*x.shape[:-1], 2))], axis=-1)
    return np.ascontiguousarray(forward(params, x)[..., :length])


def count_saturated(y) -> int:
    """How many samples of an output lie at full scale, |y| >= 32767/32768.

    The network ends in a tanh, so an output never clips; too loud an input flattens it instead.
    """
    return int(np.count_nonzero(np.abs(y) >= SATURATION))


def _samples(x) -> np.ndarray:
    """Check an input at the door; int16 becomes float32 in [-1, 1)."""
    x = np.asarray(x)
    x = x.astype(x.dtype.newbyteorder("="), copy=False)
    if x.ndim == 0:
        raise ValueError("audio is an array [..., samples], got a scalar")
    if x.dtype == np.int16:
        return x.astype(np.float32) / np.float32(32768)
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"audio is float32, float64 or int16, got {x.dtype}")
    finite = np.isfinite(x)
    if not finite.all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(f"audio must be finite, got {x[first]} at index {first}")
    return x
