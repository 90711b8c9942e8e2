"""Synthesise samples: the input's own bins, and above its edge its overtones at predicted levels.

A rectified voice has overtones at exact multiples of its pitch, at the very moments of its pulses;
a rectified hiss is hiss, a rectified burst a burst, and silence is silence. So the input's frame
itself, rectified, carries the predicted power: nothing is drawn at random, and no state is kept.
"""

from functools import cache
from typing import Any

import numpy as np

from .features import window
from .spec import (
    BANDS_OUT,
    BINS,
    FIRST,
    FLAT_CARRIER,
    FLAT_SOURCE,
    FRAME,
    HOP,
    KEPT_GAIN,
    MADE_GAIN,
    OUTPUT_OFFSET,
    OUTPUT_SCALE,
    OVERLAP,
    SOURCE,
    TINY,
    WIDTHS,
)


def amplitude(y: np.ndarray, edge: int) -> np.ndarray:
    """Magnitude of bins edge .. 479, [..., made, frames], from `conv_out`'s y, [..., 56, frames].

    ``2 y - 4`` is the log10 of a band's mean power. It is interpolated linearly between the bands'
    centres, and held beyond the first and the last.
    """
    half = y.dtype.type(np.log(10) / 2)
    level = spread(y.dtype).T[edge:] @ y
    return np.exp(half * (level * y.dtype.type(OUTPUT_SCALE) + y.dtype.type(OUTPUT_OFFSET)))


def rectified(spectrum: np.ndarray, edge: int) -> np.ndarray:
    """The source of the overtones, made flat and rectified: z [..., frames, 960].

    spectrum X [..., frames, bins]. With e = min(edge, 80), within each frame::

        S[k] = X[k] / sqrt(mean of |X|^2 over k - 8 .. k + 8)    k = 4 .. e - 1, else 0
        z    = | irfft(S) |

    The mean is over bins 4 .. e - 1, the first and the last held beyond. The frame's window is
    positive, so it makes no difference whether a frame is rectified before or after it.
    """
    source = spectrum[..., SOURCE.start : min(edge, SOURCE.stop)]
    flat = np.zeros((*source.shape[:-1], BINS + 1), spectrum.dtype)
    flat[..., SOURCE.start : SOURCE.start + source.shape[-1]] = flattened(source, FLAT_SOURCE)
    return np.abs(np.fft.irfft(flat, FRAME))


def carrier(z: np.ndarray, edge: int) -> np.ndarray:
    """Overtones of mean power 1 at bins edge .. 479, [..., frames, made], complex.

    ``R = rfft(z)``, and ``C[k] = R[k] / sqrt(mean of |R|^2 over k - 6 .. k + 6)`` within 0 .. 480,
    the first and the last held beyond. z [..., frames, 960] as from `rectified`.
    """
    return flattened(overtones(z), FLAT_CARRIER)[..., edge:BINS]


def overtones(z: np.ndarray) -> np.ndarray:
    """Spectra of z [..., frames, 960], [..., frames, 481], of its precision."""
    # In float64, whatever z is: numpy's FFT in float32 takes four times as long.
    spectrum = np.fft.rfft(z.astype(np.float64, copy=False))
    return spectrum.astype(np.result_type(z, np.complex64), copy=False)


def flattened(spectrum: np.ndarray, side: int) -> np.ndarray:
    """Divide each bin by the rms of the 2 side + 1 bins around it, the ends held."""
    power = spectrum.real**2 + spectrum.imag**2
    wide = np.pad(power, [(0, 0)] * (power.ndim - 1) + [(side, side)], "edge")
    count = power.shape[-1]
    # A plain sum: a running total in float32 would lose quiet bins beside loud ones.
    mean = sum(wide[..., k : k + count] for k in range(2 * side + 1)) / (2 * side + 1)
    return spectrum / np.sqrt(mean + power.dtype.type(TINY))


def synthesise(spectrum: np.ndarray, amplitude: np.ndarray, carrier: np.ndarray) -> np.ndarray:
    """Frames of samples at 48 kHz, windowed, for `overlap_add`: [..., frames, 960].

    spectrum [..., frames, bins], of which those below the edge are kept; amplitude and carrier
    [..., frames, made] of all above. The squares of four windows add up to 2, hence the half of
    what is kept; of what is made, whose frames do not quite fit together, 1 dB is lost.
    """
    edge = BINS - amplitude.shape[-1]
    of = amplitude.dtype.type
    bins = np.empty((*amplitude.shape[:-1], BINS), spectrum.dtype)
    np.multiply(spectrum[..., :edge], of(KEPT_GAIN), out=bins[..., :edge])
    np.multiply(amplitude * of(MADE_GAIN), carrier, out=bins[..., edge:])
    frames = np.fft.irfft(bins, FRAME)
    return frames * window(FRAME, frames.dtype)


def overlap_add(frames: np.ndarray) -> np.ndarray:
    """Overlap-add [..., n + 3, 960] to [..., 240 n], the samples that all four frames cover."""
    count = max(0, frames.shape[-2] - OVERLAP)
    quarters = frames.reshape(*frames.shape[:-1], OVERLAP + 1, HOP)
    y = quarters[..., :count, OVERLAP, :].copy()
    for q in range(OVERLAP):
        y += quarters[..., OVERLAP - q : OVERLAP - q + count, q, :]
    return y.reshape(*frames.shape[:-2], count * HOP)


@cache
def spread(dtype: Any) -> np.ndarray:
    """Matrix of the linear interpolation between the bands' centres, [56, 480]."""
    ends = FIRST + np.cumsum(WIDTHS)
    centres = ends - np.array(WIDTHS) / 2 - 0.5
    rows = np.eye(BANDS_OUT)
    return np.stack([np.interp(np.arange(BINS), centres, row) for row in rows]).astype(dtype)
