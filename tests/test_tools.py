"""`novasr doctor`, `export`, `compare` and `spectrogram`."""

import dataclasses
import importlib.util
import json
import os
import shutil
import tracemalloc
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import check, random_params, runner, speech_like

from novasr_np import forward, load_weights
from novasr_np.conformance import self_test
from novasr_np.dsp import spectrum
from novasr_np.layers import onnx_nodes
from novasr_np.networks import NETWORKS
from novasr_np.networks.novasr import to_onnx
from novasr_np.networks.record import Ports
from novasr_np.weights import weights_path

NOVASR = NETWORKS["NovaSR"]


@pytest.fixture
def cli(tmp_path, monkeypatch, capfd):
    """Run the command in an empty folder with the default weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NOVASR_WEIGHTS", raising=False)
    return runner(capfd)


@pytest.fixture(scope="module")
def examined():
    """What the doctor finds with the default weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NOVASR_WEIGHTS", raising=False)
        return self_test.examine()


def test_doctor_is_content(cli, examined, monkeypatch):
    monkeypatch.setattr(self_test, "examine", lambda: examined)
    status, out, err = cli("doctor", "--json")
    report = json.loads(out)
    assert (status, err, report["problems"]) == (0, "", [])
    assert report["versions"]["numpy"] == np.__version__
    assert report["x_real_time"]["numpy"] > 0
    assert ("NovaSR, jax" in report["self_test"]) == (importlib.util.find_spec("jax") is not None)
    status, out, _ = cli("doctor")
    assert status == 0
    assert "all is well" in out


def test_doctor_finds_what_is_wrong(cli, monkeypatch, tmp_path):
    monkeypatch.setattr(self_test, "_speed", lambda run: 1.0)
    monkeypatch.setattr(self_test, "_examine_jax", lambda report, problems: None)
    monkeypatch.setenv("NOVASR_WEIGHTS", "nowhere.safetensors")
    status, out, err = cli("doctor")
    assert status == 1
    assert "weights: weights must be a file or one of" in err
    assert "something is wrong" in out
    monkeypatch.delenv("NOVASR_WEIGHTS")
    # Other numbers than those that were shipped.
    folder = tmp_path / "weights"
    shutil.copytree(weights_path(None).parent, folder)
    shutil.copy(weights_path(None), tmp_path / "w")
    data = bytearray((folder / weights_path(None).name).read_bytes())
    data[-1] ^= 1
    (folder / weights_path(None).name).write_bytes(data)
    monkeypatch.setattr("novasr_np.weights._FOLDERS", (folder,))
    assert "differs from the file shipped" in cli("doctor")[2]
    wrong = dataclasses.replace(NOVASR, ports=Ports({0: 0.5}))
    monkeypatch.setitem(NETWORKS, "NovaSR", wrong)
    assert "self-test: NovaSR, numpy float64 is off by" in cli("doctor")[2]


needs_onnx = pytest.mark.skipif(
    not (importlib.util.find_spec("onnx") and importlib.util.find_spec("onnxruntime")),
    reason="needs the extra onnx",
)


@needs_onnx
@pytest.mark.parametrize("opset", onnx_nodes.OPSETS)
@pytest.mark.parametrize("half", [False, True])
def test_onnx_gives_what_numpy_gives(opset, half):
    """At three lengths and two sizes of batch."""
    import onnxruntime  # noqa: PLC0415

    model = to_onnx.export(random_params(2), opset=opset, half=half)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    dtype, tolerance = (np.float16, 2e-2) if half else (np.float32, 2e-6)
    for batch in (1, 3):
        for samples in (2, 37, 4000):
            x, want = with_truth(batch, samples)
            (y,) = session.run(None, {"input": x.astype(dtype)[:, None]})
            assert y.dtype == dtype
            check(y[:, 0], want, tolerance)


@cache
def with_truth(batch, samples):
    x = np.stack([speech_like(samples, seed=seed) for seed in range(batch)])
    return x, forward(random_params(2), np.float64(x))


