"""FlashSR through the front doors: arrays, files, corpora; with small weights and short windows."""

import dataclasses
import json
import shutil
import tracemalloc

import numpy as np
import pytest
import soundfile
from conftest import check, runner
from material import FLASHSR_SMALLEST as SMALLEST
from material import flashsr_originals, flashsr_random, write_bundle, write_flashsr

jax = pytest.importorskip("jax", reason="needs the extra jax")

from jax import export as jax_export  # noqa: E402

import novasr_np  # noqa: E402
from novasr_jax import forward as jax_forward  # noqa: E402
from novasr_jax import upsample as jax_upsample  # noqa: E402
from novasr_jax.networks import NETWORKS as JAX_NETWORKS  # noqa: E402
from novasr_jax.to_stablehlo import to_stablehlo  # noqa: E402
from novasr_np import networks  # noqa: E402
from novasr_np.corpus import feeding  # noqa: E402
from novasr_np.dsp.overlap import OverlapAdd  # noqa: E402
from novasr_np.errors import WeightsError  # noqa: E402
from novasr_np.networks.flashsr import NETWORK as FLASHSR  # noqa: E402
from novasr_np.networks.flashsr import load, model, spec, window  # noqa: E402
from novasr_np.networks.flashsr.lowpass import cutoff, low_pass  # noqa: E402
from novasr_np.networks.flashsr.mel import level  # noqa: E402
from novasr_np.networks.flashsr.sampler import mlx_schedule  # noqa: E402
from novasr_np.networks.record import Facts  # noqa: E402
from novasr_np.pipeline.backend import Backend  # noqa: E402
from novasr_np.pipeline.feed import open_feed  # noqa: E402
from novasr_np.tensors import flatten  # noqa: E402
from novasr_np.weights import Weights, as_weights, load_weights  # noqa: E402

WINDOW = spec.STEP  # the shortest that there is: 8 rows
OVERLAP = {"overlap": 2 * spec.ROW}
HOP = WINDOW - OVERLAP["overlap"]


@pytest.fixture(scope="module")
def weights():
    return flashsr_random(0)


