"""Windows in batches on devices, with a network so simple that all of them are quick to make."""

import dataclasses

import numpy as np
import pytest
from conftest import check

jax = pytest.importorskip("jax", reason="needs the extra jax")

import jax.numpy as jnp  # noqa: E402

import novasr_jax.networks as jax_networks  # noqa: E402
from novasr_jax import windows as in_batches  # noqa: E402
from novasr_jax.networks import Windowed  # noqa: E402
from novasr_np import windows  # noqa: E402
from novasr_np.errors import WeightsError  # noqa: E402
from novasr_np.networks import WINDOWED  # noqa: E402
from novasr_np.networks.record import Level  # noqa: E402

WINDOW, DEVICES = 400, len(jax.devices())
PARAMS = {"gain": np.float32(3)}


def prepare(params, options, dtype):
    """A window, and the row that it begins with, at the level of its sound."""

    def given(x, rows, level):
        level = level or Level(np.zeros((len(x), 1)), np.abs(x).max(axis=-1, keepdims=True))
        return (np.float32(x / level.peak), np.float32(rows)), level

    return given


def forward(params, given):
    return params["gain"] * given[0] + given[1][:, np.newaxis]


SIMPLE = dataclasses.replace(
    WINDOWED["FlashSR"],
    name="simple",
    window=WINDOW,
    row=10,
    prepare=prepare,
    forward=forward,
    finish=lambda y, level: np.float32(y * level.peak),
)


@pytest.fixture
def seen(monkeypatch):
    """What the devices were given: how many rows, on how many of them, at which precision."""
    seen = []

    def on_devices(folded, inputs, precision):
        seen.append((len(inputs[0]), inputs[0].sharding.num_devices, precision))
        return jnp.asarray(forward(folded, inputs))

    def fold(params, dtype, precision, place):
        return {name: place(np.asarray(value, dtype)) for name, value in params.items()}

    ours = Windowed("simple", fold, lambda given: given, on_devices)
    monkeypatch.setitem(jax_networks.WINDOWED, "simple", ours)
    return seen


def sounds():
    """Windows of two sounds, where each begins, and their levels."""
    rng = np.random.default_rng(0)
    for count in (2 * DEVICES + 1, 2):
        x = np.float32(rng.standard_normal((count, WINDOW)))
        level = Level(np.zeros((count, 1)), rng.uniform(1, 2, (count, 1)))
        yield x, np.arange(count) * 7, level


def test_sounds_share_batches_that_devices_share(seen):
    model = in_batches.prepare(SIMPLE, PARAMS, None, batch=2 * DEVICES, precision="bf16")
    given = list(sounds())
    got = in_batches.run_all(model, [x for x, *_ in given], [place for _, *place in given])
    in_numpy = windows.runner(SIMPLE, PARAMS, None, np.float32, 1)
    for y, (x, rows, level) in zip(got, given, strict=True):
        check(y, in_numpy(x, rows, level), 1e-5)
    # 2 D + 3 windows in batches of 2 D; the last is filled up.
    batches = -(-(2 * DEVICES + 3) // (2 * DEVICES))
    assert seen == [(2 * DEVICES, DEVICES, "bf16")] * batches
    assert in_batches.run_all(model, [], []) == []


def test_windows_at_levels_of_their_own(seen):
    model = in_batches.prepare(SIMPLE, PARAMS, None)
    (x, rows, _), _ = sounds()
    in_numpy = windows.runner(SIMPLE, PARAMS, None, np.float32, 1)
    check(in_batches.run(model, x, rows, None), in_numpy(x, rows, None), 1e-5)


def test_what_cannot_be(seen):
    with pytest.raises(ValueError, match="precision must be one of"):
        in_batches.prepare(SIMPLE, PARAMS, None, precision="low")
    if DEVICES > 1:
        with pytest.raises(ValueError, match=f"a multiple of the {DEVICES} devices, got 1"):
            in_batches.prepare(SIMPLE, PARAMS, None, batch=1)
    broken = in_batches.prepare(SIMPLE, {"gain": np.float32("nan")}, None)
    (x, rows, level), _ = sounds()
    with pytest.raises(WeightsError, match="with these weights simple makes NaN of the sound"):
        in_batches.run(broken, x, rows, level)