@needs_onnx
def test_export_writes_a_model_that_verify_accepts(cli):
    assert cli("export", "onnx", "a.onnx")[0] == 0
    status, _, err = cli("export", "onnx", "a.onnx")
    assert status == 2
    assert "a.onnx exists" in err
    status, _, err = cli("export", "onnx", "b.onnx", "--half")
    assert status == 2
    assert "airband has no float16 model" in err
    half = ("--half", "--if-exists", "overwrite", "--weights", "novasr-open")
    assert cli("export", "onnx", "a.onnx", *half)[0] == 0
    status, _, err = cli("export", "onnx", "b.onnx", "--opset", "9")
    assert status == 2
    assert "opset must be from 11 to 21, got 9" in err
    for name, words in (
        ("a.txt", "must end in .onnx"),
        ("", "must end in"),
        ("no/a.onnx", ": no/a.onnx"),
    ):
        status, _, err = cli("export", "onnx", name)
        assert status == 2
        assert words in err
    assert sorted(os.listdir()) == ["a.onnx"]
    assert cli("export", "onnx", "b.onnx")[0] == 0
    status, out, _ = cli("verify", "--onnx", "b.onnx", "--long", "6")
    assert status == 0
    assert "verdict: float32" in out
    lenient = ("--long", "0", "--require", "float16", "--weights", "novasr-open")
    assert cli("verify", "--onnx", "a.onnx", *lenient)[0] == 0


@needs_onnx
def test_export_heeds_the_variable(cli, weights_file, monkeypatch):
    assert cli("export", "onnx", "ours.onnx")[0] == 0
    monkeypatch.setenv("NOVASR_WEIGHTS", str(weights_file))
    assert cli("export", "onnx", "theirs.onnx")[0] == 0
    assert cli("verify", "--onnx", "theirs.onnx", "--long", "0")[0] == 0
    assert cli("verify", "--onnx", "ours.onnx", "--long", "0")[0] == 1


@needs_onnx
def test_models_that_are_no_port_are_refused(cli):
    import onnx  # noqa: PLC0415
    from onnx import helper  # noqa: PLC0415

    def add(kind, inputs, name):
        given = [helper.make_tensor_value_info(n, kind, [None]) for n in inputs]
        out = helper.make_tensor_value_info("y", kind, [None])
        node = helper.make_node("Sum", inputs, ["y"])
        graph = helper.make_graph([node], "g", given, [out])
        opset = [helper.make_opsetid("", 13)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), name)

    add(onnx.TensorProto.FLOAT, ["a", "b"], "two.onnx")
    add(onnx.TensorProto.DOUBLE, ["a"], "double.onnx")
    Path("text.onnx").write_text("no model")
    for name, status, words in (
        ("two.onnx", 2, "two.onnx must have one tensor of floats in"),
        ("text.onnx", 2, "text.onnx"),
        ("double.onnx", 1, "samples, expected"),
    ):
        got, out, err = cli("verify", "--onnx", name, "--long", "0")
        assert got == status
        assert words in out + err


def test_export_writes_a_program_for_every_platform(cli):
    export = pytest.importorskip("jax.export", reason="needs the extra jax")
    assert cli("export", "stablehlo", "a.bin")[0] == 0
    program = export.deserialize(bytearray(Path("a.bin").read_bytes()))
    assert set(program.platforms) == {"cpu", "cuda", "tpu"}
    for shape in ((1, 80), (3, 480)):
        x = np.random.default_rng(0).normal(0, 0.3, shape).astype(np.float32)
        edge = np.full(len(x), np.nan, np.float32)
        check(program.call(x, edge), forward(load_weights(), np.float64(x)), 5e-6)
    for name in ("novasr-open", "airband-live-2"):
        assert cli("export", "stablehlo", f"{name}.bin", "--weights", name)[0] == 0
    assert cli("export", "stablehlo", "a.bin")[0] == 2


