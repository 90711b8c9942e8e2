"""Any sample rate to 16 kHz: the resampler that the published weights were made for, or soxr.

The original resamples with torchaudio's windowed sinc. With both rates divided by their
greatest common divisor (o in, n out) output m lies at input time ``c = m o / n``, and

``y[m] = sum_i h(i - c) x[i]``, ``h(d) = (b/o) sinc(t) I0(B sqrt(1 - (t/6)^2)) / I0(B)``,
``t = d b / o``, zero where |t| > 6, with ``b = 0.99 min(o, n)`` and ``B = 14.769656459379492``

(torchaudio.functional.resample: lowpass_filter_width 6, rolloff 0.99, Kaiser window).
"""

import math
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .spec import SAMPLE_RATE_IN

RESAMPLERS = ("upstream", "soxr")
MIN_RATE, MAX_RATE = 1_000, 768_000  # Hz

_ZERO_CROSSINGS = 6
_ROLLOFF = 0.99
_KAISER_BETA = 14.769656459379492
_BLOCK = 1 << 14  # output samples made at a time


def resample(x, sample_rate, resampler="upstream"):
    """x [..., T] at `sample_rate` Hz -> [..., ceil(16000 T / sample_rate)] at 16 kHz.

    x is float32 or float64 and keeps its dtype. At 16 kHz it is returned as it is.
    resampler: "upstream" (above; its stop band is leaky, as the original's is) or "soxr"
    (steep, quality VHQ, needs the extra ``soxr``).

    Raises ValueError for another resampler or a rate outside 1000 .. 768000, TypeError for a
    rate that is no whole number, ModuleNotFoundError if soxr is asked for and absent.
    """
    if resampler not in RESAMPLERS:
        raise ValueError(f"resampler is one of {RESAMPLERS}, got {resampler!r}")
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, (int, np.integer)):
        raise TypeError(f"sample rate is a whole number of Hz, got {sample_rate!r}")
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise ValueError(f"sample rate {sample_rate} Hz; expected {MIN_RATE} to {MAX_RATE}")
    if sample_rate == SAMPLE_RATE_IN:
        return x
    return (_resample_soxr if resampler == "soxr" else _resample_upstream)(x, int(sample_rate))


def _resample_upstream(x, sample_rate):
    divisor = math.gcd(sample_rate, SAMPLE_RATE_IN)
    o, n = sample_rate // divisor, SAMPLE_RATE_IN // divisor
    kernels = _kernels(o, n).astype(x.dtype)
    taps = kernels.shape[-1]
    before = taps // 2 - 1
    y = np.empty((*x.shape[:-1], _length(x.shape[-1], sample_rate)), x.dtype)
    # Room beyond the end for the last output's window.
    x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, taps)])
    windows = sliding_window_view(x, taps, axis=-1)
    for start in range(0, y.shape[-1], _BLOCK):
        m = np.arange(start, min(start + _BLOCK, y.shape[-1]))
        y[..., m] = np.einsum("...mk,mk->...m", windows[..., m * o // n, :], kernels[m % n])
    return y


@lru_cache(maxsize=8)
def _kernels(o, n):
    """[n, taps]: h for each fraction of an input sample that an output can lie at.

    Row p serves the outputs m with m % n = p; its taps are the input samples
    floor(m o / n) + k, k = -(taps/2 - 1) .. taps/2.
    """
    base = min(o, n) * _ROLLOFF
    width = math.ceil(_ZERO_CROSSINGS * o / base)
    fraction = (np.arange(n) * o % n) / n
    distance = np.arange(-width, width + 2) - fraction[:, np.newaxis]
    t = np.clip(distance * base / o, -_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = np.i0(_KAISER_BETA * np.sqrt(1 - (t / _ZERO_CROSSINGS) ** 2)) / np.i0(_KAISER_BETA)
    return np.sinc(t) * window * base / o


def _resample_soxr(x, sample_rate):
    soxr = import_soxr()
    length = _length(x.shape[-1], sample_rate)
    # soxr rounds its length to the nearest sample; a little silence after the end lets it give
    # the last one where we round up.
    tail = np.zeros((*x.shape[:-1], -(-2 * sample_rate // SAMPLE_RATE_IN)), x.dtype)
    padded = np.concatenate([x, tail], axis=-1)
    rows = padded.reshape(-1, padded.shape[-1])
    y = np.stack([soxr.resample(row, sample_rate, SAMPLE_RATE_IN, quality="VHQ") for row in rows])
    return y[:, :length].reshape(*x.shape[:-1], length)


def import_soxr():
    """The optional package soxr. Raises ModuleNotFoundError that names the extra."""
    try:
        import soxr  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the soxr resampler needs the package soxr: pip install 'novasr-np[soxr]'"
        ) from error
    return soxr


def _length(samples, sample_rate):
    return -(-samples * SAMPLE_RATE_IN // sample_rate)
