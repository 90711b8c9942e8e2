"""The network against the oracle on random weights, and against the original's outputs."""

import numpy as np
import oracle
import pytest
from conftest import TOLERANCE, check, random_params, shared, speech_like
from material import as_lists

from novasr_np import forward, stages
from novasr_np.networks.novasr import spec

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.mark.parametrize("samples", [*range(2, 28), 40])  # the context, and beyond
def test_oracle_agrees(samples):
    params = random_params(samples)
    x = np.random.default_rng(samples).uniform(-1, 1, samples)
    want = oracle.forward(as_lists(params), x.tolist())
    check(forward(params, x), want, 1e-12)
    check(forward(params, x.astype(np.float32)), want, TOLERANCE[np.float32][0])


@DTYPES
def test_golden_outputs(upstream, dtype):
    version, params = upstream
    with np.load(shared(f"golden/novasr_v{version}.npz")) as golden:
        cases = sorted({key.split(".")[0] for key in golden})
        assert len(cases) == 16
        for case in cases:
            x = golden[f"{case}.x"]
            tolerance = TOLERANCE[dtype][int(np.abs(x).max() > 1)]
            y = forward(params, x.astype(dtype))
            assert y.dtype == dtype
            check(y, golden[f"{case}.y"], tolerance, case)


@DTYPES
def test_golden_stages(upstream, dtype):
    version, params = upstream
    with np.load(shared(f"golden/novasr_v{version}_stages.npz")) as golden:
        seen = []
        for name, activation in stages(params, golden["x"].astype(dtype)):
            check(activation, golden[name], {np.float64: 1e-11, np.float32: 1e-5}[dtype], name)
            seen.append(name)
        assert sorted([*seen, "x"]) == sorted(golden)


@DTYPES
@pytest.mark.parametrize("lead", [(), (1,), (3,), (2, 2), (0,)])
def test_leading_dimensions_are_items_on_their_own(params, lead, dtype):
    x = np.random.default_rng(0).uniform(-1, 1, (*lead, 37)).astype(dtype)
    y = forward(params, x)
    assert y.shape == (*lead, 3 * 37 - 4)
    assert y.dtype == dtype
    for index in np.ndindex(*lead):
        check(y[index], forward(params, x[index]), TOLERANCE[dtype][0])


def test_receptive_field(params):
    """An input sample moves the outputs of n-13 .. n+11 and no others."""
    x = np.random.default_rng(0).uniform(-1, 1, 64)
    nudged = x.copy()
    nudged[32] += 0.1
    moved = np.flatnonzero(np.abs(forward(params, nudged) - forward(params, x)) > 1e-13)
    first, last = moved[0] // 3, moved[-1] // 3
    assert (first, last) == (32 - spec.CONTEXT_RIGHT, 32 + spec.CONTEXT_LEFT)


def test_params_are_used_in_the_input_dtype(params):
    x = np.random.default_rng(0).uniform(-1, 1, 50)
    doubled = forward({k: _as(v, np.float64) for k, v in params.items()}, x)
    np.testing.assert_array_equal(doubled, forward(params, x))


def _as(tree, dtype):
    return {k: _as(v, dtype) for k, v in tree.items()} if isinstance(tree, dict) else dtype(tree)


def test_strided_input(params):
    x = speech_like(200)
    check(forward(params, x[::-2]), forward(params, x[::-2].copy()), 0)


@pytest.mark.parametrize("samples", [0, 1])
def test_too_short(params, samples):
    with pytest.raises(ValueError, match=rf"at least 2 samples.*\({samples},\)"):
        forward(params, np.zeros(samples))


@pytest.mark.parametrize("dtype", [np.int16, np.float16, np.complex64, bool])
def test_other_dtypes_are_refused(params, dtype):
    with pytest.raises(TypeError, match=np.dtype(dtype).name):
        forward(params, np.zeros(50, dtype))
