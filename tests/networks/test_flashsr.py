"""FlashSR's networks against the original's outputs, with weights drawn from their names."""

import json

import material
import numpy as np
import pytest
from conftest import check, shared
from material import FLASHSR_SMALL, compare, compare_stages, flashsr_drawn

from novasr_np import layers, networks
from novasr_np.dsp.resample import resample
from novasr_np.networks.flashsr import model, sampler, spec, unet, vae, vocoder
from novasr_np.networks.flashsr.lowpass import cutoff, low_pass
from novasr_np.networks.flashsr.mel import denormalise, filterbank, level, log_mel, normalise
from novasr_np.tensors import cast

BOTH = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@pytest.fixture(scope="module")
def golden():
    return material.flashsr_golden()


@pytest.fixture(scope="module")
def weights():
    return material.flashsr_weights()


@BOTH
def test_the_vocoder_is_the_originals(weights, golden, dtype):
    bands, wave = golden["voc.mel"].astype(dtype), golden["voc.lr"].astype(dtype)
    got = dict(vocoder.stages(weights["vocoder"], bands, wave))
    # The first activation of all, in its three steps.
    first = cast(weights["vocoder"]["resblocks"]["0"]["activations"]["0"], dtype)
    x = golden["voc.act.in"].astype(dtype)
    got["act.up"] = layers.upsample2(x, golden["voc.filter"].astype(dtype))
    got["act.snake"] = layers.snake_beta(got["act.up"], **first["act"], epsilon=2e-9)
    got["act.out"] = vocoder.activation(first, x)
    compare_stages(got, golden, "voc", dtype, given=("mel", "lr", "act.in", "filter"))
    shortest = vocoder.activation(first, golden["act.tiny.in"].astype(dtype))
    compare(shortest, golden["act.tiny.out"], dtype, "act.tiny")


@BOTH
def test_the_autoencoder_is_the_originals(weights, golden, dtype):
    got = dict(vae.encode(weights["vae"], golden["vae.x"].astype(dtype)))
    got |= dict(vae.decode(weights["vae"], golden["vae.z"].astype(dtype)))
    compare_stages(got, golden, "vae", dtype, given=("x", "z"))
    moments, eps = golden["posterior.moments"].astype(dtype), golden["posterior.eps"].astype(dtype)
    compare(vae.posterior(moments, eps), golden["posterior.sample"], dtype, "posterior")
    np.testing.assert_array_equal(vae.posterior(moments), moments[:, :4])


@BOTH
def test_the_unet_is_the_originals(weights, golden, dtype):
    x = np.concatenate([golden["unet.x"], golden["unet.cond"]], axis=1).astype(dtype)
    got = dict(unet.stages(weights["unet"], x, sampler.embedding(spec.LAST, FLASHSR_SMALL.unet)))
    for t in (1, 500):
        *_, (_, got[f"v.t{t}"]) = unet.stages(
            weights["unet"], x, sampler.embedding(t, FLASHSR_SMALL.unet)
        )
    compare_stages(got, golden, "unet", dtype, given=("x", "cond", "v.f32_embedding"))
    # What the original's float32 embedding moves.
    check(got["v"], golden["unet.v.f32_embedding"], 2e-5)


def test_embeddings_are_the_originals(golden):
    for t, want, rounded in zip(
        (0, 1, 500, 998, 999), golden["t_emb_128"], golden["t_emb_128_f32"], strict=True
    ):
        check(sampler.embedding(t, 128), want, 1e-12)
        check(sampler.embedding(t, 128), rounded, 4e-5)


@pytest.mark.parametrize("kind", ["mean", "sample"])
@BOTH
def test_one_window_is_the_originals_from_end_to_end(weights, golden, dtype, kind):
    x = (golden["e2e.audio_int16"] / 32768).astype(dtype)
    eps = golden["e2e.eps"] if kind == "sample" else None
    got = dict(model.stages(weights, x, golden["e2e.x_T"], eps))
    want = {name.removeprefix("e2e."): x for name, x in golden.items() if name.startswith("e2e.")}
    for name in ("audio_int16", "eps", "x_T"):
        del want[name]
    other = "mean." if kind == "sample" else "sample."
    for name in (name for name in want if not name.startswith(other)):
        compare(got[name.removeprefix(f"{kind}.")], want[name], dtype, name)


def test_what_a_window_cannot_be(weights):
    noise = np.zeros((1, 8, 8, 16))
    window = np.zeros((1, spec.STEP))
    for x, given, t, match in (
        (window[:, 1:], noise, 999, "a multiple of 30720, got shape"),
        (window[0], noise, 999, "a multiple of 30720, got shape"),
        (window, noise[:, 1:], 999, r"noise must have shape \(1, 8, 8, 16\), got \(1, 7, 8, 16\)"),
        (window, noise, 1000, "t must be from 0 to 999, got 1000"),
    ):
        with pytest.raises(ValueError, match=match):
            next(model.stages(weights, x, given, t=t))
    with pytest.raises(TypeError, match="float32 or float64, got int16"):
        next(model.stages(weights, window.astype(np.int16), noise))


def test_rows_of_a_batch_do_not_see_each_other(weights, golden):
    x = np.float32(golden["e2e.audio_int16"] / 32768)
    both = model.forward(weights, x, golden["e2e.x_T"])
    alone = model.forward(weights, x[1:], golden["e2e.x_T"][1:])
    check(both[1:], alone, 1e-6)


