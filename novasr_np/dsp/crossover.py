"""Restore the input's own low band: ``y + k * (x - y)``, with k a low pass, at the output's rate.

The network makes its low band anew. Where the recording has one, it can be kept: k's pass band
comes from the input, all else from the network, and since both go through the same symmetric
kernel, their sum has no dip and no delay. A sound in which both agree passes unchanged.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from ..samples import ceil_div
from .polyphase import Polyphase, kernels
from .sinc import kaiser, kaiser_beta, windowed_sinc

_ATTENUATION = 100  # dB, in the stop band
_STEEPNESS = 7  # the crossover's frequency in widths of the transition
_BLOCK = 1 << 16  # samples at the output's rate at a time


def cutoff(keep_lowband: Any, sample_rate: int, rate_out: int) -> float | None:
    """Hz below which the input is kept: half of it is there, all of it half a transition below.

    keep_lowband: True for 7/16 of the sampling rate (7 kHz at 16 kHz), so that the kernel ends
    below half of it and an anti-aliasing filter's slope is left to the network; or Hz, more than
    0; False for none at all (None). At rate_out, the output's, and above, True keeps everything up
    to 7/16 of that (21 kHz at 48 kHz).

    Raises TypeError for what is neither, ValueError for Hz that the sampling rate cannot hold.
    """
    if keep_lowband is False or keep_lowband is None:
        return None
    rate = min(sample_rate, rate_out)
    if keep_lowband is True:
        return rate * _STEEPNESS / (2 * _STEEPNESS + 2)
    if not isinstance(keep_lowband, (int, float, np.integer, np.floating)):
        raise TypeError(f"keep_lowband is True, False or a number of Hz, got {keep_lowband!r}")
    most = rate * _STEEPNESS / (2 * _STEEPNESS + 1)  # the transition ends at half the rate
    if not 0 < keep_lowband <= most:
        raise ValueError(
            f"keep_lowband {keep_lowband} Hz; expected more than 0, and at most {most:.0f} "
            f"of sound sampled at {sample_rate} Hz"
        )
    return float(keep_lowband)


def below(edge: float | None, sample_rate: int, rate_out: int) -> float:
    """`cutoff`'s True for a recording whose sound ends at `edge` Hz already (`band.edge`).

    7/8 of that, as 7/16 of the sampling rate are 7/8 of what it can hold.
    """
    most = cutoff(True, sample_rate, rate_out)
    assert most is not None
    return most if edge is None else min(most, edge * 2 * _STEEPNESS / (2 * _STEEPNESS + 2))


class Crossover:
    """For signals that come chunk by chunk.

    hertz: as `cutoff` gives it. sample_rate: of the input, rate_out: of the network's output, Hz.
    """

    def __init__(
        self, hertz: float, sample_rate: int, rate_out: int, channels: int, dtype: Any
    ) -> None:
        self._input = _low_pass(hertz, sample_rate, rate_out, channels, dtype)
        self._network = _low_pass(hertz, rate_out, rate_out, channels, dtype)
        self.sample_rate, self.rate_out = sample_rate, rate_out
        self._waiting = [np.zeros((channels, 0), dtype)] * 3

    @property
    def latency(self) -> int:
        """Samples at the input's rate that an output needs beyond what the network does."""
        return ceil_div(self._network.latency * self.sample_rate, self.rate_out)

    def push(self, x: np.ndarray, y: np.ndarray, last: bool) -> np.ndarray:
        """Take x [channels, n] at the input's rate, and what the network gave since, y.

        Gives the outputs that they determine, as many in all as the network's.
        """
        if last:  # the network rounds its length up
            silence = np.zeros((len(x), self.sample_rate // self.rate_out * 3 + 3), x.dtype)
            x = np.concatenate([x, silence], axis=-1)
        new = y, self._input.push(x, last), self._network.push(y, last)
        waiting = [np.concatenate(pair, -1) for pair in zip(self._waiting, new, strict=True)]
        count = min(part.shape[-1] for part in waiting)
        self._waiting = [part[:, count:].copy() for part in waiting]
        y, low_of_input, low_of_network = (part[:, :count] for part in waiting)
        return y + (low_of_input - low_of_network)


def make(
    keep_lowband: Any, sample_rate: int, rate_out: int, channels: int, dtype: Any
) -> Crossover | None:
    """The crossover that `upsample` is asked for, or None. Raises as `cutoff` and `kernels`."""
    hertz = cutoff(keep_lowband, sample_rate, rate_out)
    return None if hertz is None else Crossover(hertz, sample_rate, rate_out, channels, dtype)


def keep_low(crossover: Crossover, x: np.ndarray, y: np.ndarray) -> None:
    """Put the low band of x [channels, T] into y [channels, m], in place, with a new crossover."""
    written, read = 0, 0
    for start in range(0, max(1, y.shape[-1]), _BLOCK):
        stop = min(start + _BLOCK, y.shape[-1])
        last = stop == y.shape[-1]
        until = x.shape[-1] if last else stop * crossover.sample_rate // crossover.rate_out
        out = crossover.push(x[:, read:until], y[:, start:stop].copy(), last)
        y[:, written : written + out.shape[-1]] = out
        written, read = written + out.shape[-1], until


def _low_pass(
    hertz: float, sample_rate: int, rate_out: int, channels: int, dtype: Any
) -> Polyphase:
    o = sample_rate // math.gcd(sample_rate, rate_out)
    return Polyphase(_table(hertz, sample_rate, rate_out, np.dtype(dtype)), o, channels)


@lru_cache(maxsize=2)
def _table(hertz: float, sample_rate: int, rate_out: int, dtype: np.dtype) -> np.ndarray:
    """A windowed sinc from any rate to rate_out, by Kaiser's rules for beta and length."""
    transition = hertz / _STEEPNESS  # Hz, in all
    half = (_ATTENUATION - 7.95) / (2.285 * 2 * np.pi * transition) / 2  # s
    beta = kaiser_beta(_ATTENUATION)

    def h(distance: np.ndarray) -> np.ndarray:
        t = distance / sample_rate  # s
        return windowed_sinc(2 * hertz * t, kaiser(t / half, beta)) * 2 * hertz / sample_rate

    divisor = math.gcd(sample_rate, rate_out)
    o, n = sample_rate // divisor, rate_out // divisor
    return kernels(o, n, h, half * sample_rate, dtype)
