"""The front door: its definition, its lengths, its dtypes and what it refuses."""

import tracemalloc
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from conftest import TOLERANCE, check, speech_like

from novasr_np import WeightsError, count_saturated, forward, resample, upsample
from novasr_np.pipeline import arrays, backend


def definition(params, x):
    silence = np.zeros((*x.shape[:-1], 2), x.dtype)
    return forward(params, np.concatenate([x, silence], axis=-1))[..., : 3 * x.shape[-1]]


@hypothesis.given(samples=st.integers(1, 200), seed=st.integers(0, 2**32 - 1))
def test_definition_and_length(params, samples, seed):
    x = np.random.default_rng(seed).uniform(-1, 1, samples)
    y = upsample(x, weights=params)
    assert y.shape == (3 * samples,)
    check(y, definition(params, x), 1e-12)


def test_differs_from_the_bare_network_in_the_last_13_samples_only(params):
    x = speech_like(300).astype(np.float64)
    y, bare = upsample(x, weights=params), forward(params, x)
    differs = np.flatnonzero(np.abs(y[:896] - bare) > 1e-13)
    assert len(differs) > 12
    assert differs[0] >= 3 * 287


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
@pytest.mark.parametrize("samples", [0, 1, 2, 100])
def test_leading_dimensions(params, lead, samples):
    x = np.random.default_rng(0).uniform(-1, 1, (*lead, samples)).astype(np.float32)
    y = upsample(x, weights=params)
    assert y.shape == (*lead, 3 * samples)
    assert y.dtype == np.float32
    for index in np.ndindex(*lead):
        check(y[index], upsample(x[index], weights=params), TOLERANCE[np.float32][0])


@pytest.mark.parametrize("rate", [8000, 24_000, 44_100, 48_000])
def test_other_rates_are_resampled_first(params, rate):
    x = speech_like(rate // 4, rate)
    y = upsample(x, rate, weights=params)
    whole = upsample(resample(x, rate, "upstream"), weights=params)
    check(y, whole[: len(y)], 0)
    assert y.shape == (-(-48_000 * len(x) // rate),)
    assert 0 <= len(whole) - len(y) < 3


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("weights", ["airband-2", "novasr-open"])
def test_chunks_of_an_array_do_not_show(monkeypatch, weights, channels):
    """Of any number of channels, whether it divides the size of a chunk or not."""
    x = np.random.default_rng(0).uniform(-1, 1, (channels, 60_000 // channels))
    whole = upsample(x, 44_100, weights=weights, keep_lowband="auto")
    monkeypatch.setattr(arrays, "_CHUNK", 0)  # the least that keeps a runner busy
    monkeypatch.setattr(backend, "_CHUNK_SECONDS", 0)
    got = upsample(x, 44_100, weights=weights, keep_lowband="auto")
    check(got, whole, 1e-11)


def test_dtypes(params):
    x = (speech_like(100) * 32768).astype(np.int16)
    y = upsample(x, weights=params)
    assert y.dtype == np.float32
    check(y, upsample(x / np.float32(32768), weights=params), 0)
    assert upsample(x / 32768, weights=params).dtype == np.float64
    swapped = (x / np.float32(32768)).astype(">f4")
    check(upsample(swapped, weights=params), y, 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2e9])
def test_what_is_no_audio_is_refused_with_its_place(params, bad):
    x = np.zeros((2, 50))
    x[1, 7] = bad
    with pytest.raises(ValueError, match=rf"{bad} at index \(1, 7\)"):
        upsample(x, weights=params)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loudest_input_stays_finite(upstream, dtype):
    x = np.random.default_rng(0).choice([-1e9, 1e9], 500).astype(dtype)
    y = upsample(x, weights=upstream[1])
    assert np.isfinite(y).all()
    assert np.abs(y).max() <= 1


def test_other_arrays_are_refused(params):
    for x in (np.zeros(9, np.int32), np.zeros(9, complex), np.zeros(9, bool), ["a"]):
        with pytest.raises(TypeError, match="float32, float64 or int16"):
            upsample(x, weights=params)
    with pytest.raises(ValueError, match="scalar"):
        upsample(np.float32(1), weights=params)


@pytest.mark.parametrize("shape", [(2000, 2), (4, 256, 16), (300, 1)])
def test_axes_in_soundfiles_order_are_refused(params, shape):
    turn = "x.T" if len(shape) == 2 else "x.swapaxes"
    with pytest.raises(ValueError, match=rf"got shape \({shape[0]}, .*did you mean {turn}"):
        upsample(np.zeros(shape, np.float32), weights=params)


@pytest.mark.parametrize("shape", [(2, 2000), (255, 2), (256, 17), (300, 0)])
def test_axes_in_our_order_are_not(params, shape):
    y = upsample(np.zeros(shape, np.float32), weights=params)
    assert y.shape == (*shape[:-1], 3 * shape[-1])


def test_the_name_of_a_file_is_no_audio(params):
    for name in ("a.wav", Path("a.wav"), b"a.wav"):
        with pytest.raises(TypeError, match=r"got .*a\.wav.*: read a file first"):
            upsample(name, weights=params)


def scaled(params, stage, name, factor):
    changed = {key: dict(value) for key, value in params.items()}
    changed[stage][name] = changed[stage][name] * np.float32(factor)
    return changed


def test_weights_whose_products_overflow_are_refused(params):
    changed = scaled(scaled(params, "conv_post", "weight", 1e30), "conv2", "weight", 1e30)
    with pytest.raises(WeightsError, match="exponentials or products are too large for float32"):
        upsample(speech_like(3000), weights=changed)
    assert np.isfinite(upsample(np.zeros(3000), weights=changed)).all()


def test_weights_whose_exponentials_overflow_are_refused(params):
    snakebeta = dict.fromkeys(("alpha", "beta"), np.full(32, 60_000, np.float32))
    changed = params | {"activation0": params["activation0"] | {"snakebeta": snakebeta}}
    with pytest.raises(WeightsError, match="exponentials or products"):
        upsample(speech_like(3000), weights=changed)


@pytest.mark.parametrize("samples", [20, 3000])
@pytest.mark.parametrize("threads", [1, 2])
def test_nan_never_becomes_sound(params, samples, threads, recwarn):
    """Weights that are finite when folded, with sums that are not."""
    changed = scaled(params, "conv_pre", "weight", 1e34)
    x = np.full(samples, 1e9, np.float32) * np.float32((-1.0) ** np.arange(samples))
    with pytest.raises(WeightsError, match="returned NaN with these weights"):
        upsample(x, weights=changed, threads=threads)
    assert not recwarn.list


def test_weights_are_checked_even_for_no_samples(params):
    with pytest.raises(WeightsError, match="missing tensor"):
        upsample(np.zeros(0), weights={})


def test_saturation_is_counted():
    y = np.array([0, 0.5, 32767 / 32768, 1, -1, -0.9999], np.float32)
    assert count_saturated(y) == 3


def test_memory_does_not_grow_with_the_length():
    """Beside x and y at most the 100 MB that the docstring promises, for any length."""
    second = np.int16(9000 * np.sin(np.arange(16_000)))
    upsample(second, threads=2)
    beside = []
    for minutes in (3, 6):
        x = np.tile(second, 60 * minutes)
        tracemalloc.start()
        try:
            y = upsample(x, threads=2)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        beside.append(peak - y.nbytes)
    assert max(beside) < 100e6
    assert beside[1] - beside[0] < x.size / 2  # less than a byte for each sample more
