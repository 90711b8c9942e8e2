"""Frames of samples, their spectra, and the network's input features."""

from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from .spec import (
    BANDS_IN,
    BIN,
    BINS,
    FEATURE_OFFSET,
    FEATURE_SCALE,
    FLOOR,
    HOPS,
    LEAST_SHARE,
    LOWEST,
    MEL_BANDS,
    MEL_TOP,
    OVERLAP,
    SAMPLE_RATE_OUT,
)

AT_A_TIME = 200  # frames of which the bins fit a core's cache


class Heard(NamedTuple):
    """What is heard of each band when a sound ends at an edge. Made by `heard`."""

    matrix: np.ndarray  # [edge, bands heard]: the power of a band from that of the bins
    share: np.ndarray  # [73]: the part of a band's weight below the edge; 0 if it is not heard


def spectra(x: np.ndarray, rate: int) -> np.ndarray:
    """STFT of the complete frames of x [..., n] at `rate` Hz: [..., frames, bins], complex.

    With N = rate / 50 samples of a frame and H = rate / 200 of a hop, ``X[i, k] = 48000 / rate *
    sum_n w[n] x[H i + n] exp(-2 pi j k n / N)``, n = 0 .. N - 1, k = 0 .. N / 2, w by `window`.
    """
    x = np.ascontiguousarray(x)
    hop = rate // HOPS
    size = (OVERLAP + 1) * hop
    *lead, step = x.strides
    shape = (*x.shape[:-1], (x.shape[-1] - size) // hop + 1, size)
    # A view, made directly: for the short pieces of a stream, `as_strided` takes longer.
    frames = np.ndarray(shape, x.dtype, x, 0, (*lead, hop * step, step))
    # In float64, whatever x is, so that quiet bins beside loud ones keep their precision.
    scaled = window(size, np.dtype(np.float64)) * (SAMPLE_RATE_OUT / rate)
    spectrum = np.empty((*shape[:-1], size // 2 + 1), np.result_type(x, np.complex64))
    for begin in range(0, shape[-2], AT_A_TIME):
        part = slice(begin, begin + AT_A_TIME)
        spectrum[..., part, :] = np.fft.rfft(frames[..., part, :] * scaled)
    return spectrum


def features(spectrum: np.ndarray, edge: int) -> np.ndarray:
    """[..., frames, bins] -> [..., 73, frames]: ``(log10(max(power of a band, 1e-8)) + 3) / 2``.

    The power of a band is the mean over its bins below `edge`, weighted by `bands`. A band that is
    not heard has the mean of the last two that are.
    """
    own = spectrum[..., :edge]
    power = own.real**2 + own.imag**2
    of = power.dtype.type
    matrix, _ = heard(edge, power.dtype)
    level = np.log10(np.maximum(power @ matrix, of(FLOOR)))
    out = np.empty((*level.shape[:-1], BANDS_IN), level.dtype)
    count = level.shape[-1]
    out[..., :count] = level
    out[..., count:] = (level[..., -2:-1] + level[..., -1:]) / 2
    return (out.swapaxes(-1, -2) + of(FEATURE_OFFSET)) * of(FEATURE_SCALE)


@cache
def window(size: int, dtype: Any) -> np.ndarray:
    """The square root of a periodic Hann window: ``sin(pi n / size)``.

    Its squares, a quarter of its length apart, add up to 2.
    """
    return np.sin(np.pi * np.arange(size) / size).astype(dtype)


@lru_cache(64)
def heard(edge: int, dtype: Any) -> Heard:
    """What is heard of the bands when the sound's own bins are those below `edge`.

    A band is heard if at least a fifth of its weight lies below.
    """
    weight = bands()[:, :edge]
    share = weight.sum(axis=1) / bands().sum(axis=1)
    share[share < LEAST_SHARE] = 0
    weight = weight[share > 0]
    return Heard(
        *((weight / weight.sum(axis=1, keepdims=True)).T.astype(dtype), share.astype(dtype))
    )


@cache
def bands(lowest: float = LOWEST) -> np.ndarray:
    """Weights of the bins in each band, [73, 480]: triangles that reach to the neighbours' middles.

    The middles are 41 points evenly on the mel scale, ``2595 log10(1 + f / 700)``, from `lowest` Hz
    to 8 kHz, then one every 500 Hz to 24 kHz.
    """
    to_mel = 2595 * np.log10(1 + np.array([lowest, MEL_TOP]) / 700)
    low = 700 * (10 ** (np.linspace(to_mel[0], to_mel[1], MEL_BANDS) / 2595) - 1)
    high = MEL_TOP + 500 * np.arange(1, BANDS_IN - MEL_BANDS + 1)
    middle = np.concatenate([low, high])
    # As far below the first as the second is above it, and beyond the last.
    points = np.concatenate([[2 * low[0] - low[1]], middle, [2 * high[-1] - high[-2]]])[
        :, np.newaxis
    ]
    hertz = BIN * np.arange(BINS)
    rise = (hertz - points[:-2]) / (points[1:-1] - points[:-2])
    fall = (points[2:] - hertz) / (points[2:] - points[1:-1])
    return np.maximum(np.minimum(rise, fall), 0)
