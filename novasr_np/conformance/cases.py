"""The test inputs for ports, the same on every machine."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

LENGTHS = range(2, 41)  # samples
LONG_SECONDS = 600


class Case(NamedTuple):
    """Test input: 16-bit samples as float32, so that any file can hold them."""

    name: str
    x: np.ndarray  # [T]
    rate: int  # Hz
    is_length: bool = False  # True for the cases of all short lengths


def cases(
    rate: int, long_seconds: float = LONG_SECONDS, other_rates: tuple[int, ...] = ()
) -> Iterator[Case]:
    """Yield the inputs for a network with `rate` Hz as its input rate.

    long_seconds: the length of the last case, 0 for none. other_rates: in Hz, for additional cases
    for ports that resample.
    """
    tone = 0.5 * np.sin(np.arange(2000) * 2 * np.pi * 7900 / rate)
    yield Case("speech-like", voice(8000, rate), rate)
    yield Case("noise", noise(3000, 0.5), rate)
    yield Case("impulse", _as_16_bit(np.eye(1, 400, 200)[0] * 0.9), rate)
    yield Case("constant", _as_16_bit(np.full(400, 0.25)), rate)
    yield Case("silence", np.zeros(400, np.float32), rate)
    yield Case("full scale", _as_16_bit(np.sign(voice(2000, rate)) * (1 - 2**-15)), rate)
    yield Case("tone at 7.9 kHz", _as_16_bit(tone), rate)
    for samples in LENGTHS:
        yield Case(f"length {samples}", noise(samples, 0.5), rate, is_length=True)
    for other in other_rates:
        yield Case(f"speech-like at {other} Hz", voice(other // 2, other), other)
    if long_seconds:
        yield Case(f"{long_seconds:g} s", noise(round(long_seconds * rate), 0.3), rate)


def voice(samples: int, rate: int) -> np.ndarray:
    """Make a buzz with moving pitch and formants, with pauses, float32."""
    t = np.arange(samples) / rate
    phase = 2 * np.pi * (130 * t - 20 * np.cos(2 * np.pi * 0.9 * t) / (2 * np.pi * 0.9))
    x = np.zeros(samples)
    for k in range(1, 50):
        formant = sum(1 / (1 + ((150 * k - f) / 250) ** 2) for f in (600, 1700, 2900, 5200))
        if 150 * k < rate / 2:
            x += (0.02 / k + 0.2 * formant / np.sqrt(k)) * np.sin(k * phase + k * k)
    return _as_16_bit(0.5 * x * np.maximum(0, np.sin(2 * np.pi * 2.5 * t)) ** 0.5)


def noise(samples: int, level: float) -> np.ndarray:
    """Make uniform noise within +- level, float32, by splitmix64, which any language can have."""
    z = (np.arange(1, samples + 1, dtype=np.uint64) * 0x9E3779B97F4A7C15) & (2**64 - 1)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return _as_16_bit((z >> np.uint64(11)) / 2**52 * level - level)


def _as_16_bit(x: np.ndarray) -> np.ndarray:
    """Round to 16 bits, full scale 1."""
    return (np.clip(np.rint(x * 32768), -32768, 32767) / 32768).astype(np.float32)
