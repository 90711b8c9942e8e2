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


@pytest.mark.parametrize("resampler", ["upstream", "soxr"])
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


@pytest.mark.parametrize("resampler", ["upstream", "soxr"])
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