@pytest.fixture(scope="module")
def weights_file(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "flashsr.safetensors"
    load.save(weights, path)
    return path


@pytest.fixture(autouse=True)
def short_windows(monkeypatch):
    whole = networks.NETWORKS["FlashSR"]
    short = dataclasses.replace(whole, cut=dataclasses.replace(whole.cut, length=WINDOW))
    monkeypatch.setitem(networks.NETWORKS, "FlashSR", short)


@pytest.fixture
def quick(monkeypatch):
    """Windows of which every part of what is given can be heard, without the networks' work."""

    def stand_in(params, given):
        rows = given.noise[:, 0, :, 0] + (0 if given.eps is None else given.eps[:, 0, :, 0])
        step = np.float32(given.alpha + given.embedding.sum())
        made = given.normalised / 2 + np.repeat(rows, spec.ROW, axis=-1) / 100
        made += step / 1_000 + given.mel.mean() / 1_000
        yield "wave_norm", made.astype(given.normalised.dtype)

    monkeypatch.setattr(model, "inner_stages", stand_in)


@pytest.fixture
def cli(weights_file, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOVASR_WEIGHTS", str(weights_file))
    return runner(capfd)


def sound(samples, channels=1, seed=0):
    x = np.random.default_rng(seed).standard_normal((channels, samples)) / 10
    return np.float32(np.cumsum(x, axis=-1) * 0.02 + 0.01)


def upsample(x, weights, rate=spec.SAMPLE_RATE, **options):
    return novasr_np.upsample(x, rate, weights=weights, options={**OVERLAP, **options})


def noise(seed=0, first=0, what=1):
    """What the noise of a window is by its definition."""
    rows = [
        np.random.default_rng([what, 0, row, seed]).standard_normal(
            (SMALLEST.latent, SMALLEST.mels // 8)
        )
        for row in range(first, first + WINDOW // spec.ROW)
    ]
    return np.float32(np.stack(rows, axis=1))[np.newaxis]


def test_a_sound_of_one_window_is_the_original(weights, quick):
    for samples in (WINDOW - 999, WINDOW):
        x = sound(samples)[0]
        padded = np.pad(x, (0, WINDOW - samples))[np.newaxis]
        want = model.forward(weights, padded, noise())[0, :samples]
        check(upsample(x, weights), want, 1e-6)
    check(upsample(x, weights, seed=3), model_of(weights, padded, noise(3)), 1e-6)
    sample = model_of(weights, padded, noise(), noise(what=2))
    check(upsample(x, weights, condition="sample"), sample, 1e-6)
    assert np.abs(sample - want).max() > 1e-4


def model_of(weights, x, *drawn):
    return model.forward(weights, x, *drawn)[0]


def test_exact_windows_are_the_original_one_by_one(weights, quick):
    x = sound(2 * WINDOW)[0] * np.linspace(0.2, 1, 2 * WINDOW, dtype=np.float32)
    got = upsample(x, weights, exact_windows=True)
    for i in range(2):
        part = slice(i * WINDOW, (i + 1) * WINDOW)
        want = model_of(weights, x[np.newaxis, part], noise(first=8 * i))
        check(got[part], want, 1e-6)


def test_two_windows_fade_into_each_other(weights, quick):
    x = sound(WINDOW + HOP)
    whole = level(x.astype(np.float64))
    folded = window.fold(weights, np.float32, networks.NETWORKS["FlashSR"].choose(OVERLAP))
    ys = []
    for first in (0, HOP):
        given, _ = folded.inputs(x[:, first : first + WINDOW], [first], whole)
        ys.append(folded.finish(model.normalised(weights, given), whole)[0])
    share = OverlapAdd(OVERLAP["overlap"], OVERLAP["overlap"] * 5 // 7, np.float32)
    parts = [share.push(y[np.newaxis]) for y in ys]
    want = np.concatenate([*parts, share.rest()], axis=-1)
    check(upsample(x, weights), want, 1e-6)


def test_every_option_counts_beyond_one_window(weights, quick):
    x = sound(WINDOW + 5_000)[0]
    plain = upsample(x, weights)
    np.testing.assert_array_equal(upsample(x, weights, seed=0), plain)
    behind = slice(WINDOW, None)  # of the second window alone
    for options in (
        {"seed": 1},
        {"timestep": 500},
        {"schedule": "mlx"},
        {"condition": "sample"},
        {"overlap": 0},
        {"low_pass": 4_000},
        {"low_pass": "auto"},
        {"exact_windows": True},
    ):
        other = upsample(x, weights, **options)
        assert np.abs(other - plain)[behind].max() > 1e-6, options
    assert np.abs(upsample(x, weights, fade=1_000) - plain)[HOP:WINDOW].max() > 1e-5


def test_steps_and_schedules(weights, quick):
    x = sound(WINDOW)
    *_, (_, want) = model.stages(weights, x, noise(), t=500)
    check(upsample(x, weights, timestep=500), want, 1e-6)
    *_, (_, want) = model.stages(weights, x, noise(), schedule=mlx_schedule())
    check(upsample(x, weights, schedule="mlx"), want, 1e-6)


def test_low_pass_comes_first(weights, quick):
    x = sound(WINDOW)
    for given, hertz in ((4_000, 4_000), ("auto", cutoff(x)[0])):
        want = model.forward(weights, low_pass(x, hertz), noise())
        check(upsample(x, weights, low_pass=given, exact_windows=True), want, 1e-6)


def test_channels_share_level_and_noise(weights, quick):
    x = sound(WINDOW + 3_000)[0]
    both = upsample(np.stack([x, x]), weights)
    np.testing.assert_array_equal(both[0], both[1])
    np.testing.assert_array_equal(both[0], upsample(x, weights))
    quiet = upsample(np.stack([x, x / 4]), weights)
    check(quiet[0], both[0], 1e-6)  # the loud one decides the level
    assert np.abs(quiet[1] - upsample(x / 4, weights)).max() > 1e-4


def test_other_rates_lengths_and_dtypes(weights, quick):
    x = sound(4_000)[0]
    y = upsample(x, weights, 16_000)
    assert (y.shape, y.dtype) == ((12_000,), np.float32)
    at_48k = novasr_np.resample(x, 16_000, "hann", spec.SAMPLE_RATE)
    # Resampled in other pieces, whose products may round otherwise.
    check(y, upsample(at_48k, weights), 1e-6)
    exact = upsample(x.astype(np.float64), weights, 16_000)
    assert exact.dtype == np.float64
    check(y, exact, 1e-4)
    assert upsample(x[:0], weights).shape == (0,)
    assert upsample(np.zeros((2, 0), np.float32), weights).shape == (2, 0)
    assert upsample(x[:1], weights).shape == (1,)
    silence = upsample(np.zeros(5_000, np.float32), weights)
    assert np.abs(silence).max() < 1e-7


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["noise", "sweep"])
def test_windows_have_no_seams_unless_they_do_not_overlap(weights, kind):
    """At the borders: in level, of 10 ms, within 0.1 dB; from sample to sample within -80 dB.

    Measured against what is heard without the border: the window before goes on, or the one behind
    has begun already. `test_windows` has the same with a network whose whole output is known.
    """
    hop, frame = spec.WINDOW - 7 * spec.ROW, spec.SAMPLE_RATE // 100
    n = np.arange(spec.WINDOW + 2 * hop)
    sweep = 0.5 * np.sin(np.pi * 12_000 / n.size * n**2 / spec.SAMPLE_RATE)  # up to 12 kHz
    x = np.float32(sweep if kind == "sweep" else sound(n.size)[0])[np.newaxis]
    outputs, made = {}, []
    for overlap in (7 * spec.ROW, 0):
        facts = FLASHSR.needs(Facts(spec.SAMPLE_RATE, 1), [x], FLASHSR.cut)
        with Backend(options={"overlap": overlap}).open(Weights(FLASHSR, weights)) as runner:
            feed = open_feed(FLASHSR, facts, np.float32, runner.options)
            # Three windows that overlap, and two side by side.
            pieces = feed.cut(x if overlap else x[:, : 2 * spec.WINDOW], last=True)
            runner.run(pieces)
        made.append([piece.y for piece in pieces])
        outputs[overlap] = feed.mix(last=True)[0]
    y, level = outputs[7 * spec.ROW], np.sqrt(np.mean(outputs[7 * spec.ROW] ** 2))

    def step_and_click(y, at, without):
        """without: [2 frames] around the border, as if there were none."""
        parts = [
            np.mean(np.float64(part[frame:]) ** 2)
            for part in (y[at - frame :][: 2 * frame], without)
        ]
        jump = np.diff(np.float64(y[at - 1 : at + 1]) - without[frame - 1 : frame + 1])[0]
        return abs(10 * np.log10(parts[0] / parts[1])), 20 * np.log10(abs(jump) / level + 1e-12)

    assert len(made[0]) == 3
    for k in (1, 2):
        begin, end = k * hop + spec.ROW, k * hop + 6 * spec.ROW
        for at, number, first in ((begin, k - 1, (k - 1) * hop), (end, k, k * hop)):
            without = made[0][number][at - frame - first :][: 2 * frame]
            # At its end the fade is over in the frame behind, and all but over in the one before.
            step, click = step_and_click(y, at, without)
            assert step < 0.1, (k, at)
            assert click < -80, (k, at)
    around = y[spec.WINDOW - frame : spec.WINDOW + frame]
    step, click = step_and_click(outputs[0], spec.WINDOW, around)
    assert step > 0.1
    assert click > -80


def test_low_band_is_kept(weights, quick):
    n = np.arange(WINDOW)
    x = np.float32(0.3 * np.sin(2 * np.pi * 1_000 / spec.SAMPLE_RATE * n))
    kept = novasr_np.upsample(x, weights=weights, options=OVERLAP, keep_lowband=4_000)
    spectra = [np.fft.rfft(y * np.hanning(len(y)))[: len(y) // 24] for y in (x, kept)]  # 2 kHz
    difference = np.abs(spectra[1] - spectra[0]).max()
    assert difference < 0.05 * np.abs(spectra[0]).max()


def test_noise_is_a_function_of_seed_and_place(weights):
    shape = SMALLEST.latent, 8, SMALLEST.mels // 8
    several = window.draw(5, 1, np.array([0, 3, 3, 1_000_000]), *shape)
    for i, first in enumerate((0, 3, 3, 1_000_000)):
        np.testing.assert_array_equal(several[i : i + 1], noise(5, first))
    np.testing.assert_array_equal(several[0][:, 3:], several[1][:, :5])
    # The generator's numbers are part of the promise that a file gives the same sound anywhere.
    check(window.draw(0, 1, np.array([57]), 1, 1, 2)[0, 0, 0], [1.87073226, -0.03134501], 1e-7)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"sead": 1}, TypeError, "an option of FlashSR must be one of seed, timestep, schedule"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"seed": 1.5}, TypeError, "seed must be a whole number, got 1.5"),
        ({"timestep": 1000}, ValueError, "timestep must be from 0 to 999, got 1000"),
        ({"schedule": "fast"}, ValueError, "schedule must be one of .*, got 'fast'"),
        ({"condition": "none"}, ValueError, "condition must be one of .*, got 'none'"),
        ({"overlap": 1_000}, ValueError, "multiple of 3840 samples .* half a window, 15360, got"),
        ({"overlap": 5 * 3_840}, ValueError, "at most half a window, 15360, got 19200"),
        ({"fade": 0}, ValueError, "fade must be at least 1, got 0"),
        ({"fade": 8_000}, ValueError, "fade must be from 1 to the overlap, 7680 samples, got 8000"),
        ({"low_pass": "on"}, TypeError, "low_pass must be 'off', 'auto' or Hz, got 'on'"),
        ({"low_pass": 0.5}, ValueError, "low_pass must be from 1 to 24000 Hz, got 0.5"),
    ],
)
def test_what_options_cannot_be(weights, options, error, match):
    with pytest.raises(error, match=match):
        upsample(sound(100), weights, **options)


def test_doors_that_are_closed(weights, weights_file, monkeypatch):
    with pytest.raises(WeightsError, match="FlashSR takes windows, which the host prepares"):
        jax_forward(weights, sound(WINDOW))
    with monkeypatch.context() as patched:  # a stream has the default overlap
        patched.setitem(networks.NETWORKS, "FlashSR", FLASHSR)
        with pytest.raises(ValueError, match="FlashSR must know the level of the whole sound"):
            novasr_np.Stream(str(weights_file))
    with pytest.raises(ValueError, match="options must be empty for NovaSR, got seed"):
        novasr_np.upsample(sound(100)[0], weights="novasr-open", options={"seed": 1})
    with pytest.raises(ValueError, match="is for NovaSR, so variant must be None, got 'int4'"):
        novasr_np.load_weights("novasr-open", "int4")


def test_the_bare_network_is_the_original(weights, weights_file):
    x = sound(WINDOW, 2)
    want = model.forward(weights, x, np.concatenate([noise(), noise()]))
    check(novasr_np.forward(weights, x), want, 1e-6)
    check(novasr_np.forward(load_weights(weights_file), x[0]), want[0], 1e-6)
    network = as_weights(weights).network
    assert network is networks.NETWORKS["FlashSR"]
    later = network.compute.forward(weights, x[:1], start=3 * spec.ROW)
    check(later, model.forward(weights, x[:1], noise(first=3)), 1e-6)
    # At the level of both, by the options, as the front door has them.
    x[1] /= 4
    facts = network.needs(Facts(spec.SAMPLE_RATE, 2), [x], network.cut)
    given = {"seed": 2, "condition": "sample", "low_pass": 4_000}
    options = network.choose({**OVERLAP, **given})
    y = network.compute.forward(weights, x, 0, facts, options)
    check(y, upsample(x, weights, **given), 1e-6)
    for bad in (x[:, 1:], np.zeros((1, WINDOW + spec.ROW), np.float32)):
        with pytest.raises(ValueError, match=r"at least 30720|a multiple of 30720"):
            novasr_np.forward(weights, bad)


def written(name, rate, samples, channels=2, seed=0, subtype="FLOAT"):
    x = sound(samples, channels, seed)
    soundfile.write(name, x.T, rate, subtype=subtype)
    return x


ALWAYS = ("--overlap", "0.16", "--keep-lowband", "off")


def test_a_file(cli, weights, quick):
    x = written("a.wav", 48_000, 2 * WINDOW + 100)
    status, _, err = cli("upsample", "a.wav", *ALWAYS, "--seed", "7", "--timestep", "900")
    assert (status, "1 done: 1.28 s of audio" in err) == (0, True)
    y, rate = soundfile.read("a_48k.wav", dtype="float32")
    assert rate == 48_000
    check(y.T, upsample(x, weights, seed=7, timestep=900), 2e-6)


def test_a_file_at_another_rate_and_mono(cli, weights, quick):
    x = written("a.flac", 22_050, 20_000, subtype="PCM_16")
    x, _ = soundfile.read("a.flac", dtype="float32")
    status, _, _ = cli(
        *("upsample", "a.flac", *ALWAYS, "--channels", "mono", "-o", "b.wav"),
        *("--subtype", "FLOAT", "--condition", "sample", "--fade", "0.1", "--low-pass", "5000"),
    )
    assert status == 0
    y, _ = soundfile.read("b.wav", dtype="float32")
    want = upsample(
        *(x.mean(axis=1), weights, 22_050),
        **{"condition": "sample", "fade": 4_800, "low_pass": 5_000.0},
    )
    check(y, want, 2e-6)


def test_files_keep_their_low_band(cli, quick):
    written("a.wav", 16_000, 8_000, 1)
    status, _, _ = cli("upsample", "a.wav", "--overlap", "0.16", "--json")
    assert status == 0
    (result,) = json.loads(cli("upsample", "a.wav", "--overlap", "0.16", "--json", "-f")[1])[
        "files"
    ]
    assert result["kept_below"] == pytest.approx(7_000)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("--seed", "-1"), "expected a whole number of at least 0, got '-1'"),
        (("--timestep", "1000"), "timestep must be from 0 to 999, got 1000"),
        (("--overlap", "0.1"), "overlap must be a multiple of 3840 samples"),
        (("--variant", "int4"), "is no bundle, so it has no variant 'int4'"),
        (("--weights", "novasr-open", "--seed", "1"), "--seed is for FlashSR"),
        (("--weights", "novasr-open", "--exact-windows"), "--exact-windows is for FlashSR"),
        (("--weights", "."), "no vae.pth and no student_ldm.pth and no sr_vocoder.pth in it: hf"),
    ],
)
def test_wrong_usage_is_told_before_the_work(cli, arguments, match):
    written("a.wav", 48_000, 2_000)
    status, _, err = cli("upsample", "a.wav", *arguments)
    assert status == 2
    assert match in err
    assert "Traceback" not in err


