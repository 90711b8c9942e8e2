"""Frames of samples, their spectra, and the network's input features."""

from functools import cache
from typing import Any

import numpy as np

from .spec import (
    BANDS_IN,
    FEATURE_OFFSET,
    FEATURE_SCALE,
    FLOOR,
    FRAME_IN,
    HOP_IN,
    LOWEST,
    OWN_BINS,
    SAMPLE_RATE_IN,
)


def spectra(x: np.ndarray) -> np.ndarray:
    """STFT of the complete frames of x [..., n]: [..., frames, 161], complex.

    ``X[i, k] = sum_n w[n] x[80 i + n] exp(-2 pi j k n / 320)``, n = 0 .. 319, w by `window`.
    """
    x = np.ascontiguousarray(x)
    *lead, step = x.strides
    shape = (*x.shape[:-1], (x.shape[-1] - FRAME_IN) // HOP_IN + 1, FRAME_IN)
    # A view, made directly: for the short pieces of a stream, `as_strided` takes longer.
    frames = np.ndarray(shape, x.dtype, x, 0, (*lead, HOP_IN * step, step))
    # In float64, whatever x is: numpy's FFT in float32 takes five times as long.
    spectrum = np.fft.rfft(frames * window(FRAME_IN, np.dtype(np.float64)))
    return spectrum.astype(np.result_type(x, np.complex64), copy=False)


def features(spectrum: np.ndarray) -> np.ndarray:
    """[..., frames, 161] -> [..., 40, frames]: ``(log10(max(M |X|^2, 1e-8)) + 3) / 2``.

    M is `mel`'s matrix.
    """
    power = spectrum.real**2 + spectrum.imag**2
    bands = power @ mel(power.dtype).T
    level = np.log10(np.maximum(bands, power.dtype.type(FLOOR)))
    return (level.swapaxes(-1, -2) + power.dtype.type(FEATURE_OFFSET)) * power.dtype.type(
        FEATURE_SCALE
    )


@cache
def window(size: int, dtype: Any) -> np.ndarray:
    """The square root of a periodic Hann window: ``sin(pi n / size)``.

    Its squares, a quarter of its length apart, add up to 2.
    """
    return np.sin(np.pi * np.arange(size) / size).astype(dtype)


@cache
def mel(dtype: Any) -> np.ndarray:
    """Triangles on the mel scale, ``2595 log10(1 + f / 700)``, evenly from 40 Hz to 8 kHz.

    [40, 161]; each row sums to 1, so that a band has its bins' mean power.
    """

    def to_mel(hertz: Any) -> Any:
        return 2595 * np.log10(1 + hertz / 700)

    corners = np.linspace(to_mel(LOWEST), to_mel(SAMPLE_RATE_IN / 2), BANDS_IN + 2)
    bins = to_mel(np.arange(OWN_BINS + 1) * SAMPLE_RATE_IN / FRAME_IN)
    low, middle, high = (corners[i : i + BANDS_IN, np.newaxis] for i in range(3))
    triangles = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    triangles = np.maximum(triangles, 0)
    return (triangles / triangles.sum(axis=1, keepdims=True)).astype(dtype)
