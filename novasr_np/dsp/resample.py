"""Resample from any rate, with a steep filter, the filters of the networks' originals, or soxr.

"steep" is a windowed sinc by Kaiser's rules (`polyphase.low_pass`), whose stop band begins at half
the lower of the two rates. So nothing is mirrored there, neither up nor down.

The originals resample with torchaudio's windowed sinc. With both rates divided by their
greatest common divisor (o in, n out) output m lies at input time ``c = m o / n``, and

``y[m] = sum_i h(i - c) x[i]``, ``h(d) = (b/o) sinc(t) I0(B sqrt(1 - (t/6)^2)) / I0(B)``,
``t = d b / o``, zero where |t| > 6, with ``b = 0.99 min(o, n)`` and ``B = 14.769656459379492``

(torchaudio.functional.resample: lowpass_filter_width 6, rolloff 0.99, Kaiser window). FlashSR's
reader has torchaudio's default, "hann": ``cos(pi t / 12)^2`` in place of the quotient of I0.
"""

import math
from functools import cache, lru_cache, partial
from typing import Any

import numpy as np

from ..errors import missing_extra
from ..samples import as_array, ceil_div, whole_number
from .polyphase import ChunkFilter, Polyphase, kernels, low_pass
from .sinc import hann, kaiser, windowed_sinc

RESAMPLERS = ("steep", "upstream", "hann", "soxr")
MIN_RATE, MAX_RATE = 1_000, 768_000  # Hz

ZERO_CROSSINGS = 6  # on either side
ROLLOFF = 0.99
KAISER_BETA = 14.769656459379492

# Of "steep"; the engine has the same (native/rates.c). 120 dB below full scale is less than the
# weakest sound that airband hears (`FLOOR` of its spec).
_ATTENUATION = 120  # dB
_TRANSITION = 0.08  # of half the lower rate


def resample(x: Any, sample_rate: int, new_rate: int, resampler: str = "upstream") -> np.ndarray:
    """x [..., T] at `sample_rate` Hz -> [..., ceil(new_rate T / sample_rate)] at `new_rate` Hz.

    x is float32 or float64 and keeps its dtype. At the new rate already it is returned as it is.
    resampler: "steep", "upstream" or "hann" (above; the stop bands of the last two are leaky, as
    the originals' are), or "soxr" (steep, quality VHQ, needs the extra ``soxr``).

    Raises ValueError for another resampler or a rate that `make` refuses, TypeError for a rate that
    is no whole number, another dtype or a scalar, ModuleNotFoundError if soxr is chosen but not
    installed.
    """
    x = as_array("x", x)
    if x.ndim == 0:
        raise TypeError(f"x must be float32 or float64 [..., T], got a scalar, {x}")
    sample_rate, new_rate = check_rate(sample_rate), check_rate(new_rate, "new_rate")
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    stream = make(resampler, sample_rate, new_rate, len(rows), x.dtype)
    if isinstance(stream, Unchanged):
        return x
    if len(rows) == 0:
        length = ceil_div(x.shape[-1] * new_rate, sample_rate)
        return np.zeros((*x.shape[:-1], length), x.dtype)
    y = stream.push(rows, last=True)
    return y.reshape(*x.shape[:-1], y.shape[-1])


def make(name: str, sample_rate: int, new_rate: int, channels: int, dtype: Any) -> ChunkFilter:
    """Make a resampler for signals that come chunk by chunk.

    It returns ceil(new_rate T / sample_rate) samples in total for T samples. Raises as `resample`
    does, and ValueError for a rate outside `MIN_RATE` .. `MAX_RATE`, or one whose filter would take
    too much memory (`polyphase.kernels`).
    """
    if name not in RESAMPLERS:
        raise ValueError(f"resampler must be one of {RESAMPLERS}, got {name!r}")
    sample_rate = check_rate(sample_rate)
    if sample_rate == new_rate:
        return Unchanged()
    if name == "soxr":
        return Soxr(sample_rate, new_rate, channels, dtype)
    divisor = math.gcd(sample_rate, new_rate)
    o, n = sample_rate // divisor, new_rate // divisor
    table = _steep if name == "steep" else partial(_torchaudio, name)
    return Polyphase(table(o, n, np.dtype(dtype)), o, channels)