@pytest.mark.slow  # to compile
def test_jax_batches_of_windows_are_the_same(weights):
    clips = [sound(WINDOW + 2_000, 2), sound(500)[0], sound(WINDOW, seed=3)[0], sound(0)[0]]
    options = {**OVERLAP, "seed": 4}
    got = jax_upsample(clips, spec.SAMPLE_RATE, weights=weights, options=options, batch=2)
    for y, x in zip(got, clips, strict=True):
        want = upsample(x, weights, seed=4)
        assert y.dtype == np.float32
        check(y, want, 1e-4 * max(want.std(), 1e-6) if want.size else 0)
    alone = jax_upsample(clips[1], weights=weights, options=options, batch=2)
    check(alone, got[1], 1e-6)


@pytest.mark.slow  # to compile
def test_stablehlo_takes_the_weights_as_an_argument(weights):
    program = jax_export.deserialize(to_stablehlo(weights))
    assert program.platforms == ("cpu", "cuda", "tpu")
    network, ours = networks.NETWORKS["FlashSR"], JAX_NETWORKS["FlashSR"]
    prepare = ours.prepare(weights, network.choose(OVERLAP), np.float32)
    folded = ours.fold(weights, np.float32, "highest")
    # Any batch. What such a program computes is compared in test_jax_flashsr.
    for batch in (1, 3):
        facts = [Facts(spec.SAMPLE_RATE, 1)] * batch
        given, _ = prepare(sound(WINDOW, batch), np.zeros(batch, np.uint32), facts)
        made = jax.eval_shape(program.call, folded, given)
        assert (made.shape, made.dtype) == ((batch, WINDOW), np.float32)