def test_compare_tells_delay_level_and_noise(cli):
    x = np.float64(speech_like(48_000, 48_000)) * np.hanning(48_000)
    noise = np.random.default_rng(0).normal(0, 1e-3, 48_000)
    soundfile.write("a.wav", 0.5 * np.roll(x, 7), 48_000, subtype="FLOAT")
    soundfile.write("b.wav", x, 48_000, subtype="FLOAT")
    soundfile.write("c.wav", x + noise, 48_000, subtype="FLOAT")
    status, out, _ = cli("compare", "a.wav", "b.wav", "--json")
    report = json.loads(out)
    assert status == 0
    assert report["delay"] == 7
    assert abs(report["gain"] - 0.5) < 1e-3
    for band in report["bands"]:
        assert abs(band["level_db"] - 20 * np.log10(0.5)) < 0.05
        assert abs(band["lsd"] - 2 * np.log10(2)) < 0.05
    report = json.loads(cli("compare", "c.wav", "b.wav", "--json")[1])
    assert abs(report["snr_db"] - 10 * np.log10((x @ x) / (noise @ noise))) < 0.1
    assert "A is 7 samples late" in cli("compare", "a.wav", "b.wav")[1]
    assert "A is 7 samples early" in cli("compare", "b.wav", "a.wav")[1]
    soundfile.write("d.wav", x, 44_100)
    status, _, err = cli("compare", "a.wav", "d.wav")
    assert status == 2
    assert "a.wav is at 48000 Hz, d.wav at 44100" in err
    soundfile.write("e.wav", x[:1000], 48_000)
    assert "more than 1024 samples, got 1000" in cli("compare", "e.wav", "b.wav")[2]


@pytest.mark.filterwarnings("error")
def test_compare_says_where_there_is_no_answer(cli):
    rng = np.random.default_rng(0)
    for name, x in (("silence", np.zeros(9000)), ("a", rng.normal(0, 0.1, 9000))):
        soundfile.write(f"{name}.wav", x, 48_000, subtype="FLOAT")
    soundfile.write("b.wav", rng.normal(0, 0.1, 9000), 48_000, subtype="FLOAT")
    soundfile.write("nan.wav", np.full(9000, np.nan), 48_000, subtype="FLOAT")
    Path("text.wav").write_text("no audio")
    for a, b in (("a", "silence"), ("silence", "a"), ("silence", "silence")):
        report = json.loads(cli("compare", f"{a}.wav", f"{b}.wav", "--json")[1])
        assert report["delay"] is None
        assert abs(report["snr_db"] or 0) < 1e-9  # undefined, or as loud as what is missing
        assert all(band["level_db"] is None for band in report["bands"])
        assert cli("compare", f"{a}.wav", f"{b}.wav")[0] == 0
    status, out, _ = cli("compare", "a.wav", "b.wav")
    assert status == 0
    assert "match at no delay" in out
    for bad, words in (
        ("nan", "nan.wav: its samples must be finite"),
        ("text", "text.wav: not audio"),
    ):
        status, _, err = cli("compare", "a.wav", f"{bad}.wav")
        assert status == 2
        assert words in err


@pytest.mark.parametrize("late", [0, 1, -300, 200_000])
def test_compare_in_pieces_is_compare(late, monkeypatch):
    """However the signals are cut, and with a delay that spans blocks of the correlation."""
    rng = np.random.default_rng(abs(late))
    x = rng.normal(0, 0.1, 300_000)
    a = np.concatenate([np.zeros(max(0, late)), x[max(0, -late) :]])[:280_000]
    b = x + rng.normal(0, 0.01, len(x))
    whole = spectrum.compare(a, b, 16_000)
    assert whole["delay"] == late
    assert whole["samples"] == 280_000 - abs(late)
    assert whole["lengths"] == [280_000, 300_000]

    def pieces(y):
        def each():
            cuts = np.sort(np.random.default_rng(1).integers(0, len(y), 40))
            return iter(np.split(y, cuts))

        return each

    monkeypatch.setattr(spectrum, "MAX_DELAY", 1 << 18 if late > 9000 else 1 << 12)
    cut = spectrum.compare(pieces(a), pieces(b), 16_000)
    assert cut["delay"] == late
    assert [band["hz"] for band in cut["bands"]] == [[0, 4000], [4000, 8000]]
    for name in ("gain", "snr_db", "lsd"):
        assert abs(cut[name] - whole[name]) < 1e-9
    for one, other in zip(cut["bands"], whole["bands"], strict=True):
        assert abs(one["level_db"] - other["level_db"]) < 1e-9
        assert abs(one["lsd"] - other["lsd"]) < 1e-9


