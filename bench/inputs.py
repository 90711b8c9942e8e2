"""Degraded inputs: what `bench.quality` makes of a full-band recording.

Each is a rate, where its sound nominally ends, and a function from the recording, [T] at 48 kHz,
to the input at that rate, float64, in step with the recording.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import signal

from novasr_np.dsp.resample import resample
from novasr_np.dsp.sinc import hann, windowed_sinc

RATE = 48_000  # Hz, of the recordings


class Input(NamedTuple):
    """A way to degrade a recording."""

    rate: int  # Hz
    edge: int  # Hz above which it has nothing, or as good as nothing
    make: Callable[[np.ndarray], np.ndarray]


def leaky(x, rate: int, new_rate: int) -> np.ndarray:
    """torchaudio's default: sinc under a Hann window of 6 zeros a side, roll-off 0.99."""
    divisor = np.gcd(rate, new_rate)
    old, new = rate // divisor, new_rate // divisor
    base = 0.99 * min(old, new)
    half = int(np.ceil(6 * old * new / base / old)) * old  # so that outputs fall on the grid
    t = np.arange(-half, half + 1) / (old * new) * base
    taps = windowed_sinc(t, hann(t / 6)) * base / old
    y = signal.upfirdn(taps, x, new, old)
    return y[half // old :][: -(-len(x) * new // old)]


def steep(x, rate: int, new_rate: int) -> np.ndarray:
    """The product's own: 6 dB down at 0.96 of the half rate, 120 dB at the half rate."""
    return resample(np.float64(x), rate, new_rate, "steep")


INPUTS = {
    f"{rate / 1000:g} kHz{words}": Input(rate, rate // 2, partial(down, rate=RATE, new_rate=rate))
    for down, words in ((leaky, ""), (steep, ", steep"))
    for rate in (8000, 12_000, 16_000, 24_000)
}