def test_what_jax_cannot_do(weights):
    x = sound(100)[0]
    with pytest.raises(
        ValueError, match="segment must be None for a network with windows of 30720 samples"
    ):
        jax_upsample(x, weights=weights, options=OVERLAP, segment=100)
    with pytest.raises(ValueError, match="got 'low'"):
        jax_upsample(x, weights=weights, options=OVERLAP, precision="low")
    with pytest.raises(ValueError, match="batch must be at least 1, got 0"):
        jax_upsample(x, weights=weights, options=OVERLAP, batch=0)
    with pytest.raises(ValueError, match="options must be empty for NovaSR, got seed"):
        jax_upsample(x, weights="novasr-open", options={"seed": 1})
    assert jax_upsample([], weights=weights, options=OVERLAP) == []


@pytest.mark.slow  # to compile
def test_a_corpus(cli, weights, tmp_path, monkeypatch):
    def in_this_process(job, items, jobs):  # as others do not have the short windows
        with job.backend.open(load_weights(job.weights, job.variant)) as runner:
            for item in items:
                yield job.work(runner, item, lambda seconds: None)

    monkeypatch.setattr(feeding, "processes", in_this_process)
    (tmp_path / "in").mkdir()
    x = written("in/a.wav", 48_000, WINDOW, 1)
    written("in/b.wav", 48_000, 3_000, 1, seed=1)
    arguments = ("corpus", "in", "out", "--format", "wav", *ALWAYS, "--backend", "jax")
    arguments += ("--batch", "2")
    status, _, err = cli(*arguments, "--subtype", "FLOAT", "--seed", "2")
    assert status == 0, err
    y, _ = soundfile.read("out/a.wav", dtype="float32")
    check(y, upsample(x[0], weights, seed=2), 1e-4)
    assert "2 done before" not in err
    again = cli(*arguments, "--subtype", "FLOAT", "--seed", "2")[2]
    assert "0 done, 2 before" in again
    other = cli(*arguments, "--subtype", "FLOAT", "--seed", "3", "--dry-run")[2]
    assert "2 to do, 0 done" in other


