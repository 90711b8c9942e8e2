"""The front door: its definition, its lengths, its dtypes and what it refuses."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from conftest import TOLERANCE, check, speech_like

from novasr_np import WeightsError, count_saturated, forward, resample, upsample


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
    check(y, upsample(resample(x, rate), weights=params), 0)
    assert y.shape == (3 * -(-16_000 * len(x) // rate),)


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


def test_weights_are_checked_even_for_no_samples(params):
    with pytest.raises(WeightsError, match="missing tensors"):
        upsample(np.zeros(0), weights={})


def test_saturation_is_counted():
    y = np.array([0, 0.5, 32767 / 32768, 1, -1, -0.9999], np.float32)
    assert count_saturated(y) == 3
