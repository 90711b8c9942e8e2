"""The folded inside of a signal against the plain layers, step by step and as a whole."""

from functools import cache

import numpy as np
import pytest
from conftest import TOLERANCE, check, random_params, shared

from novasr_np import forward, load_weights, stages
from novasr_np.fast import banded
from novasr_np.networks.novasr import fast
from novasr_np.networks.novasr.fast import fold, interior, scratch

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
INSIDE = slice(11 * 3, -13 * 3 + 4)  # of the plain network's outputs: those far from both ends


def run(params, x, memory=None):
    p = fold(params, x.dtype)
    y = np.empty(3 * (len(x) - 24), x.dtype)
    interior(p, x, y, memory or scratch(len(x) - 24, x.dtype))
    return y


@DTYPES
@pytest.mark.parametrize("samples", [1, 2, 3, 7, 31, 100, 1000])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_plain_network(samples, seed, dtype):
    params = random_params(seed)
    x = np.random.default_rng(samples).uniform(-1, 1, samples + 24)
    check(run(params, x.astype(dtype)), forward(params, x)[INSIDE], TOLERANCE[dtype][0])


@DTYPES
@pytest.mark.parametrize("kind", ["white noise", "signs", "silence", "loud"])
def test_original_weights_on_hard_signals(upstream, kind, dtype):
    """The float32 tolerance of the plain network holds for the folded one."""
    version, params = upstream
    x, want = hard_signal(version, kind)
    loud = int(kind == "loud")
    check(run(params, x.astype(dtype)), want, TOLERANCE[dtype][loud], kind)


@cache
def hard_signal(version, kind):
    """It, and what the plain network makes of it in float64."""
    noise = np.random.default_rng(0).uniform(-1, 1, 8000)
    x = {
        "white noise": noise,
        "signs": np.sign(noise),
        "silence": 0 * noise,
        "loud": 15 * noise,
    }[kind]
    params = load_weights(shared(f"upstream/pytorch_model_v{version}.bin"))
    return x, forward(params, x)[INSIDE]


def test_each_step_is_its_stages(params):
    """Take off the folded factors 2 a, c and m, and the scratch arrays hold the stages."""
    x = np.random.default_rng(0).uniform(-1, 1, 200)
    plain = dict(stages(params, x))
    p, s = fold(params, np.float64), scratch(176, np.float64)
    s.x[:200] = x
    steps = 3 * 176
    banded.correlate(s.x, p.pre, fast._PRE, s.h, 176 + 16)
    a = np.exp(params["activation0"]["snakebeta"]["alpha"].astype(np.float64))
    b = np.exp(params["activation0"]["snakebeta"]["beta"].astype(np.float64))
    h = (s.h[: steps + 48] + p.pre_bias[:32]) / (2 * a)
    # The scratch begins at step -21 of a signal whose sample 0 is x[11].
    check(h.T, plain["interpolate"][:, 33 - 21 :][:, : steps + 48], 1e-12, "interpolate")
    fast._snake(p.activation0, s.h, p.pre_bias, s, steps + 37)
    offset = p.activation0.middle[:32] + params["activation0"]["downsample"]["filter"].sum()
    v = (s.v[: steps + 37] + offset) / (2 * b + 1e-9)
    check(v.T, plain["activation0.downsample"][:, 33 - 17 :][:, : steps + 37], 1e-12, "activation")
    banded.correlate(s.v, p.conv1, fast._CONV1, s.h, steps + 27, s.w)
    a = np.exp(params["activation1"]["snakebeta"]["alpha"].astype(np.float64))
    h = (s.h[: steps + 27] + p.conv1_bias[:32]) / (2 * a)
    check(h.T, plain["conv1"][:, 33 - 12 :][:, : steps + 27], 1e-12, "conv1")


def test_scratch_carries_nothing_over(params):
    """A block gives the same bytes in fresh memory and in memory that others have used."""
    rng = np.random.default_rng(0)
    used = scratch(500, np.float32)
    for samples in (500, 3, 77, 500, 1):
        x = rng.uniform(-1, 1, samples + 24).astype(np.float32)
        fresh = run(params, x, scratch(500, np.float32))
        np.testing.assert_array_equal(run(params, x, used), fresh)


def test_slack_is_never_overrun():
    """At every size the rounded-up products stay inside their scratch arrays."""
    params = random_params(0)
    p = fold(params, np.float32)
    for samples in range(1, 130):
        y = np.empty(3 * samples, np.float32)
        interior(p, np.zeros(samples + 24, np.float32), y, scratch(samples, np.float32))
        assert np.isfinite(y).all()
