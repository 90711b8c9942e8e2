"""Windows in batches on devices, with a network so simple that all of them are quick to make."""

import dataclasses

import numpy as np
import pytest
from conftest import check

jax = pytest.importorskip("jax", reason="needs the extra jax")

import novasr_jax.networks as jax_networks  # noqa: E402
from novasr_jax import compute  # noqa: E402
from novasr_jax.networks import Network  # noqa: E402
from novasr_np.errors import WeightsError  # noqa: E402
from novasr_np.networks import NETWORKS  # noqa: E402
from novasr_np.networks.record import Facts, Level, Windows  # noqa: E402
from novasr_np.pipeline.feed import Piece  # noqa: E402
from novasr_np.weights import Weights  # noqa: E402

WINDOW, DEVICES = 400, len(jax.devices())
PARAMS = {"gain": np.float32(3)}
SIMPLE = dataclasses.replace(NETWORKS["FlashSR"], name="simple", cut=Windows(WINDOW, 10, 10))


def in_numpy(x, start, level):
    """A window, and the place that it begins at, at the level of its sound."""
    peak = np.abs(x).max() if level is None else level.peak[0, 0]
    return (3 * np.float32(x / peak) + np.float32(start)) * peak


def prepare(params, options, dtype):
    def prepared(x, starts, facts):
        own = np.abs(x).max(axis=-1, keepdims=True)
        peaks = [o if f.level is None else f.level.peak[0] for o, f in zip(own, facts, strict=True)]
        peak = np.stack(peaks)
        return (np.float32(x / peak), np.float32(starts)), lambda y: np.float32(y * peak)

    return prepared


@pytest.fixture
def seen(monkeypatch):
    """What the devices were given: how many rows, on how many of them, at which precision."""
    seen = []

    def interior(folded, x, *, start, facts, precision):
        window, place = x
        seen.append((len(window), window.sharding.num_devices, precision))
        return folded["gain"] * window + place[:, np.newaxis]

    def fold(params, dtype, precision, place):
        return {name: place(np.asarray(value, dtype)) for name, value in params.items()}

    rows = {"cpu": 1, "gpu": 8, "tpu": 8}
    ours = Network("simple", interior, fold, prepare=prepare, rows=rows)
    monkeypatch.setitem(jax_networks.NETWORKS, "simple", ours)
    return seen


def pieces(with_levels=True):
    """Windows of two sounds, each with its place and level."""
    rng = np.random.default_rng(0)
    for count in (2 * DEVICES + 1, 2):
        for i in range(count):
            x = np.float32(rng.standard_normal(WINDOW))
            level = Level(np.zeros((1, 1)), rng.uniform(1, 2, (1, 1))) if with_levels else None
            facts = Facts(48_000, 1, level=level)
            yield Piece(False, x, i * 7, facts, SIMPLE, 0, np.zeros(WINDOW, np.float32))


def model(params=PARAMS, **options):
    return compute.make_model(Weights(SIMPLE, params), **options)


def test_sounds_share_batches_that_devices_share(seen):
    windows = list(pieces())
    compute.run(model(batch=2 * DEVICES, precision="bf16"), windows)
    for piece in windows:
        check(piece.y, in_numpy(piece.x, piece.start, piece.facts.level), 1e-5)
    # 2 D + 3 windows in batches of 2 D; the last is filled up.
    batches = -(-(2 * DEVICES + 3) // (2 * DEVICES))
    assert seen == [(2 * DEVICES, DEVICES, "bf16")] * batches
    compute.run(model(), [])


def test_windows_at_levels_of_their_own(seen):
    windows = list(pieces(with_levels=False))
    compute.run(model(), windows)
    for piece in windows:
        check(piece.y, in_numpy(piece.x, piece.start, None), 1e-5)


def test_what_cannot_be(seen):
    with pytest.raises(ValueError, match="precision must be one of"):
        model(precision="low")
    with pytest.raises(ValueError, match="windows of 400 samples"):
        model(segment=100)
    if DEVICES > 1:
        with pytest.raises(ValueError, match=f"a multiple of the {DEVICES} devices, got 1"):
            model(batch=1)
    broken = model({"gain": np.float32("nan")})
    with pytest.raises(WeightsError, match="simple returned NaN with these weights"):
        compute.run(broken, list(pieces()))
