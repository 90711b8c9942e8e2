"""Streams equal the whole, come as early as promised, and remember no more than they must."""

import tracemalloc

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from conftest import TOLERANCE, check, speech_like

from novasr_np import Stream, resample, upsample
from novasr_np.dsp.resample import make


def pushed(stream, x, cuts):
    """Push x in the pieces that `cuts` make of it; the outputs, joined."""
    pieces = np.split(x, sorted(cuts), axis=-1)
    outs = [stream.push(piece) for piece in pieces]
    return np.concatenate([*outs, stream.push(x[..., :0], last=True)], axis=-1)


@hypothesis.given(data=st.data(), samples=st.integers(0, 300))
def test_any_chunking(params, data, samples):
    x = np.random.default_rng(samples).uniform(-1, 1, samples).astype(np.float32)
    cuts = data.draw(st.lists(st.integers(0, samples), max_size=40))
    y = pushed(Stream(params), x, cuts)
    assert y.dtype == np.float32
    check(y, upsample(x.astype(np.float64), weights=params), TOLERANCE[np.float32][0])


@hypothesis.settings(max_examples=20)
@hypothesis.given(
    data=st.data(),
    rate=st.sampled_from([8000, 11_025, 22_050, 24_000, 44_100, 48_000]),
    samples=st.integers(0, 700),
)
@pytest.mark.parametrize("keep_lowband", [False, True, 2000])
@pytest.mark.parametrize("resampler", ["steep", "soxr"])
def test_any_rate(params, resampler, keep_lowband, data, rate, samples):
    if resampler == "soxr":
        pytest.importorskip("soxr")
    x = np.random.default_rng(samples).uniform(-1, 1, (2, samples))
    cuts = data.draw(st.lists(st.integers(0, samples), max_size=10))
    how = {"resampler": resampler, "keep_lowband": keep_lowband}
    stream = Stream(params, rate, 2, dtype=np.float64, **how)
    want = upsample(x, rate, weights=params, **how)
    check(pushed(stream, x, cuts), want, 1e-9 if resampler == "soxr" else 1e-12)


def test_sample_by_sample_latency_at_16_khz(params):
    """After N samples 3 (N - 13) have come: the look-ahead, and no more."""
    stream = Stream(params)
    assert stream.latency == 13
    assert stream.latency_seconds == 13 / 16_000
    x = speech_like(100)
    given = 0
    for n in range(100):
        given += stream.push(x[n : n + 1]).size
        assert given == 3 * max(0, n + 1 - 13)
    assert given + stream.push(x[:0], last=True).size == 300


@pytest.mark.parametrize("resampler", ["auto", "steep", "soxr"])
@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("keep_lowband", [False, True])
def test_latency_at_other_rates(params, rate, resampler, keep_lowband):
    """Once `latency` samples have followed a sample, its outputs have come."""
    if resampler == "soxr":
        pytest.importorskip("soxr")
    stream = Stream(params, rate, resampler=resampler, keep_lowband=keep_lowband)
    given, worst = 0, 0
    for n in range(0, 2 * stream.latency + rate // 20, 7):
        given += stream.push(np.zeros(7)).size
        worst = max(worst, n + 7 - given * rate / 48_000)
    slack = 7 + rate / 1000
    assert stream.latency - slack <= worst <= stream.latency + slack


def test_many_channels(params):
    x = np.random.default_rng(0).uniform(-1, 1, (3, 400)).astype(np.float32)
    y = pushed(Stream(params, channels=3), x, [1, 150])
    for channel in range(3):
        check(y[channel], upsample(x[channel], weights=params), TOLERANCE[np.float32][0])


def test_memory_does_not_grow(params):
    """Twelve seconds in 10 ms chunks. A leak would show in both of the later parts.

    The interpreter's own tables grow by a jump now and then, which shows in one at most.
    """
    stream = Stream(params, 48_000)
    chunk = speech_like(480, 48_000)
    tracemalloc.start()
    sizes = []
    for n in range(1200):
        stream.push(chunk)
        if n in (200, 700, 1199):
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert min(sizes[1] - sizes[0], sizes[2] - sizes[1]) < 4_000


def test_door(params):
    stream = Stream(params, channels=2)
    stream.push(np.zeros((2, 100)))
    for bad in (np.zeros(5), np.zeros((3, 5)), np.zeros((2, 2, 5))):
        with pytest.raises(ValueError, match="of 2 channels"):
            stream.push(bad)
    with pytest.raises(ValueError, match=r"nan at index \(1, 103\)"):
        stream.push(np.array([[0, 0, 0, 0], [0, 0, 0, np.nan]]))
    with pytest.raises(TypeError, match="int32"):
        stream.push(np.zeros((2, 5), np.int32))
    y = stream.push(np.zeros((2, 28)), last=True)
    assert y.shape == (2, 3 * 128 - 3 * 87)
    with pytest.raises(ValueError, match="ended"):
        stream.push(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="channels must be at least 1, got 0"):
        Stream(params, channels=0)
    for bad in ("1", None, 2.5):
        with pytest.raises(TypeError, match="channels"):
            Stream(params, channels=bad)
    with pytest.raises(TypeError, match="threads"):
        Stream(params, threads=1.5)
    with pytest.raises(TypeError, match="float16"):
        Stream(params, dtype="f2")
    assert Stream(params, np.int16(16_000)).latency == 13
    with pytest.raises(ValueError, match="Hz, got 5"):
        Stream(params, 5)


def test_a_refused_chunk_leaves_the_stream_as_it_was(params):
    x = speech_like(200)
    stream = Stream(params)
    first = stream.push(x[:100])
    with pytest.raises(ValueError, match="finite"):
        stream.push(np.full(10, np.inf))
    y = np.concatenate([first, stream.push(x[100:], last=True)])
    check(y, upsample(x, weights=params), TOLERANCE[np.float32][0])


def test_resampler_alone_streams_exactly(params):
    x = speech_like(2000, 44_100).astype(np.float64)
    stream = make("steep", 44_100, 16_000, 1, np.float64)
    parts = [stream.push(x[None, i : i + 97], i + 97 >= 2000) for i in range(0, 2000, 97)]
    check(np.concatenate(parts, axis=-1)[0], resample(x, 44_100), 1e-15)
