"""The parts of training: gradients, losses, data, a run that learns, and one that is resumed."""

import json
import math
import sys

import numpy as np
import pytest
import soundfile
from conftest import check, speech_like

jax = pytest.importorskip("jax", reason="needs the extra train")
pytest.importorskip("optax", reason="needs the extra train")
pytest.importorskip("scipy", reason="needs the extra train")

import novasr_np  # noqa: E402
from novasr_jax.networks.novasr import fast  # noqa: E402
from novasr_jax.train import __main__ as command  # noqa: E402
from novasr_jax.train import ahead, airband, data, novasr, state  # noqa: E402
from novasr_jax.train.novasr import gradients, learn, losses  # noqa: E402
from novasr_np.networks.novasr.spec import CONTEXT, CONTEXT_LEFT  # noqa: E402

LOSS = jax.jit(losses.loss, static_argnames="weights")
RECIPE = novasr.RECIPE
SMALL = RECIPE.plan._replace(steps=40, batch=2, samples=1200, learning_rate=2e-3, warm_up=2)
AIRBAND = airband.RECIPES[0]
SMALL_AIRBAND = AIRBAND.plan._replace(steps=40, batch=2, samples=60 * 240, warm_up=2)
BOTH = pytest.mark.parametrize(
    ("recipe", "plan"), [(RECIPE, SMALL), (AIRBAND, SMALL_AIRBAND)], ids=["NovaSR", "airband"]
)


@pytest.fixture(scope="module")
def recordings():
    return [
        data.Recording(speech_like(24_000, 48_000, seed), edge, "none", speaker=str(seed))
        for seed, edge in ((1, 24_000.0), (2, 15_000.0))
    ]


def test_network_and_its_pullback(params):
    """Beside `fast.interior` as JAX differentiates it."""
    trained = _flat(params)
    prepared = learn._fold(trained)
    shape = SMALL.batch, SMALL.samples + CONTEXT  # whose programs other tests run, too
    x = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    y, pullback = gradients.interior(prepared, learn.filters(), x)
    dy = np.random.default_rng(2).normal(size=y.shape).astype(np.float32)

    def product(p):
        y = fast.interior(p, x)
        return (y * dy).sum(), y

    (_, plain), want = jax.jit(jax.value_and_grad(product, has_aux=True))(prepared)
    check(y, plain, 2e-6)
    for name, got in pullback(dy)._asdict().items():
        if name in ("down0", "up1", "down1", "through1", "middle"):
            assert not np.any(got), name
        else:
            exact = getattr(want, name)
            assert np.linalg.norm(got - exact) <= 1e-4 * np.linalg.norm(exact), name


