"""The plain network in JAX: parity, lengths within a batch, and what JAX does to functions."""

import numpy as np
import pytest
from conftest import JAX_TOLERANCE, check, shared
from hypothesis import given
from hypothesis import strategies as st

jax = pytest.importorskip("jax", reason="needs the extra jax")

import novasr_np  # noqa: E402
from novasr_jax import forward  # noqa: E402
from novasr_jax.layers import conv1d  # noqa: E402

T = 60
jitted = jax.jit(forward, static_argnames="precision")


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(3).uniform(-1, 1, (4, T))


def test_equals_numpy_in_float64(params, x, x64):
    check(jitted(params, x), novasr_np.forward(params, x), 1e-12)


@pytest.mark.parametrize("samples", [2, 3, 11])
def test_short_signals(samples, params, x, x64):
    x = x[0, :samples]
    check(jitted(params, x), novasr_np.forward(params, x), 1e-12)


@given(lengths=st.lists(st.integers(2, T), min_size=4, max_size=4))
def test_each_row_of_a_batch_has_its_own_length(lengths, params, x):
    """Edges included, and with NaN behind them."""
    padded = x.astype(np.float32)
    for row, length in zip(padded, lengths, strict=True):
        row[length:] = np.nan
    y = jitted(params, padded, np.array(lengths))
    for row, length, got in zip(x, lengths, np.asarray(y), strict=True):
        want = novasr_np.forward(params, row[:length])
        check(got[: 3 * length - 4], want, JAX_TOLERANCE[0], f"length {length}")


def test_vmap_equals_batch(params, x, x64):
    lengths = np.array([2, 20, 59, 60])
    alone = jax.jit(jax.vmap(forward, (None, 0, 0)))(params, x, lengths)
    check(alone, jitted(params, x, lengths), 1e-13)


def test_gradients(params, x, x64):
    """Of a padded row, in the direction of random weights, beside a difference quotient."""
    rng = np.random.default_rng(4)
    params = jax.tree.map(np.float64, params)
    direction = jax.tree.map(lambda v: rng.normal(size=v.shape) * np.abs(v).mean(), params)
    padded = x[0].copy()
    padded[40:] = np.nan

    @jax.jit
    def loss(step):
        moved = jax.tree.map(lambda p, d: p + step * d, params, direction)
        return (forward(moved, padded, 40)[: 3 * 40 - 4] ** 2).sum()

    eps = 1e-6
    quotient = (loss(eps) - loss(-eps)) / (2 * eps)
    assert abs(jax.jit(jax.grad(loss))(0.0) - quotient) <= 1e-7 * abs(quotient)


def test_gradients_in_other_precisions(params, x):
    """Of the layer that has precisions, which the network's gradients go through."""
    rows = np.random.default_rng(5).normal(size=(4, T, 32)).astype(np.float32)
    p = params["conv1"]

    def gradient(precision):
        def energy(weight, rows):
            return (conv1d(rows, weight, p["bias"], precision=precision) ** 2).mean()

        return jax.jit(jax.grad(energy, argnums=(0, 1)))(p["weight"], rows)

    exact = gradient("highest")
    for precision in ("high", "fp16", "bf16"):
        for a, b in zip(exact, gradient(precision), strict=True):
            assert np.linalg.norm(a - b) <= 0.02 * np.linalg.norm(a), precision


def test_exported_for_all_platforms_it_runs_equal(params, x):
    x = x.astype(np.float32)
    export = pytest.importorskip("jax.export")
    exported = export.export(jax.jit(forward), platforms=("cpu", "cuda", "tpu"))(params, x)
    assert set(exported.platforms) == {"cpu", "cuda", "tpu"}
    again = export.deserialize(exported.serialize())
    check(again.call(params, x), novasr_np.forward(params, np.float64(x)), JAX_TOLERANCE[0])


@pytest.mark.parametrize("dtype", [np.int16, np.float16, bool])
def test_other_dtypes_are_refused(dtype, params):
    with pytest.raises(TypeError, match=np.dtype(dtype).name):
        forward(params, np.zeros(10, dtype))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 1)])
def test_too_short_is_refused(shape, params):
    with pytest.raises(ValueError, match="at least 2 samples"):
        forward(params, np.zeros(shape, np.float32))


def test_unknown_precision_is_refused(params):
    with pytest.raises(ValueError, match="'double'"):
        forward(params, np.zeros(10, np.float32), precision="double")


def test_golden(upstream):
    """The original's outputs, as one padded batch."""
    version, params = upstream
    with np.load(shared(f"golden/novasr_v{version}.npz")) as golden:
        names = sorted(key[:-2] for key in golden if key[-1] == "x")
        xs, wants = ([golden[f"{name}.{part}"] for name in names] for part in "xy")
    assert len(names) == 16
    lengths = np.array([len(x) for x in xs])
    padded = np.full((len(xs), lengths.max()), np.nan, np.float32)
    for row, x in zip(padded, xs, strict=True):
        row[: len(x)] = x
    ys = np.asarray(jitted(params, padded, lengths))
    for name, x, want, y in zip(names, xs, wants, ys, strict=True):
        check(y[: len(want)], want, JAX_TOLERANCE[int(np.abs(x).max() > 1)], name)