@pytest.mark.parametrize("samples", [1025, 1536, 2048, 2500, 50_000])
def test_spectra_are_of_the_reflected_signal(samples):
    x = np.random.default_rng(0).normal(size=samples)
    padded = np.pad(x, 1024, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2048)[::512]
    want = np.abs(np.fft.rfft(frames * (0.5 - 0.5 * np.cos(np.pi * np.arange(2048) / 1024)))).T ** 2
    check(spectrum.power(x), want, 1e-9)
    power = spectrum.Power()
    parts = [power.push(part) for part in np.split(x, range(0, samples, 333))]
    check(np.concatenate([*parts, power.push(x[:0], last=True)], axis=1), want, 1e-9)


def test_no_band_beyond_half_the_rate(cli):
    soundfile.write("a.wav", speech_like(9000, 22_050), 22_050)
    report = json.loads(cli("compare", "a.wav", "a.wav", "--json")[1])
    assert [band["hz"] for band in report["bands"]] == [[0, 4000], [4000, 8000], [8000, 11_025]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [("compare", "a.wav", "a.wav"), ("spectrogram", "a.wav", "-o", "a.png", "-f")]
)
def test_memory_does_not_grow_with_the_length(cli, arguments):
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    minute = np.random.default_rng(0).normal(0, 0.1, 960_000)
    peaks = []
    for minutes in (1, 1, 3):  # what is loaded by the first run does not count
        with soundfile.SoundFile("a.wav", "w", 16_000, 1) as file:
            for _ in range(minutes):
                file.write(minute)
        tracemalloc.start()
        try:
            assert cli(*arguments)[0] == 0
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[2] - peaks[1] < minute.size  # less than a byte for each sample more


def test_log_spectral_distance_is_the_benchs():
    metrics = pytest.importorskip("bench.metrics", reason="needs scipy")
    a, b = (np.float64(speech_like(20_000, 48_000, seed)) for seed in (0, 1))
    assert abs(spectrum.compare(a, b, 48_000)["lsd"] - metrics.lsd(a, b)["all"]) < 1e-9


def test_spectrogram_writes_a_picture_of_any_length(cli):
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    soundfile.write("a.wav", speech_like(16_000), 16_000)
    soundfile.write("b.wav", np.zeros(1), 48_000)
    assert cli("spectrogram", "a.wav", "b.wav", "-o", "p.png")[0] == 0
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")
    soundfile.write("long.wav", speech_like(16_000 * 30), 16_000)  # more frames than columns
    status, _, err = cli("spectrogram", "long.wav", "-o", "long.png")
    assert (status, "long.png: 1 spectrogram, " in err) == (0, True)
    os.remove("long.wav")
    os.remove("long.png")
    for arguments, words in (
        (("a.wav", "-o", "p.gif"), "must end in .png"),
        (("a.wav", "-o", "p.png"), "p.png exists"),
        (("no.wav", "-o", "q.png"), "such"),
        (("a.wav", "-o", "nowhere/q.png"), "No such file or directory: nowhere/q.png"),
    ):
        status, _, err = cli("spectrogram", *arguments)
        assert status == 2
        assert words in err
    assert sorted(os.listdir()) == ["a.wav", "b.wav", "p.png"]
    soundfile.write("slow.wav", np.zeros(100), 50)
    assert cli("spectrogram", "slow.wav", "-o", "p.png", "--if-exists", "overwrite")[0] == 0
