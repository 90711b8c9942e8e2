"""Synthesise samples from the input's spectra and the predicted power above them."""

from functools import cache
from typing import Any

import numpy as np

from .features import window
from .spec import (
    BAND_BINS,
    BANDS_OUT,
    FRAME_OUT,
    HOP_OUT,
    OUTPUT_OFFSET,
    OUTPUT_SCALE,
    OVERLAP,
    OWN_BINS,
    SILENCE,
    UPSAMPLING,
)

_BINS = np.arange(OWN_BINS, OWN_BINS + BANDS_OUT * BAND_BINS, dtype=np.uint32)  # synthesised
_OF_BINS = np.uint32(0x85EBCA77) * _BINS


def amplitude(y: np.ndarray) -> np.ndarray:
    """Magnitude of each bin, [..., 320, frames], from `conv_out`'s y, [..., 32, frames].

    ``2 y - 4`` is the log10 of a band's mean power. It is interpolated linearly between the bands'
    centres, and held beyond the first and the last.
    """
    half = y.dtype.type(np.log(10) / 2)
    level = spread(y.dtype).T @ y
    return np.exp(half * (level * y.dtype.type(OUTPUT_SCALE) + y.dtype.type(OUTPUT_OFFSET)))


def carrier(first: int, count: int, dtype: Any) -> np.ndarray:
    """Carrier that the amplitude modulates: complex numbers of magnitude 1, [count, 320].

    The angle is a fixed function of the frame i = first .. first + count - 1, counted from the
    beginning of the signal, and the bin k = 160 .. 479. In unsigned 32-bit integers, each product
    and sum modulo 2^32::

        h = 0x9E3779B1 i + 0x85EBCA77 k
        h = h (2 h + 1)
        h = (h + (h >> 16)) 0x7FEB352D
        h = h (2 h + 1)
        angle = (h >> 24) / 256 of a turn
    """
    i = np.arange(first, first + count, dtype=np.uint64).astype(np.uint32)
    h = (np.uint32(0x9E3779B1) * i)[:, np.newaxis] + _OF_BINS
    h *= h + h + np.uint32(1)
    h += h >> np.uint32(16)
    h *= np.uint32(0x7FEB352D)
    h *= h + h + np.uint32(1)
    return _turn(np.dtype(dtype).char.upper())[h >> np.uint32(24)]


def synthesise(own: np.ndarray, amplitude: np.ndarray, carrier: np.ndarray) -> np.ndarray:
    """Frames of samples at 48 kHz, windowed, for `overlap_add`: [..., frames, 960].

    own: the input's spectra [..., frames, 161]; amplitude [..., 320, frames], carrier [frames, 320]
    of the bins above them. The first 160 bins are the input's times 3 / 2: a frame three times as
    long has three times the sum, and the squares of four windows add up to 2. The bins above have
    random phases, so four of their frames add up to only half of that.
    """
    low = own[..., :OWN_BINS] * own.real.dtype.type(1.5)
    high = amplitude.swapaxes(-1, -2) * carrier
    frames = np.fft.irfft(np.concatenate([low, high], axis=-1), FRAME_OUT)
    return frames * window(FRAME_OUT, frames.dtype)


def overlap_add(frames: np.ndarray) -> np.ndarray:
    """Overlap-add [..., n + 3, 960] to [..., 240 n], the samples that all four frames cover."""
    count = max(0, frames.shape[-2] - OVERLAP)
    quarters = frames.reshape(*frames.shape[:-1], OVERLAP + 1, HOP_OUT)
    y = quarters[..., :count, OVERLAP, :].copy()
    for q in range(OVERLAP):
        y += quarters[..., OVERLAP - q : OVERLAP - q + count, q, :]
    return y.reshape(*frames.shape[:-2], count * HOP_OUT)


def keep_silence(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Set y [..., 3 n] to zero where x has digital silence, in place.

    x [..., n + 32]: the input of y, with 16 more samples on either side. If an input sample and all
    16 before and after it are exactly zero, its outputs are set to zero: otherwise a frame, of
    20 ms, would carry noise that far into a gap. Samples beyond a signal's ends count as zero.
    """
    if x.all():
        return y
    sounding = np.zeros((*x.shape[:-1], x.shape[-1] + 1), np.int64)
    np.cumsum(x != 0, axis=-1, out=sounding[..., 1:])
    reach = 2 * SILENCE + 1
    silent = sounding[..., reach:] == sounding[..., :-reach]
    if silent.any():
        y.reshape(*silent.shape, UPSAMPLING)[silent] = 0
    return y


@cache
def spread(dtype: Any) -> np.ndarray:
    """Matrix of the linear interpolation between the bands' centres, [32, 320]."""
    centres = (np.arange(BANDS_OUT) + 0.5) * BAND_BINS - 0.5
    bins = np.arange(BANDS_OUT * BAND_BINS)
    return np.stack([np.interp(bins, centres, row) for row in np.eye(BANDS_OUT)]).astype(dtype)


@cache
def _turn(dtype: str) -> np.ndarray:
    """Table of 256 steps around the unit circle."""
    return np.exp(2j * np.pi * np.arange(256) / 256).astype(dtype)
