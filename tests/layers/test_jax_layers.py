"""The layers in JAX, one by one, beside those in numpy."""

from functools import partial

import numpy as np
import pytest
from conftest import check

jax = pytest.importorskip("jax", reason="needs the extra jax")

import novasr_np.layers  # noqa: E402
from novasr_jax import layers  # noqa: E402

ARGUMENTS = {
    "conv1d": lambda p: p["conv1"],
    "interpolate3": lambda p: {},
    "upsample2_swapped": lambda p: p["activation0"]["upsample"],
    "snake_beta": lambda p: p["activation0"]["snakebeta"],
    "downsample2": lambda p: p["activation0"]["downsample"],
    "upsample2": lambda p: p["activation0"]["upsample"],
}
MORE = {
    "conv1d": {"dilation": 5},
    "interpolate": {"steps": 31},
    "upsample2": {"pad": "zeros"},
    "downsample2": {"pad": "edge"},
    "snake_beta": {"epsilon": 0.3},
}


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize("shape", [(32, 2), (32, 50), (2, 3, 32, 20)])
def test_equals_numpy(name, shape, params, x64):
    """Same name, same parameters, channels last instead of first."""
    x = np.random.default_rng(1).normal(size=shape)
    arguments = jax.tree.map(np.float64, ARGUMENTS[name](params))
    want = getattr(novasr_np.layers, name)(x, **arguments)
    got = jax.jit(getattr(layers, name))(x.swapaxes(-1, -2), **arguments)
    check(np.swapaxes(got, -1, -2), want, 1e-12, name)


@pytest.mark.parametrize("name", MORE)
def test_their_options_too(name, params, x64):
    x = np.random.default_rng(1).normal(size=(2, 32, 20))
    arguments = jax.tree.map(np.float64, ARGUMENTS.get(name, lambda p: {})(params))
    want = getattr(novasr_np.layers, name)(x, **arguments, **MORE[name])
    layer = jax.jit(partial(getattr(layers, name), **MORE[name]))
    got = layer(x.swapaxes(-1, -2), **arguments)
    check(np.swapaxes(got, -1, -2), want, 1e-12, name)


def test_conv1d_without_bias(params, x64):
    x, weight = np.random.default_rng(2).normal(size=(32, 9)), params["conv_post"]["weight"]
    want = novasr_np.layers.conv1d(x, weight)
    check(layers.conv1d(x.T, np.float64(weight)).T, want, 1e-12)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_keeps_float32(name, params):
    x = np.zeros((6, 32), np.float32)
    for precision in [{"precision": p} for p in layers.PRECISIONS] if name == "conv1d" else [{}]:
        layer = partial(getattr(layers, name), **ARGUMENTS[name](params), **precision)
        assert jax.eval_shape(layer, x).dtype == np.float32