@pytest.fixture(scope="module")
def layouts(weights, tmp_path_factory):
    """A folder with the original's files and two bundles."""
    folder = tmp_path_factory.mktemp("layouts")
    for name in ("int4", "int8", "original"):
        (folder / name).mkdir()
    write_flashsr(folder / "original", flashsr_originals(SMALLEST, np.full(12, 1 / 12)))
    write_bundle(folder / "int4", weights, 4)
    write_bundle(folder / "int8", weights, 8)
    return folder


def test_weights_of_every_layout_are_shown(cli, weights, weights_file, layouts, tmp_path):
    (tmp_path / "flashsr").symlink_to(layouts)
    numbers = sum(value.size for value in flatten(weights["unet"]).values())
    for arguments, kind, files in (
        ((str(weights_file),), "full", ("flashsr.safetensors",)),
        (("flashsr",), "full", ("vae.pth", "student_ldm.pth", "sr_vocoder.pth")),
        (("flashsr", "--variant", "int8"), "int8", ("model.safetensors",)),
        (("flashsr", "--variant", "int4"), "int4", ("model.safetensors",)),
        (("flashsr/int4",), "int4", ("model.safetensors",)),
    ):
        status, out, err = cli("weights", "show", *arguments)
        assert status == 0, err
        assert f"FlashSR, {kind}, computed in float32" in out
        for name in files:
            assert name in out
        assert out.count("sha256") == len(files)
        assert f"unet        1,104 tensors, {numbers:,} numbers" in out
        assert "licence     not stated" in out
    status, _, err = cli("weights", "show", "flashsr/int4", "--variant", "int8")
    assert status == 2
    assert "variant must be one of int4, got 'int8'" in err
    status, _, err = cli("weights", "convert", "flashsr", "w.safetensors", "--variant", "int8")
    assert (status, "FlashSR as safetensors" in err) == (0, True)
    want = load.load("flashsr", "int8")
    np.testing.assert_equal(load.load("w.safetensors"), want)


