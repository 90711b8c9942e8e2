"""The folded network in JAX against the plain one in numpy."""

from functools import partial

import numpy as np
import pytest
from conftest import JAX_TOLERANCE, check, random_params, speech_like

jax = pytest.importorskip("jax", reason="needs the extra jax")

import novasr_np  # noqa: E402
from novasr_jax import fold, interior  # noqa: E402
from novasr_jax.fast import cos_turns  # noqa: E402
from novasr_jax.networks.novasr import fast  # noqa: E402
from novasr_np.networks.novasr.spec import CONTEXT, CONTEXT_LEFT, CONTEXT_RIGHT  # noqa: E402

jitted = jax.jit(interior, static_argnames="precision")


def inside(params, x):
    """What `interior` has to give: the plain network in float64, without what its ends touch."""
    y = novasr_np.forward(params, np.float64(x))
    return y[..., 3 * CONTEXT_LEFT : 3 * (x.shape[-1] - CONTEXT_RIGHT)]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("samples", [1, 40])
def test_equals_the_plain_network_in_float64(seed, samples, x64):
    params = random_params(seed)
    x = np.random.default_rng(seed).uniform(-1, 1, (2, samples + CONTEXT))
    check(jitted(fold(params, np.float64), x), inside(params, x), 1e-12)


@pytest.mark.parametrize("level", [1, 8])
def test_float32(level, params):
    x = np.random.default_rng(5).uniform(-level, level, (2, 2000 + CONTEXT)).astype(np.float32)
    tolerance = JAX_TOLERANCE[level > 1]
    check(jitted(fold(params), x), inside(params, x), tolerance)


def test_float32_on_full_scale_noise(upstream):
    """The worst there is for rounding; without the constant m it is twice as much."""
    version, params = upstream
    x = np.random.default_rng(0).uniform(-1, 1, (1, 20_000)).astype(np.float32)
    check(jitted(fold(params), x), inside(params, x), 2e-6, f"v{version}")


def test_looks_at_its_context_and_no_further(params):
    """A NaN just outside an output's context does not reach it, one just inside does."""
    x = np.zeros((1, 60 + CONTEXT), np.float32)
    for n in (0, 30, 59):
        for offset, reaches in ((-12, False), (-11, True), (13, True), (14, False)):
            at = n + CONTEXT_LEFT + offset
            if 0 <= at < x.shape[1]:
                poisoned = x.copy()
                poisoned[0, at] = np.nan
                y = jitted(fold(params), poisoned)[0, 3 * n : 3 * n + 3]
                assert np.isnan(y).any() == reaches, (n, offset)


# dB, against float64, on a voice-like signal; measured 63 and 45, on real speech and weights more.
@pytest.mark.parametrize(("precision", "decibels"), [("high", 90), ("fp16", 60), ("bf16", 40)])
def test_precisions(precision, decibels, params):
    x = speech_like(4000)[None]
    want = inside(params, x)
    y = np.float64(jitted(fold(params), x, precision=precision))
    assert y.shape == want.shape
    snr = 10 * np.log10((want**2).sum() / ((y - want) ** 2).sum())
    assert snr >= decibels
    # It does differ: the operands of the product are rounded, as on an accelerator.
    assert precision == "high" or snr < decibels + 20


def test_half_precision_takes_loud_signals(params):
    x = 1e6 * np.ones((1, 100), np.float32)
    for precision in ("highest", "fp16"):
        y = np.asarray(jitted(fold(params), x, precision=precision))
        assert np.isfinite(y).all()
        assert np.abs(y).max() <= 1


def test_cosine():
    turns = np.linspace(-50, 50, 100_001, dtype=np.float32)
    check(jax.jit(cos_turns)(turns), np.cos(2 * np.pi * np.float64(turns)), 3e-7)
    huge = jax.jit(cos_turns)(np.float32([1e9, -1e20, 3e38]))
    assert (np.abs(huge) <= 1.000001).all()


def test_weights_whose_filters_are_not_symmetric(x64):
    """So that a tap in the wrong order shows; the published filters would hide it."""
    params = random_params(7)
    taps = params["activation0"]["upsample"]["filter"]
    assert np.abs(taps - taps[::-1]).max() > 0.01
    x = np.random.default_rng(7).uniform(-1, 1, (1, 30 + CONTEXT))
    check(jitted(fold(params, np.float64), x), inside(params, x), 1e-12)


@pytest.mark.parametrize(
    "precision",
    ["bf16", *(pytest.param(p, marks=pytest.mark.slow) for p in ("highest", "high", "fp16"))],
)
def test_exported_for_all_platforms_it_runs_equal(params, precision):
    export = pytest.importorskip("jax.export")
    x = np.random.default_rng(8).uniform(-1, 1, (3, 100 + CONTEXT)).astype(np.float32)
    p = fold(params)
    function = jax.jit(partial(interior, precision=precision))
    # A NamedTuple is no type that an artifact can name: take its leaves.
    flat = jax.jit(lambda leaves, x, f=function: f(fast.Folded(*leaves), x))
    exported = export.export(flat, platforms=("cpu", "cuda", "tpu"))(tuple(p), x)
    assert set(exported.platforms) == {"cpu", "cuda", "tpu"}
    again = export.deserialize(exported.serialize())
    check(again.call(tuple(p), x), function(p, x), 1e-6, precision)