def test_the_middle_needs_no_gradient(params, x64):
    """What runs does not depend on it: `fold` may hold it fixed."""
    p = fast.fold(params, np.float64)
    moved = p._replace(middle=p.middle + 0.1, linear_bias=p.linear_bias - 0.1 * p.conv1.sum((0, 1)))
    x = np.random.default_rng(3).uniform(-1, 1, (1, 60 + CONTEXT))
    run = jax.jit(fast.interior)
    check(run(moved, x), run(p, x), 1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_a_run_begins_with_the_waves_polarity(seed):
    params = learn.tree(learn.initial(seed))
    assert fast.fold(params).skip.sum() > 0


def test_filter_is_the_originals(upstream):
    _, params = upstream
    for activation in ("activation0", "activation1"):
        for stage in ("upsample", "downsample"):
            published = params[activation][stage]["filter"]
            np.testing.assert_array_equal(np.float16(learn.filter_taps()), np.float16(published))


def test_loss_is_least_at_the_truth_and_stops_at_the_edge():
    truth = speech_like(9000, 48_000)[None]
    edge = np.array([12_000.0], np.float32)
    weights = losses.LossWeights()
    least = float(LOSS(truth, truth, edge, weights=weights))
    t = np.arange(9000) / 48_000
    for hertz, counts in ((3000, True), (10_000, True), (15_000, False), (20_000, False)):
        y = truth + np.float32(0.1 * np.sin(2 * np.pi * hertz * t))
        assert (float(LOSS(y, truth, edge, weights=weights)) > least + 0.05) == counts, hertz


def test_recordings_at_44_khz_are_empty_above_their_edge():
    """Noise there costs as it does below an edge, where a lower edge says nothing of it."""
    truth = speech_like(9000, 48_000)[None]
    tone = np.float32(0.1 * np.sin(2 * np.pi * 23_000 * np.arange(9000) / 48_000))
    costs = []
    for hertz in (15_000, 21_500, 24_000):
        edge = np.array([hertz], np.float32)
        clean, noisy = (
            float(LOSS(y, truth, edge, weights=losses.LossWeights())) for y in (truth, truth + tone)
        )
        costs.append(noisy - clean)
    assert costs[0] < 0.02
    assert costs[1] > 0.5
    assert costs[1] == pytest.approx(costs[2], rel=0.01)


def test_silence_is_learnt_through_the_wave_not_its_level():
    """A bias far below hearing, where the truth is silent, must not outweigh all else."""
    silence = np.zeros((1, 9000), np.float32)
    edge = np.array([24_000], np.float32)
    offset = float(LOSS(silence + np.float32(1e-4), silence, edge, weights=losses.LossWeights()))
    assert offset - float(LOSS(silence, silence, edge, weights=losses.LossWeights())) < 0.2


def test_the_click_at_the_ends_of_silence_is_unlearnt(recordings):
    """Crops have no ends; only this part of the loss sees them."""
    now = state.begin(RECIPE, SMALL)
    biased = {k: v + 0.02 if k.endswith("bias") else v for k, v in now.trained.items()}
    now = now._replace(trained=biased)

    def click():
        return np.abs(novasr_np.forward(learn.tree(now.trained), np.zeros(60, np.float32))).max()

    before = click()
    for batch in RECIPE.batches(recordings, SMALL, range(30)):
        now, _ = state.advance(RECIPE, SMALL, now, batch)
    assert click() < 0.3 * before


def test_small_folders_are_not_drowned():
    """A folder's share grows with the root of its seconds."""
    large = [data.Recording(np.zeros(48_000), 24_000, "", "", "large") for _ in range(100)]
    small = [data.Recording(np.zeros(48_000), 24_000, "", "", "small")]
    shares = novasr.data._shares(large + small)
    check(shares.sum(), 1, 1e-12)
    check(shares[-1] / shares[:-1].sum(), 0.1, 1e-12)


def test_crops_fit_their_input(recordings):
    """Below every downsampler's edge, the input is each third sample of the truth."""
    calm = [data.Recording(_low(r.samples), r.edge, r.licence) for r in recordings]
    for batch in RECIPE.batches(calm, SMALL._replace(batch=4, seed=5), range(5)):
        x = batch.x[:, CONTEXT_LEFT : CONTEXT_LEFT + 1200]
        # Coarse quantisation, half a step of 7 bits, and Chebyshev's ripple stay.
        check(x, batch.truth[:, ::3], 0.012)
        assert np.abs(batch.truth).max() <= 1


@BOTH
def test_batches_depend_on_seed_and_number_alone(recordings, recipe, plan):
    *_, fourth = recipe.batches(recordings, plan, range(4))
    (alone,) = recipe.batches(recordings, plan, [3])
    for a, b in zip(fourth, alone, strict=True):
        np.testing.assert_array_equal(a, b)
    (other,) = recipe.batches(recordings, plan._replace(seed=2), [3])
    assert np.abs(other[0] - fourth[0]).max() > 0


@pytest.mark.parametrize(
    ("recipe", "plan", "workers"), [(RECIPE, SMALL, 1), (AIRBAND, SMALL_AIRBAND, 2)]
)
def test_batches_come_in_order_whoever_makes_them(recordings, recipe, plan, workers):
    plan = plan._replace(steps=7)
    made = ahead.batches(recipe, recordings, plan, 2, workers)
    for got, want in zip(made, recipe.batches(recordings, plan, range(2, 7)), strict=True):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_maker_that_dies_is_noticed(recordings, monkeypatch):
    monkeypatch.setattr(ahead, "_PATIENCE", 0.1)
    broken = RECIPE._replace(batches=math.sqrt)  # which takes no recordings
    with pytest.raises(RuntimeError, match="exit code 1"):
        next(ahead.batches(broken, recordings, SMALL, 0, 2))


def test_gaps_are_digital_silence_in_both(recordings):
    silent = 0
    for batch in RECIPE.batches(recordings, SMALL._replace(batch=8, seed=6), range(6)):
        for x, truth in zip(batch.x, batch.truth, strict=True):
            if not truth[1000:2600].any():
                silent += 1
                assert np.abs(x[CONTEXT_LEFT + 450 : CONTEXT_LEFT + 750]).max() < 1e-6
    assert silent >= 2


@BOTH
def test_loss_falls_on_a_tiny_set(recordings, recipe, plan):
    now, history, held = state.begin(recipe, plan), [], recipe.hold(recordings)
    for batch in recipe.batches(recordings, plan, range(plan.steps)):
        now, loss = state.advance(recipe, plan, now, batch, held)
        history.append(float(loss))
    assert np.mean(history[-5:]) < 0.7 * np.mean(history[:5]), history


@BOTH
def test_resumed_run_equals_one_that_never_stopped(recordings, tmp_path, recipe, plan):
    held = recipe.hold(recordings)

    def run(now, plan, until):
        for batch in recipe.batches(recordings, plan, range(now.step, until)):
            now, _ = state.advance(recipe, plan, now, batch, held)
        return now

    whole = run(state.begin(recipe, plan), plan, 6)
    state.save(tmp_path / "a.npz", plan, run(state.begin(recipe, plan), plan, 3))
    again, now = state.resume(tmp_path / "a.npz", recipe)
    assert (again, now.step) == (plan, 3)
    for a, b in zip(jax.tree.leaves(run(now, plan, 6)), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_command_trains_exports_and_resumes(recordings, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib", reason="needs the extra train")
    rows = []
    for i, r in enumerate(recordings):
        (tmp_path / "train").mkdir(exist_ok=True)
        soundfile.write(tmp_path / f"train/{i}.flac", r.samples, 48_000)
        row = {"file": f"train/{i}.flac", "seconds": 0.5, "edge_hz": r.edge, "licence": f"L{i}"}
        row["source"] = "us"
        rows.append(json.dumps(row))
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(rows))
    small = RECIPE._replace(plan=RECIPE.plan._replace(samples=1200))
    monkeypatch.setitem(command.RECIPES, "NovaSR", small)
    target = tmp_path / "mine.safetensors"
    arguments = [
        "--network",
        "NovaSR",
        "--data",
        str(manifest),
        "--folders",
        "train",
        "-o",
        str(target),
        "--licence",
        "test",
    ]

    def run(*more):
        monkeypatch.setattr(sys, "argv", ["train", *arguments, *more])
        command.main()

    run("--steps", "4", "--batch", "2")
    assert "2 recordings, 0.0 minutes" in capsys.readouterr().out
    assert (tmp_path / "mine.png").stat().st_size > 1000
    assert (tmp_path / "mine.csv").read_text().startswith("step,loss,learning_rate,seconds\n4,")
    _, tensors, metadata = novasr_np.weights.read_weights(target)
    assert all(value.dtype == np.float16 for value in tensors.values())
    for part in (
        "python -m novasr_jax.train --network NovaSR --data manifest.jsonl --folders train "
        "-o mine.safetensors",
        "--steps 4 --batch 2 --seed 0 --learning-rate 0.003; from random numbers; novasr-np 0.",
        "; data: us (L0) 0.0 min, us (L1) 0.0 min; loss at the end ",
    ):
        assert part in metadata["provenance"]
    assert metadata["licence"] == "test"
    other = tmp_path / "other.safetensors"
    novasr_np.weights.save_weights(
        RECIPE.tree(RECIPE.initial(1)), other, provenance="drawn", licence="none"
    )
    # A learning rate of next to nothing leaves the mean of both.
    run(
        "--steps", "1", "--batch", "2", "--learning-rate", "1e-9", "--init", str(target), str(other)
    )
    _, mean, metadata = novasr_np.weights.read_weights(target)
    _, second, _ = novasr_np.weights.read_weights(other)
    for name, value in mean.items():
        check(value, (np.float32(tensors[name]) + np.float32(second[name])) / 2, 2e-3)
    assert "from mine.safetensors, sha256 " in metadata["provenance"]
    assert " and other.safetensors, sha256 " in metadata["provenance"]
    with pytest.raises(SystemExit, match="--lift must be left out for NovaSR"):
        run("--steps", "1", "--lift", "8000:1")

    params = novasr_np.load_weights(target).params
    x = speech_like(500)
    want = novasr_np.upsample(np.float64(x), weights=params)
    check(novasr_np.upsample(x, weights=params), want, 1e-5)
    check(jax.jit(fast.interior)(fast.fold(params), x[None])[0], want[33 : 3 * 487], 1e-5)

    run("--resume")  # at its end already: writes the same
    assert novasr_np.weights.read_weights(target)[1].keys() == tensors.keys()


def test_a_teacher_goes_on_above_the_edge(recordings, tmp_path):
    """Below it the recording is its own; without a teacher's file it stays as it is."""
    rows = []
    for folder in ("a", "taught/a"):
        (tmp_path / folder).mkdir(parents=True)
    for i, r in enumerate(recordings):
        soundfile.write(tmp_path / f"a/{i}.wav", r.samples, 48_000, subtype="FLOAT")
        rows.append({"file": f"a/{i}.wav", "seconds": 0.5, "edge_hz": 9000, "licence": "none"})
    louder = np.float32(4 * recordings[0].samples)
    soundfile.write(tmp_path / "taught/a/0_48k.wav", louder, 48_000, subtype="FLOAT")
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    taught, alone = data.read(manifest, ["a"], 0.1, tmp_path / "taught")
    assert (taught.taught, taught.edge) == (True, 24_000)
    assert (alone.taught, alone.edge) == (False, 9000)
    np.testing.assert_array_equal(alone.samples, recordings[1].samples)
    ratio = np.abs(np.fft.rfft(taught.samples)) / np.abs(np.fft.rfft(recordings[0].samples))
    hertz = np.fft.rfftfreq(24_000, 1 / 48_000)
    check(np.median(ratio[hertz < 8400]), 1, 1e-3)
    check(np.median(ratio[hertz > 9100]), 4, 1e-3)


@BOTH
def test_plan_and_weights_are_the_networks(recipe, plan):
    params = recipe.tree(recipe.initial(0))
    assert novasr_np.weights.as_weights(params).network.name == plan.network
    assert novasr_np.load_weights(params) is not None


def _flat(params) -> dict:
    return {
        ".".join(key.key for key in path): value
        for path, value in jax.tree_util.tree_leaves_with_path(params)
        if path[-1].key != "filter"
    }


def _low(x):
    """x without what lies above 5 kHz."""
    spectrum = np.fft.rfft(x)
    spectrum[np.fft.rfftfreq(len(x), 1 / 48_000) > 5000] = 0
    return np.fft.irfft(spectrum, len(x)).astype(np.float32)