def test_bad_files_are_refused_before_anything_large_is_read(weights_file, layouts, tmp_path):
    originals_there, bundle = tmp_path / "originals", tmp_path / "bundle"
    shutil.copytree(layouts / "original", originals_there)
    shutil.copytree(layouts / "int4", bundle)

    def refused(match, path, variant=None):
        tracemalloc.start()
        try:
            with pytest.raises(WeightsError, match=match) as error:
                load.load(path, variant)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert "\n" not in str(error.value)
        assert peak < 8e6  # the weights have 123 MB

    def cut_short(path):
        with open(path, "r+b") as file:
            file.truncate(path.stat().st_size * 9 // 10)

    refused("variant must be one of int4, got 'int8'", bundle, "int8")
    refused("variant must be one of full, got 'int4'", originals_there, "int4")
    cut_short(bundle / "model.safetensors")
    refused("not a complete file", bundle)
    (bundle / "model.safetensors").unlink()
    refused("no vae.pth and no student_ldm.pth and no sr_vocoder.pth in it", bundle)
    vae, vocoder = originals_there / "vae.pth", originals_there / "sr_vocoder.pth"
    vocoder.replace(tmp_path / "other")
    vae.replace(vocoder)
    (tmp_path / "other").replace(vae)
    refused(r"vae\.pth: it holds the tensors of sr_vocoder\.pth", originals_there)
    cut_short(vae)
    refused(r"vae\.pth: not a complete checkpoint", originals_there)
    vae.write_bytes(b"<!DOCTYPE html>" * 1_000)
    refused(r"vae\.pth: ", originals_there)
    whole = tmp_path / "whole.safetensors"
    shutil.copy(weights_file, whole)
    cut_short(whole)
    refused("not a complete file", whole)
