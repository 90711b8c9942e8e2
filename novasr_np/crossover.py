"""The input's own band put back: ``y + k * (x - y)``, with k a low pass, at 48 kHz.

The network makes its low band anew. Where the recording has one, it can be kept: k's pass band
comes from the input, all else from the network, and since both go through the same symmetric
kernel, their sum has no dip and no delay. A sound in which both agree passes unchanged.
"""

import math

import numpy as np

from .polyphase import Polyphase, kernels
from .spec import SAMPLE_RATE_OUT

_ATTENUATION = 100  # dB
_BLOCK = 1 << 16  # samples at 48 kHz at a time


def cutoff(keep_lowband, sample_rate: int) -> float | None:
    """Hz below which the input is kept: half of it is there, all of it a fourteenth below.

    keep_lowband: True for 7/16 of the sampling rate (7 kHz at 16 kHz), so that the kernel ends
    below half of it and an anti-aliasing filter's slope is left to the network; or Hz, more than
    0; False for none at all (None). At 48 kHz and above True keeps everything up to 21 kHz.

    Raises TypeError for what is neither, ValueError for Hz that the sampling rate cannot hold.
    """
    if keep_lowband is False or keep_lowband is None:
        return None
    rate = min(sample_rate, SAMPLE_RATE_OUT)
    if keep_lowband is True:
        return rate * 7 / 16
    if not isinstance(keep_lowband, (int, float, np.integer, np.floating)):
        raise TypeError(f"keep_lowband is True, False or a number of Hz, got {keep_lowband!r}")
    most = rate * 7 / 15
    if not 0 < keep_lowband <= most:
        raise ValueError(
            f"keep_lowband {keep_lowband} Hz; expected more than 0, and at most {most:.0f} "
            f"of sound sampled at {sample_rate} Hz"
        )
    return float(keep_lowband)


class Crossover:
    """For signals that come bit by bit. hertz: as `cutoff` gives it."""

    def __init__(self, hertz: float, sample_rate: int, channels: int, dtype) -> None:
        self._input = _low_pass(hertz, sample_rate, channels, dtype)
        self._network = _low_pass(hertz, SAMPLE_RATE_OUT, channels, dtype)
        self._rate = sample_rate
        self._waiting = [np.zeros((channels, 0), dtype)] * 3

    @property
    def latency(self) -> int:
        """Samples at the input's rate that an output needs beyond what the network does."""
        return -(-self._network.latency * self._rate // SAMPLE_RATE_OUT)

    def push(self, x, y, last: bool) -> np.ndarray:
        """Take x [channels, n] at the input's rate, and what the network gave since, y at 48 kHz.

        Gives the outputs that they settle, as many in all as the network's.
        """
        if last:  # the network rounds its length up
            silence = np.zeros((len(x), self._rate // SAMPLE_RATE_OUT * 3 + 3), x.dtype)
            x = np.concatenate([x, silence], axis=-1)
        new = y, self._input.push(x, last), self._network.push(y, last)
        waiting = [np.concatenate(pair, -1) for pair in zip(self._waiting, new, strict=True)]
        count = min(part.shape[-1] for part in waiting)
        self._waiting = [part[:, count:].copy() for part in waiting]
        y, own, made = (part[:, :count] for part in waiting)
        return y + (own - made)


def keep(x, sample_rate: int, y, hertz: float) -> None:
    """Put the band of x [channels, T] below `hertz` into y [channels, m] at 48 kHz, in place."""
    crossover = Crossover(hertz, sample_rate, len(x), y.dtype)
    given, taken = 0, 0
    for start in range(0, max(1, y.shape[-1]), _BLOCK):
        stop = min(start + _BLOCK, y.shape[-1])
        last = stop == y.shape[-1]
        until = x.shape[-1] if last else stop * sample_rate // SAMPLE_RATE_OUT
        out = crossover.push(x[:, taken:until], y[:, start:stop].copy(), last)
        y[:, given : given + out.shape[-1]] = out
        given, taken = given + out.shape[-1], until


def _low_pass(hertz, sample_rate, channels, dtype) -> Polyphase:
    """Sinc under a Kaiser window, from any rate to 48 kHz (Kaiser's rules for beta and length)."""
    transition = hertz / 7  # Hz, in all
    seconds = (_ATTENUATION - 7.95) / (2.285 * 2 * np.pi * transition) / 2
    beta = 0.1102 * (_ATTENUATION - 8.7)

    def h(distance):
        t = distance / sample_rate
        window = np.i0(beta * np.sqrt(np.maximum(0, 1 - (t / seconds) ** 2))) / np.i0(beta)
        inside = np.abs(t) <= seconds
        return inside * window * np.sinc(2 * hertz * t) * 2 * hertz / sample_rate

    divisor = math.gcd(sample_rate, SAMPLE_RATE_OUT)
    o, n = sample_rate // divisor, SAMPLE_RATE_OUT // divisor
    return Polyphase(kernels(o, n, h, seconds * sample_rate), o, channels, dtype)
