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

from .polyphase import Polyphase, kernels
from .spec import SAMPLE_RATE_IN

RESAMPLERS = ("upstream", "soxr")
MIN_RATE, MAX_RATE = 1_000, 768_000  # Hz

_ZERO_CROSSINGS = 6
_ROLLOFF = 0.99
_KAISER_BETA = 14.769656459379492


def resample(x, sample_rate, resampler="upstream"):
    """x [..., T] at `sample_rate` Hz -> [..., ceil(16000 T / sample_rate)] at 16 kHz.

    x is float32 or float64 and keeps its dtype. At 16 kHz it is returned as it is.
    resampler: "upstream" (above; its stop band is leaky, as the original's is) or "soxr"
    (steep, quality VHQ, needs the extra ``soxr``).

    Raises ValueError for another resampler or a rate outside 1000 .. 768000, TypeError for a
    rate that is no whole number or another dtype, ModuleNotFoundError if soxr is asked for and
    absent.
    """
    x = np.asarray(x)
    if x.ndim == 0 or x.dtype not in (np.float32, np.float64):
        raise TypeError(f"resample takes float32 or float64 [..., T], got {x.dtype} {x.shape}")
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    stream = make(resampler, sample_rate, len(rows), x.dtype)
    if isinstance(stream, Unchanged):
        return x
    if len(rows) == 0:
        return np.zeros(
            (*x.shape[:-1], -(-x.shape[-1] * SAMPLE_RATE_IN // int(sample_rate))), x.dtype
        )
    y = stream.push(rows, last=True)
    return y.reshape(*x.shape[:-1], y.shape[-1])


def make(name, sample_rate, channels, dtype):
    """A resampler to 16 kHz for signals that come bit by bit; raises as `resample` does.

    It has ``push(x, last)``, [channels, n] -> [channels, m], for any n; after the last, m add up
    to ceil(16000 T / sample_rate). Its ``latency`` is in samples of the input.
    """
    if name not in RESAMPLERS:
        raise ValueError(f"resampler is one of {RESAMPLERS}, got {name!r}")
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, (int, np.integer)):
        raise TypeError(f"sample rate is a whole number of Hz, got {sample_rate!r}")
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise ValueError(f"sample rate {sample_rate} Hz; expected {MIN_RATE} to {MAX_RATE}")
    if sample_rate == SAMPLE_RATE_IN:
        return Unchanged()
    if name == "soxr":
        return Soxr(int(sample_rate), channels, dtype)
    divisor = math.gcd(sample_rate, SAMPLE_RATE_IN)
    o, n = int(sample_rate) // divisor, SAMPLE_RATE_IN // divisor
    return Polyphase(_upstream(o, n), o, channels, dtype)


class Unchanged:
    """16 kHz already."""

    latency = 0

    def push(self, x, last):
        return x


class Soxr:
    """The library soxr, quality VHQ."""

    def __init__(self, sample_rate, channels, dtype):
        self._open = lambda: import_soxr().ResampleStream(
            sample_rate, SAMPLE_RATE_IN, channels, np.dtype(dtype).name, quality="VHQ"
        )
        self._stream = self._open()
        self._silence = np.zeros((sample_rate // 1000, channels), dtype)
        self._rate = sample_rate
        self._taken = self._given = 0

    @property
    def latency(self):
        """soxr works in blocks and does not tell: the most it holds back of a second of silence."""
        stream, taken, given, most = self._open(), 0, 0, 0
        while taken < self._rate:
            taken += len(self._silence)
            given += len(stream.resample_chunk(self._silence))
            most = max(most, taken - given * self._rate // SAMPLE_RATE_IN)
        return most

    def push(self, x, last):
        self._taken += x.shape[-1]
        length = -(-self._taken * SAMPLE_RATE_IN // self._rate)
        if last:
            # soxr rounds its length to the nearest sample, we up: a little silence makes it
            # give the last one.
            silence = np.zeros((len(x), -(-2 * self._rate // SAMPLE_RATE_IN)), x.dtype)
            x = np.concatenate([x, silence], axis=-1)
        y = self._stream.resample_chunk(np.ascontiguousarray(x.T), last=last).T
        y = y[:, : length - self._given]
        self._given += y.shape[-1]
        return y


@lru_cache(maxsize=8)
def _upstream(o, n):
    """The windowed sinc above, as a table."""
    base = min(o, n) * _ROLLOFF

    def h(distance):
        t = np.clip(distance * base / o, -_ZERO_CROSSINGS, _ZERO_CROSSINGS)
        window = np.i0(_KAISER_BETA * np.sqrt(1 - (t / _ZERO_CROSSINGS) ** 2))
        return np.sinc(t) * window / np.i0(_KAISER_BETA) * base / o

    return kernels(o, n, h, _ZERO_CROSSINGS * o / base)


def import_soxr():
    """The optional package soxr. Raises ModuleNotFoundError that names the extra."""
    try:
        import soxr  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the soxr resampler needs the package soxr: pip install 'novasr-np[soxr]'"
        ) from error
    return soxr
