"""The test inputs for ports, the same on every machine."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..networks import Network

LONG_SECONDS = 600
QUIET = -60, -80, -96  # dB of full scale

# Samples of a network that takes one rate: all lengths around its context, then those around
# powers of two, tens of milliseconds and thousands.
_LENGTHS = (
    *(*range(2, 27), 31, 32, 33, 63, 64, 65, 80, 127, 128, 129, 160, 161, 256, 257),
    *(1023, 1024, 1025),
)
# For networks that take any band: Hz of the input, and of the edge.
_BANDS = (
    *((4000, 2000), (8000, 4000), (8000, 3725), (12_000, 5500), (16_000, 7750), (16_000, 2000)),
    *((22_000, 11_000), (24_000, 7975), (32_000, 16_000), (48_000, 24_000), (48_000, 11_025)),
)
_TELEPHONE = 300, 3400  # Hz
_PERIOD = 80_720  # samples, 5 s, of the longest case: of no common block a multiple


class Case(NamedTuple):
    """Test input: 16-bit samples as float32, so that any file can hold them."""

    name: str
    x: np.ndarray  # [T], or [channels, T]
    rate: int  # Hz
    is_length: bool = False  # True for the cases of all lengths
    edge: int | None = None  # Hz at which the sound ends, for a network that takes any band
    period: int | None = None  # samples after which x repeats itself


def cases(
    network: Network,
    long_seconds: float = LONG_SECONDS,
    other_rates: tuple[int, ...] = (),
    channels: int = 1,
) -> Iterator[Case]:
    """Yield the inputs for a network.

    long_seconds: the length of the last case, 0 for none, and then for none of several seconds.
    other_rates: in Hz, for additional cases for ports that resample. channels: 2 for an additional
    case with two that differ.
    """
    rate, any_band = network.rate_in, network.takes is not None
    half = rate // 2 if any_band else None
    gap = voice(2000, rate)
    gap[:100] = gap[700:1400] = gap[1900:] = 0
    for name, x in (
        ("speech-like", voice(8000, rate)),
        ("noise", noise(3000, 0.5)),
        ("impulse", _as_16_bit(np.eye(1, 400, 200)[0] * 0.9)),
        ("constant", _as_16_bit(np.full(400, 0.25))),
        ("silence", np.zeros(400, np.float32)),
        ("silence within", gap),
        ("full scale", _as_16_bit(np.sign(voice(2000, rate)) * (1 - 2**-15))),
        ("offset", _as_16_bit(voice(2000, rate) + 0.125)),
        *((f"noise at {level} dB", noise(800, 3**0.5 * 10 ** (level / 20))) for level in QUIET),
    ):
        yield Case(name, x, rate, edge=half)
    yield from _of_any_band(rate) if any_band else _of_one_band(rate)
    for other in other_rates:
        edge = other // 2 if any_band else None
        yield Case(f"speech-like at {other} Hz", voice(other // 2, other), other, edge=edge)
    if channels == 2:
        yield Case("two channels", np.stack([voice(4000, rate), noise(4000, 0.3)]), rate, edge=half)
    if long_seconds:
        for samples in (network.cut.context, network.cut.block):
            for length in (samples - 1, samples, samples + 1):
                if length > _LENGTHS[-1]:
                    yield Case(f"length {length}", noise(length, 0.5), rate, True, half)
        x = np.resize(noise(_PERIOD, 0.3), round(long_seconds * rate))
        yield Case(f"{long_seconds:g} s", x, rate, edge=half, period=_PERIOD)


def _of_one_band(rate: int) -> Iterator[Case]:
    yield Case("tone at 7.9 kHz", _tone(rate), rate)
    for samples in _LENGTHS:
        yield Case(f"length {samples}", noise(samples, 0.5), rate, is_length=True)


def _of_any_band(rate: int) -> Iterator[Case]:
    # The tone alone has only its transform's rounding up to 4 kHz, where overtones come from.
    in_noise = _tone(rate) + noise(2000, 0.05)
    yield Case("tone in noise", in_noise, rate, edge=rate // 2)
    for other, edge in _BANDS:
        name = f"{other / 1000:g} kHz, edge {edge / 1000:g}"
        # Where the edge is below half the rate there is sound above it, which is not to be heard.
        x = voice(other // 4, other) + noise(other // 4, 0.02)
        yield Case(name, x, other, edge=edge)
    low, edge = _TELEPHONE
    for other in (8000, 48_000):
        x = voice(other // 4, other, low, edge)
        yield Case(f"{other / 1000:g} kHz, telephone", x, other, edge=edge)
    for other in (8000, 12_000, 16_000, 24_000, 48_000):
        hop = other // 200
        lengths = [1, hop - 1, hop, 2 * hop + hop // 2 + 1]
        if other == rate:  # more, around a frame, and around powers of two
            lengths += [2, 3, hop // 2 + 1, hop + 1, 4 * hop - 1, 4 * hop, 4 * hop + 1]
            lengths += [128, 255, 256, 257, 1024, 1025]
        for samples in sorted(lengths):
            name = f"length {samples} at {other} Hz"
            yield Case(name, noise(samples, 0.5), other, is_length=True, edge=other // 2)


def _tone(rate: int) -> np.ndarray:
    return _as_16_bit(0.5 * np.sin(np.arange(2000) * 2 * np.pi * 7900 / rate))


def voice(samples: int, rate: int, low: float = 0, high: float | None = None) -> np.ndarray:
    """Make a buzz with moving pitch and formants, with pauses, float32.

    low, high: Hz between which it has overtones; by default all up to half the rate.
    """
    t = np.arange(samples) / rate
    phase = 2 * np.pi * (130 * t - 20 * np.cos(2 * np.pi * 0.9 * t) / (2 * np.pi * 0.9))
    x = np.zeros(samples)
    for k in range(1, 50):
        formant = sum(1 / (1 + ((150 * k - f) / 250) ** 2) for f in (600, 1700, 2900, 5200))
        if low < 150 * k < (high or rate / 2):
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