def check_rate(rate: Any, name: str = "sampling rate") -> int:
    """Check a sampling rate in Hz, and return it. Raises as `make`."""
    rate = whole_number(name, rate, least=None)
    if not MIN_RATE <= rate <= MAX_RATE:
        raise ValueError(f"{name} must be from {MIN_RATE} to {MAX_RATE} Hz, got {rate}")
    return rate


def passes_below(name: str, sample_rate: int, new_rate: int) -> float | None:
    """Hz at which half of a sound is left, 6 dB down, by a filter that cuts below half its rate.

    None if nothing is cut: at one rate, or by a filter that leaks.
    """
    if name != "steep" or sample_rate >= new_rate:
        return None
    return sample_rate / 2 * (1 - _TRANSITION / 2)


class Unchanged:
    """Resampler for a signal that is at the new rate already."""

    latency = 0

    def push(self, x: np.ndarray, last: bool) -> np.ndarray:
        """Return the chunk as it is."""
        return x


class Soxr:
    """Resampler by the library soxr, quality VHQ."""

    def __init__(self, sample_rate: int, new_rate: int, channels: int, dtype: Any) -> None:
        self._stream = _soxr_stream(sample_rate, new_rate, channels, np.dtype(dtype).name)
        self._rates = sample_rate, new_rate
        self._taken = self._given = 0

    @property
    def latency(self) -> int:
        """Largest number of input samples that soxr holds back: measured, as it is not stated."""
        return _soxr_latency(*self._rates)

    def push(self, x: np.ndarray, last: bool) -> np.ndarray:
        """Take x [channels, n]; return the samples that soxr has ready, [channels, m]."""
        sample_rate, new_rate = self._rates
        self._taken += x.shape[-1]
        length = ceil_div(self._taken * new_rate, sample_rate)
        if last:
            # soxr rounds its length to the nearest sample, we round up: a little silence makes it
            # return the last one.
            silence = np.zeros((len(x), ceil_div(2 * sample_rate, new_rate)), x.dtype)
            x = np.concatenate([x, silence], axis=-1)
        y = self._stream.resample_chunk(np.ascontiguousarray(x.T), last=last).T
        y = y[:, : length - self._given]
        self._given += y.shape[-1]
        return y


def _soxr_stream(sample_rate: int, new_rate: int, channels: int, dtype: str) -> Any:
    return import_soxr().ResampleStream(sample_rate, new_rate, channels, dtype, quality="VHQ")


@cache
def _soxr_latency(sample_rate: int, new_rate: int) -> int:
    """Measure the latency on a second of silence."""
    stream = _soxr_stream(sample_rate, new_rate, 1, "float32")
    silence = np.zeros((sample_rate // 1000, 1), np.float32)
    taken = given = most = 0
    while taken < sample_rate:
        taken += len(silence)
        given += len(stream.resample_chunk(silence))
        most = max(most, taken - given * sample_rate // new_rate)
    return most


@lru_cache(maxsize=8)
def _steep(o: int, n: int, dtype: np.dtype) -> np.ndarray:
    """Make the table of the steep filter."""
    half = min(o, n) / 2
    transition = _TRANSITION * half
    return low_pass(half - transition / 2, transition, _ATTENUATION, o, n, dtype)


@lru_cache(maxsize=8)
def _torchaudio(name: str, o: int, n: int, dtype: np.dtype) -> np.ndarray:
    """Make the table of the windowed sinc above."""
    base = min(o, n) * ROLLOFF

    def h(distance: np.ndarray) -> np.ndarray:
        t = np.clip(distance * base / o, -ZERO_CROSSINGS, ZERO_CROSSINGS)
        u = t / ZERO_CROSSINGS
        return windowed_sinc(t, hann(u) if name == "hann" else kaiser(u, KAISER_BETA)) * base / o

    return kernels(o, n, h, ZERO_CROSSINGS * o / base, dtype)


def import_soxr() -> Any:
    """Import the optional package soxr. Raises ModuleNotFoundError that names the extra."""
    try:
        import soxr  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing_extra("the soxr resampler needs the package soxr", "soxr") from error
    return soxr