def test_silence_stays_near_silence(weights):
    noise = np.zeros((1, 8, 8, 16), np.float32)
    got = dict(model.stages(weights, np.full((1, spec.STEP), 0.25, np.float32), noise))
    np.testing.assert_array_equal(got["norm"], 0)
    check(got["mel"], np.full((1, 1, 64, 128), np.log(1e-5)), 1e-6)
    assert np.abs(got["wave"] - 0.25).max() < 1e-7


@pytest.fixture(scope="module")
def speech():
    with np.load(shared("golden/flashsr_io.npz")) as file:
        return dict(file)


@pytest.mark.parametrize(("case", "rate"), [("c16", 16_000), ("c8", 8_000)])
def test_sound_is_brought_to_its_rate_as_the_original_does(speech, case, rate):
    low = speech[f"{case}.lr_int16"] / 32768
    name = networks.NETWORKS["FlashSR"].resampler("auto")
    got = resample(low, rate, spec.SAMPLE_RATE, name)
    check(got, speech[f"{case}.up48_f32"], 1e-6)
    assert np.abs(resample(low, rate, spec.SAMPLE_RATE) - got).max() > 1e-4


@pytest.mark.parametrize("case", ["c16", "c8"])
def test_levels_and_spectrogram_of_speech(speech, case):
    x = speech[f"{case}.up48_f32"][np.newaxis]
    own = level(x.astype(np.float64))
    normalised = normalise(x.astype(np.float64), own)
    check(normalised[0], speech[f"{case}.norm"], 1e-15)
    check(own.mean[0], speech[f"{case}.mean"], 1e-15)
    check(own.peak[0], speech[f"{case}.max"], 1e-15)
    check(denormalise(normalised, own), x, 1e-15)
    got = log_mel(normalised)[0]
    check(got, speech[f"{case}.mel"], 1e-10)
    # The original in float32 has noise where it is quiet, and little of it elsewhere.
    rounded = speech[f"{case}.mel_f32"]
    assert np.abs(got - rounded).mean() < 1e-5
    check(got[got > -9], rounded[got > -9], 1e-3)


def test_filterbank_is_the_originals(speech):
    np.testing.assert_array_equal(filterbank(), speech["mel_basis"])


@pytest.mark.parametrize("case", ["c16", "c8"])
def test_low_pass_is_the_originals(speech, case):
    x = speech[f"{case}.up48_f32"].astype(np.float64)[np.newaxis]
    assert cutoff(x) == speech[f"{case}.cutoff"]
    check(low_pass(x, cutoff(x)[0])[0], speech[f"{case}.lowpass"], 1e-12)
    check(low_pass(x, 2500)[0, ::7], speech[f"{case}.lowpass_2500_every7"], 1e-12)
    rounded = low_pass(np.float32(x), 2500)
    assert rounded.dtype == np.float32
    check(rounded[0, ::7], speech[f"{case}.lowpass_2500_every7"], 1e-7)


def test_what_the_original_cannot_low_pass_stays_as_it_is():
    t = np.arange(spec.STEP) / spec.SAMPLE_RATE
    rng = np.random.default_rng(0)
    x = np.stack([0 * t, np.sin(2 * np.pi * 440 * t), rng.normal(size=len(t))])
    np.testing.assert_array_equal(cutoff(x)[:2], [24_000, 24_000])
    assert 23_000 < cutoff(x)[2] < 24_000
    assert low_pass(x, 24_000.0) is x
    tone = low_pass(x, 2500)[1]
    check(tone[500:-500], x[1, 500:-500], 0.03)  # twice a tenth of a dB, and no delay
    for bad, hertz in ((x[:, :27], 2500), (x, 0.5)):
        with pytest.raises(ValueError, match="at least 1 Hz and 28 samples, got"):
            low_pass(bad, hertz)


def test_schedules_are_the_originals():
    with np.load(shared("golden/flashsr_sampler.npz")) as file:
        want = dict(file)
    np.testing.assert_array_equal(sampler.betas(), want["betas"])
    np.testing.assert_array_equal(sampler.powers(), want["alphas_cumprod"])
    for part, got in sampler.schedule()._asdict().items():
        # Within two roundings of float32; at the one step that counts there is none.
        truth = want[f"{part}_t"]
        np.testing.assert_allclose(got, truth, rtol=3e-7, err_msg=part)
        assert got.dtype == np.float32
        assert got[spec.LAST] == truth[spec.LAST], part
    for part, got in sampler.mlx_schedule()._asdict().items():
        np.testing.assert_allclose(got, want[f"mlx_{part}_t"], rtol=1e-14, err_msg=part)


def test_tensors_are_the_originals():
    want = json.loads(shared("golden/flashsr_tensors.json").read_text())
    for where, sizes in ((want, spec.FULL), (want["small"], FLASHSR_SMALL)):
        for file, table in spec.original_tensors(sizes).items():
            named = {name: tuple(shape) for name, shape in where[file].items()}
            unused = tuple(spec.UNUSED[file])
            assert {n: s for n, s in named.items() if not n.startswith(unused)} == table, file


def test_the_draw_is_the_references():
    check(flashsr_drawn("encoder.conv_in.bias", (128,))[:2], [0.05568565, -0.00390095], 1e-8)
    weight = flashsr_drawn("model.time_embed.0.weight", (512, 128))
    check(weight[0, :2], [0.16642174, -0.03660475], 1e-8)
    check(flashsr_drawn("conv_pre.weight_g", (1536, 1, 1))[:2, 0, 0], [0.8047944, 1.1017988], 1e-7)
