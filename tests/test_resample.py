"""The resampler against its formula in loops, against tones, and at the door."""

import math

import numpy as np
import pytest
from conftest import check

from novasr_np import resample


def naive(x, sample_rate, resampler="upstream"):
    """torchaudio's construction, as the spec words it: kernels per phase, stride, crop."""
    divisor = math.gcd(sample_rate, 16_000)
    o, n = sample_rate // divisor, 16_000 // divisor
    base = min(o, n) * 0.99
    width = math.ceil(6 * o / base)
    beta = 14.769656459379492
    i = np.arange(-width, width + o)
    kernels = []
    for p in range(n):
        t = np.clip((i / o - p / n) * base, -6, 6)
        window = np.i0(beta * np.sqrt(1 - (t / 6) ** 2)) / np.i0(beta)
        window = np.cos(np.pi * t / 12) ** 2 if resampler == "hann" else window
        kernels.append(np.sinc(t) * window * base / o)
    padded = np.pad(x, (width, width + o))
    frames = range(0, len(padded) - len(i) + 1, o)
    y = np.array([kernel @ padded[f : f + len(i)] for f in frames for kernel in kernels])
    return y[: math.ceil(n * len(x) / o)]


@pytest.mark.parametrize("resampler", ["upstream", "hann"])
@pytest.mark.parametrize("rate", [8000, 11025, 22050, 24000, 32000, 44100, 48000, 96000])
@pytest.mark.parametrize("samples", [1, 2, 100, 1234])
def test_formula(resampler, rate, samples):
    x = np.random.default_rng(rate).normal(size=samples)
    want = naive(x, rate, resampler)
    check(resample(x, rate, resampler), want, 1e-12)
    check(resample(x.astype(np.float32), rate, resampler), want, 5e-6)


@pytest.mark.parametrize("resampler", ["upstream", "steep", "soxr"])
@pytest.mark.parametrize("rate", [8000, 15999, 16000, 22051, 44100, 48000, 192000])
def test_lengths_and_channels(rate, resampler):
    if resampler == "soxr":
        pytest.importorskip("soxr")
    for samples in (0, 1, 2, 999, 20001):
        x = np.random.default_rng(0).normal(size=(2, samples)).astype(np.float32)
        y = resample(x, rate, resampler)
        assert y.shape == (2, math.ceil(16_000 * samples / rate))
        assert y.dtype == np.float32
        check(y[1], resample(x[1], rate, resampler), 1e-6)


@pytest.mark.parametrize("resampler", ["upstream", "steep", "soxr"])
@pytest.mark.parametrize("rate", [8000, 24000, 44100, 48000, 22051])
def test_a_tone_stays_in_place(rate, resampler):
    """440 Hz for a second lands on the same sine at 16 kHz: no delay, no gain."""
    if resampler == "soxr":
        pytest.importorskip("soxr")
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    want = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    y = resample(tone, rate, resampler)
    inside = slice(200, -200)
    check(y[inside], want[inside], 1e-3)


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
def test_steep_is_kaisers_sinc(rate):
    """A windowed sinc as plain sums: 120 dB from half the lower rate on, flat up to 0.92 of it."""
    x = np.random.default_rng(rate).normal(size=400)
    half = min(rate, 16_000) / 2
    seconds = (120 - 7.95) / (2.285 * 2 * np.pi * 0.08 * half) / 2
    beta = 0.1102 * (120 - 8.7)
    t = np.arange(math.ceil(400 * 16_000 / rate))[:, np.newaxis] / 16_000 - np.arange(400) / rate
    window = np.i0(beta * np.sqrt(np.maximum(0, 1 - (t / seconds) ** 2))) / np.i0(beta)
    h = np.where(abs(t) <= seconds, window, 0) * 2 * 0.96 * half * np.sinc(2 * 0.96 * half * t)
    check(resample(x, rate, "steep"), h @ x / rate, 1e-12)


@pytest.mark.parametrize("rate", [6000, 8000, 11025, 12000, 15900, 22050, 44100, 48000])
def test_nothing_is_mirrored_by_the_default(rate):
    """Up to 0.92 of half the lower rate all passes, from there on nothing, down to -100 dB."""
    half = min(rate, 16_000) / 2
    hertz, gain = np.array([[0.3, 0.9, 1.02, 1.3], [1, 1, 0, 0]])
    for tone, kept in zip(hertz * half, gain, strict=True):
        if tone < rate / 2:
            x = np.sin(2 * np.pi * tone * np.arange(rate // 4) / rate)
            y = resample(x, rate)
            want = kept * np.sin(2 * np.pi * tone * np.arange(len(y)) / 16_000)
            check(y[500:-500], want[500:-500], 1e-5, f"{tone} Hz")


def test_sixteen_kilohertz_is_returned_as_it_is():
    x = np.zeros(5, np.float32)
    assert resample(x, 16_000) is x


def test_door():
    x = np.zeros(5)
    with pytest.raises(ValueError, match="'linear'"):
        resample(x, 8000, "linear")
    for rate in (0, -16_000, 999, 768_001):
        with pytest.raises(ValueError, match=str(rate)):
            resample(x, rate)
    for bad in (np.zeros(5, np.int16), np.float32(1)):
        with pytest.raises(TypeError, match="float32 or float64"):
            resample(bad, 8000)
    assert resample(np.zeros((2, 0, 5)), 8000).shape == (2, 0, 10)
    for rate in (44_100.5, True, "48000", None):
        with pytest.raises(TypeError, match="whole number"):
            resample(x, rate)
