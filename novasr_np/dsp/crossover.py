"""Restore the input's own low band: ``y + k * (x - y)``, with k a low pass, at the output's rate.

The network generates the low band again, but the recording's low band can be kept: k's pass band
comes from the input, all else from the network. As both go through the same symmetric kernel, their
sum has no dip and no delay. A sound that is the same in both passes unchanged.

airband keeps all below the sound's edge by itself, and needs none of this.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from ..samples import ceil_div
from .polyphase import Polyphase, low_pass

_ATTENUATION = 100  # dB, in the stop band
# The crossover's frequency in widths of the transition. The engine has the same (native/rates.c),
# and the share of 7/8 in docstrings and help follows from it.
_STEEPNESS = 7


def check(hertz: float, sample_rate: int, rate_out: int) -> float:
    """Check the Hz below which the input is kept, and return them.

    At this frequency half of the input is kept, half a transition below it all. sample_rate: of the
    input; rate_out: of the output. Raises ValueError for Hz too high for these rates.
    """
    rate = min(sample_rate, rate_out)
    most = rate * _STEEPNESS / (2 * _STEEPNESS + 1)  # the transition ends at half the rate
    if not 0 < hertz <= most:
        raise ValueError(
            f"keep_lowband must be more than 0 and at most {most:.0f} Hz of sound sampled at "
            f"{sample_rate} Hz, got {hertz}"
        )
    return float(hertz)


def highest(sample_rate: int, rate_out: int, edge: float | None = None) -> float:
    """Hz below which nearly all of the input is kept: 7/8 of the highest frequency of both rates.

    So the kernel's band ends below half the rate, and the slope of an anti-aliasing filter is left
    to the network. edge: Hz at which the sound ends (`band.edge`), if known; then 7/8 of that.
    """
    half = min(sample_rate, rate_out) / 2
    end = half if edge is None else min(half, edge)
    return end * _STEEPNESS / (_STEEPNESS + 1)


class Crossover:
    """Crossover for signals that come chunk by chunk.

    hertz: as `check` or `highest` gives it. sample_rate: of the input, rate_out: of the network's
    output, Hz.
    """

    def __init__(
        self, hertz: float, sample_rate: int, rate_out: int, channels: int, dtype: Any
    ) -> None:
        self._input = _filter(hertz, sample_rate, rate_out, channels, dtype)
        self._network = _filter(hertz, rate_out, rate_out, channels, dtype)
        self.sample_rate, self.rate_out = sample_rate, rate_out
        self._waiting = [np.zeros((channels, 0), dtype)] * 3

    @property
    def latency(self) -> int:
        """Samples of look-ahead at the input's rate, in addition to the network's."""
        return ceil_div(self._network.latency * self.sample_rate, self.rate_out)

    def push(self, x: np.ndarray, y: np.ndarray, last: bool) -> np.ndarray:
        """Take x [channels, n] at the input's rate, and y, the network's outputs for it.

        Returns the outputs that they determine, in total as many as the network's.
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


def _filter(hertz: float, sample_rate: int, rate_out: int, channels: int, dtype: Any) -> Polyphase:
    o = sample_rate // math.gcd(sample_rate, rate_out)
    return Polyphase(_table(hertz, sample_rate, rate_out, np.dtype(dtype)), o, channels)


@lru_cache(maxsize=2)
def _table(hertz: float, sample_rate: int, rate_out: int, dtype: np.dtype) -> np.ndarray:
    return low_pass(hertz, hertz / _STEEPNESS, _ATTENUATION, sample_rate, rate_out, dtype)
