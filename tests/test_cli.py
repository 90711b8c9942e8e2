"""The command as a user runs it: exit codes, names, pipes, and nothing half written."""

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import check, runner, shared, speech, speech_like

from novasr_np import load_weights, upsample
from novasr_np.cli import stream
from novasr_np.errors import message
from novasr_np.files import writing
from novasr_np.files.formats import FORMATS
from novasr_np.files.reading import read
from novasr_np.hashing import file_sha256
from novasr_np.weights import DEFAULT, read_weights, save_weights, weights_path


@pytest.fixture
def cli(weights_file, tmp_path, monkeypatch, capfd):
    """Run the command in an empty folder with random weights; gives (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOVASR_WEIGHTS", str(weights_file))
    return runner(capfd)


@pytest.fixture
def fed(cli, monkeypatch):
    """Run the command with bytes as standard input; gives (status, stdout in bytes, stderr)."""

    def run(data, *arguments):
        Path("in").write_bytes(data)
        with open("in") as given, open("out", "w") as taken, monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", given)
            patch.setattr(sys, "stdout", taken)
            status, _, err = cli(*arguments)
        return status, Path("out").read_bytes(), err

    return run


def tree():
    return sorted(str(p) for p in Path().rglob("*") if p.is_file())


def test_default_name_summary_and_samples(cli, params):
    speech("a.wav")
    status, out, err = cli("upsample", "a.wav")
    assert (status, out) == (0, "")
    assert "1 done: 0.25 s of audio in" in err
    assert "x real time, 0 samples saturated" in err
    assert tree() == ["a.wav", "a_48k.wav"]
    y, rate = soundfile.read("a_48k.wav", dtype="float32")
    assert rate == 48_000
    x, _ = soundfile.read("a.wav", dtype="float32")
    check(y, upsample(x, weights=params, keep_lowband=True), 2**-14)


def test_low_band_kept_or_not(cli, params):
    speech("a.wav", 24_000)
    x, _ = soundfile.read("a.wav", dtype="float32")
    outputs = {}
    for choice, keep in (("auto", True), ("off", False), ("5000", 5000)):
        status, _, err = cli("upsample", "a.wav", "--keep-lowband", choice, "-o", f"{choice}.wav")
        assert (status, "muffled" in err) == (0, False)
        outputs[choice], _ = soundfile.read(f"{choice}.wav", dtype="float32")
        check(outputs[choice], upsample(x, 24_000, weights=params, keep_lowband=keep), 2**-14)
    assert np.abs(outputs["auto"] - outputs["off"]).max() > 0.01


def band_limited(name, rate, hertz):
    """Noise that ends at so many Hz, in a file at `rate`."""
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(0, 0.1, rate))
    spectrum[hertz:] = 0  # a second: a bin is 1 Hz
    soundfile.write(name, np.fft.irfft(spectrum), rate)


def test_what_reaches_how_far_is_said_before_the_work(cli):
    band_limited("full.wav", 44_100, 22_050)
    assert (
        "full.wav: has sound up to 22.1 kHz, and all below 19.3 kHz is kept" in cli("full.wav")[2]
    )
    for rate in (24_000, 44_100, 48_000):
        name = f"{rate}.wav"
        band_limited(name, rate, 8000)
        _, out, _ = cli(name, "--json")
        (file,) = json.loads(out)["files"]
        edge, kept = file["band_edge"], file["kept_below"]
        assert 8000 <= edge < 8000 + 2 * 50  # the first bin without it, to a bin
        assert kept == edge * 7 / 8
        err = cli(name, "-f")[2]
        ends = f"its sound ends at {edge / 1000:.3g} kHz; all below {kept / 1000:.3g} kHz is kept"
        assert f"{name}: {ends}" in err
        kept, given = (energies(n, 6500)[0] for n in (f"{rate}_48k.wav", name))
        assert abs(kept / given - 1) < 0.01
        new, given = (energies(n, 8500)[1] for n in (f"{rate}_48k.wav", name))
        assert new > 100 * given
    assert "stays" not in cli("full.wav", "-f", "--keep-lowband", "7000")[2]
    assert "stays" not in cli("full.wav", "-f", "-q")[2]
    err = cli(*[f"{rate}.wav" for rate in (24_000, 44_100, 48_000)], "full.wav", "-f")[2]
    assert (err.count("sound ends"), err.count("has sound")) == (1, 1)


def energies(name, hertz):
    """Below and above a frequency."""
    x, rate = soundfile.read(name)
    power = np.abs(np.fft.rfft(x)) ** 2 / len(x) ** 2
    middle = hertz * len(x) // rate
    return power[:middle].sum(), power[middle:].sum()


@pytest.mark.parametrize("rate", [11_025, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("samples", [1, 1000, 12_345])
def test_as_long_as_the_input(cli, rate, samples):
    """To the sample, whatever the network's own steps."""
    soundfile.write("a.wav", speech_like(samples, rate), rate)
    assert cli("a.wav", "-q")[0] == 0
    assert soundfile.info("a_48k.wav").frames == -(-samples * 48_000 // rate)


def test_a_low_band_too_wide_for_a_file_is_its_failure(cli):
    speech("a.wav")
    status, _, err = cli("upsample", "a.wav", "--keep-lowband", "9000")
    assert status == 1
    assert "keep_lowband must be more than 0 and at most 7467 Hz" in err
    assert "got 9000.0" in err
    assert tree() == ["a.wav"]


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 44_100, 48_000])
def test_any_rate_and_stereo_become_48_khz(cli, rate):
    speech("a.wav", rate, 2, rate // 2)
    assert cli("upsample", "a.wav")[0] == 0
    info = soundfile.info("a_48k.wav")
    assert (info.samplerate, info.channels, info.frames) == (48_000, 2, 24_000)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.flac", {}),
        ("a.ogg", {}),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
        ("a.mp3", {}),
        ("a.aiff", {}),
        ("a.wav", {"subtype": "PCM_24"}),
    ],
)
def test_every_format_of_libsndfile_is_read(cli, name, options):
    speech(name, **options)
    assert cli("upsample", name)[0] == 0
    assert abs(soundfile.info("a_48k.wav").frames - 12_000) <= 6000  # MP3 pads


@pytest.mark.parametrize("format", list(FORMATS))
def test_every_format_is_written(cli, format):
    speech("a.wav", channels=2)
    suffix = FORMATS[format][0][0]
    assert cli("upsample", "a.wav", "--format", format)[0] == 0
    assert cli("upsample", "a.wav", "-o", f"b{suffix}")[0] == 0
    assert soundfile.info(f"a_48k{suffix}").format == FORMATS[format][1]
    assert soundfile.info(f"b{suffix}").subtype == FORMATS[format][2]


def test_channels_are_each_upsampled_or_the_first_or_their_mean(cli):
    speech("a.wav", channels=3)
    x = read(Path("a.wav"))[0]
    for choice, heard in (("each", x), ("first", x[:1]), ("mono", x.mean(axis=0, keepdims=True))):
        assert cli("upsample", "a.wav", "--channels", choice, "-o", f"{choice}.wav")[0] == 0
        y = read(Path(f"{choice}.wav"))[0]
        want = upsample(heard, weights=os.environ["NOVASR_WEIGHTS"], keep_lowband=True)
        check(y, want, 2**-14)


def test_folders_mirror_and_leave_out_own_outputs(cli):
    for name in ("in/a.wav", "in/deep/b.flac", "in/deep/c_48k.wav", "in/.hidden.wav"):
        speech(name)
    Path("in/notes.txt").write_text("no audio")
    assert cli("upsample", "in")[0] == 2
    assert "add -r" in cli("upsample", "in")[2]
    assert cli("upsample", "-r", "in", "-o", "out")[0] == 0
    assert [n for n in tree() if n.startswith("out")] == ["out/a_48k.wav", "out/deep/b_48k.wav"]
    assert cli("upsample", "-r", "in")[0] == 0
    err = cli("upsample", "-r", "in", "--if-exists", "skip")[2]
    assert err.splitlines()[0] == "passed over: 3 *_48k, 1 .txt"
    assert err.splitlines()[1].startswith("2 skipped")
    assert len(tree()) == 5 + 2 + 2


def test_what_exists_is_replaced_or_skipped_as_asked(cli):
    speech("a.wav")
    Path("a_48k.wav").write_text("mine")
    status, _, err = cli("upsample", "a.wav")
    assert status == 1
    assert "a_48k.wav exists: -f replaces it" in err
    assert cli("upsample", "a.wav", "--if-exists", "skip")[0] == 0
    assert Path("a_48k.wav").read_text() == "mine"
    assert cli("upsample", "a.wav", "--force")[0] == 0
    assert soundfile.info("a_48k.wav").frames == 12_000
    assert cli("upsample", "a.wav", "--if-exists", "overwrite")[0] == 0


def test_an_input_is_never_replaced_by_its_output(cli):
    before = Path(speech("a.wav")).read_bytes()
    status, _, err = cli("upsample", "a.wav", "-o", "a.wav", "--if-exists", "overwrite")
    assert status == 1
    assert "must be another file than the input" in err
    assert Path("a.wav").read_bytes() == before


def test_two_inputs_with_one_output_name(cli):
    speech("a.wav")
    speech("a.flac")
    status, _, err = cli("upsample", "a.wav", "a.flac", "-f")
    assert status == 2
    assert "a.wav and a.flac would both become a_48k.wav" in err
    assert tree() == ["a.flac", "a.wav"]


def test_bad_inputs_are_named_and_the_rest_is_done(cli):
    speech("good.wav")
    speech("none.wav", samples=0)
    speech("one.wav", samples=1)
    whole = Path(speech("cut.wav")).read_bytes()
    Path("cut.wav").write_bytes(whole[:3000])
    Path("text.wav").write_text("this is a text\n" * 40)
    Path("empty.wav").touch()
    soundfile.write("nan.wav", np.full(100, np.nan), 16_000, subtype="FLOAT")
    Path("folder.wav").mkdir()
    names = ["none", "one", "cut", "text", "empty", "nan", "missing", "good"]
    status, _, err = cli("upsample", *(f"{n}.wav" for n in names))
    assert status == 1
    told = {line.split(": ")[1]: line for line in err.splitlines() if line.startswith("novasr: ")}
    assert sorted(told) == ["cut.wav", "empty.wav", "missing.wav", "nan.wav", "text.wav"]
    assert "cut short" in told["cut.wav"]
    assert "not audio" in told["text.wav"]
    assert "not audio" in told["empty.wav"]
    assert "nan at index" in told["nan.wav"]
    assert "No such file" in told["missing.wav"]
    assert "3 done, 5 failed" in err
    outputs = {p.name: soundfile.info(p).frames for p in Path().glob("*_48k*")}
    assert outputs == {"none_48k.wav": 0, "one_48k.wav": 3, "good_48k.wav": 12_000}
    assert not list(Path().glob(".*"))


def test_json_has_every_file_and_the_sum(cli):
    speech("a.wav")
    status, out, _ = cli("upsample", "a.wav", "missing.wav", "--json")
    assert status == 1
    report = json.loads(out)
    good, bad = report["files"]
    assert (good["status"], good["target"], good["audio_seconds"]) == ("done", "a_48k.wav", 0.25)
    assert bad["status"] == "failed"
    assert "No such file" in bad["error"]
    assert (report["summary"]["done"], report["summary"]["failed"]) == (1, 1)


def test_quiet_says_nothing_and_verbose_each_file(cli):
    speech("a.wav")
    assert cli("upsample", "a.wav", "-q") == (0, "", "")
    err = cli("upsample", "a.wav", "-v", "--if-exists", "overwrite")[2]
    assert "a.wav -> a_48k.wav: 0.25 s of audio" in err


def test_a_files_name_alone_stands_for_upsample(cli):
    speech("a.wav")
    shutil.copy("a.wav", "speech")
    for arguments in (["a.wav"], ["-o", "b.wav", "a.wav"], ["speech", "-q"], ["./a.wav", "-f"]):
        assert cli(*arguments)[0] == 0
    assert {"a_48k.wav", "b.wav", "speech_48k.wav"} < set(tree())
    assert cli("help", "stream")[0] == 0
    for name, hint in (("upsmaple", "did you mean 'upsample'?"), ("xyzzy", "commands: upsample")):
        status, _, err = cli(name)
        assert (status, hint in err) == (2, True)
    assert "No such file" in cli("no.wav")[2]
    assert "novasr speech.wav" in cli("--help")[1]


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "novasr_np", "--version"], capture_output=True, check=True
    )
    assert done.stdout.startswith(b"novasr ")


def test_patterns_that_the_shell_left(cli):
    speech("a.wav")
    speech("b.wav")
    speech("[c].wav")
    assert "3 done" in cli("*.wav", "-o", "out/")[2]
    assert "1 done" in cli("[c].wav")[2]
    status, _, err = cli("*.flac")
    assert (status, "no file matches: *.flac" in err) == (2, True)


def test_a_missing_last_name_may_be_meant_as_the_output(cli):
    speech("a.wav")
    status, _, err = cli("a.wav", "out.wav")
    assert status == 1
    wanted = (
        "novasr: out.wav: No such file or directory; if it is meant as the output: -o out.wav\n"
    )
    assert wanted in err


def test_several_inputs_and_the_name_of_one_output(cli):
    speech("a.wav")
    speech("b.wav")
    status, _, err = cli("a.wav", "b.wav", "-o", "out.wav")
    assert (status, "-o out.wav is the name of one file" in err) == (2, True)
    assert tree() == ["a.wav", "b.wav"]


@pytest.mark.parametrize("ffmpeg", [False, True])
def test_what_recursion_passes_over_is_named(cli, monkeypatch, ffmpeg):
    monkeypatch.setattr("novasr_np.files.ffmpeg.is_installed", lambda: ffmpeg)
    speech("in/a.wav")
    for name in ("b.m4a", "c.txt", "d.txt", "e_48k.wav", ".hidden"):
        Path("in", name).write_bytes(b"no audio at all")
    status, _, err = cli("-r", "in")
    assert status == ffmpeg  # which finds out that b.m4a is none
    assert ("1 .m4a" in err, "ffmpeg, once installed" in err) == (not ffmpeg, not ffmpeg)
    assert "2 .txt" in err
    assert "1 *_48k" in err


@pytest.mark.parametrize(
    ("subtype", "format", "want"),
    [
        ("PCM_16", "wav", "PCM_16"),
        ("PCM_U8", "wav", "PCM_16"),
        ("PCM_24", "wav", "PCM_24"),
        ("PCM_24", "flac", "PCM_24"),
        ("PCM_24", "ogg", "VORBIS"),
        ("PCM_32", "flac", "PCM_24"),
        ("FLOAT", "wav", "FLOAT"),
        ("DOUBLE", "aiff", "FLOAT"),
        ("FLOAT", "flac", "PCM_24"),
    ],
)
def test_bit_depth_is_kept(cli, subtype, format, want):
    speech("a.wav", subtype=subtype)
    assert cli("a.wav", "--format", format)[0] == 0
    name = f"a_48k{FORMATS[format][0][0]}"
    assert soundfile.info(name).subtype == want
    assert cli("a.wav", "--format", format, "--subtype", FORMATS[format][2], "-f")[0] == 0
    assert soundfile.info(name).subtype == FORMATS[format][2]


def test_samples_beyond_full_scale_stay_in_formats_that_hold_them(cli):
    soundfile.write("a.wav", 3 * np.sin(np.arange(9000) / 10), 16_000, subtype="FLOAT")
    assert "--subtype FLOAT" in cli("a.wav", "-o", "a.flac")[2]
    assert "--subtype FLOAT" not in cli("a.wav")[2]
    assert np.abs(soundfile.read("a_48k.wav")[0]).max() > 2.9


@pytest.mark.parametrize("format", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_tags_are_kept(cli, format):
    with soundfile.SoundFile("a.flac", "w", 16_000, 1) as file:
        file.title, file.artist = "A title", "Somebody"
        file.write(speech_like(4000))
    assert cli("a.flac", "--format", format)[0] == 0
    with soundfile.SoundFile(f"a_48k{FORMATS[format][0][0]}") as file:
        assert (file.title, file.artist) == ("A title", "Somebody")


def test_equal_samples_give_equal_bytes_whatever_the_time(cli):
    """libsndfile would put the time into floating-point files."""
    speech("a.wav", subtype="FLOAT")
    assert cli("a.wav")[0] == 0
    first = Path("a_48k.wav").read_bytes()
    assert b"PEAK" not in first
    time.sleep(1.1)
    assert cli("a.wav", "-f")[0] == 0
    assert Path("a_48k.wav").read_bytes() == first


USAGE = {
    "no input": ["upsample"],
    "no command": [],
    "unknown option": ["upsample", "a.wav", "--loud"],
    "format of a name": ["upsample", "a.wav", "-o", "b.xyz"],
    "format against name": ["upsample", "a.wav", "-o", "b.flac", "--format", "wav"],
    "subtype": ["upsample", "a.wav", "--format", "flac", "--subtype", "FLOAT"],
    "weights": ["upsample", "a.wav", "--weights", "missing.bin"],
    "two pipes": ["upsample", "-", "-", "-o", "out/"],
    "json to a pipe": ["upsample", "a.wav", "-o", "-", "--json"],
    "many into one": ["upsample", "a.wav", "a.wav", "-o", "-"],
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_ends_in_2_and_leaves_no_file(cli, case, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    speech("a.wav")
    status, out, err = cli(*USAGE[case])
    assert (status, out) == (2, "")
    assert err
    assert tree() == ["a.wav"]


def test_embedded_weights_are_the_default(cli, monkeypatch):
    monkeypatch.delenv("NOVASR_WEIGHTS")
    speech("a.wav")
    assert cli("upsample", "a.wav")[0] == 0
    x, _ = soundfile.read("a.wav", dtype="float32")
    y, _ = soundfile.read("a_48k.wav", dtype="float32")
    check(y, upsample(x, weights=DEFAULT, keep_lowband=True), 2**-14)


def test_missing_soxr_names_the_extra(cli, monkeypatch):
    speech("a.wav", 48_000)
    monkeypatch.setitem(sys.modules, "soxr", None)
    status, _, err = cli("upsample", "a.wav", "--resampler", "soxr")
    assert status == 2
    assert "novasr-np[soxr]" in err


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit(143)])
def test_an_interrupted_run_leaves_whole_files_alone(cli, monkeypatch, error):
    speech("a.wav")
    speech("b.wav")
    write = writing.Sink.write

    calls = []

    def interrupt(file, y):
        write(file, y)
        calls.append(y)
        if len(calls) == 3:  # two for a.wav, its body and its last samples
            raise error

    monkeypatch.setattr(writing.Sink, "write", interrupt)
    status, _, err = cli("upsample", "a.wav", "b.wav")
    assert status == (130 if error is KeyboardInterrupt else 143)
    assert "1 done" in err
    assert tree() == ["a.wav", "a_48k.wav", "b.wav"]


def test_a_target_that_cannot_be_written_is_named(cli):
    speech("a.wav")
    Path("file").touch()
    status, _, err = cli("upsample", "a.wav", "-o", "file/x.wav")
    assert status == 1
    assert "Not a directory" in err or "File exists" in err
    assert tree() == ["a.wav", "file"]


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "novasr_np.cli", *arguments],
        capture_output=True,
        check=False,
        **options,
    )


def test_a_file_goes_through_pipes(cli):
    done = command("upsample", "-", input=Path(speech("a.wav")).read_bytes())
    assert done.returncode == 0, done.stderr
    y, rate = soundfile.read(io.BytesIO(done.stdout))
    assert (rate, len(y)) == (48_000, 12_000)


@pytest.mark.parametrize("format", ["wav", "flac", "ogg"])
def test_standard_input_is_read_and_output_written_in_every_format(fed, format):
    data = Path(speech(f"a.{format}")).read_bytes()
    status, out, err = fed(data, "upsample", "-", "--format", format)
    assert status == 0, err
    y, rate = soundfile.read(io.BytesIO(out))
    assert (rate, len(y)) == (48_000, 12_000)
    assert fed(data, "upsample", "-", "-o", "b.wav")[:2] == (0, b"")
    assert soundfile.info("b.wav").frames == 12_000
    assert fed(b"", "upsample", "-")[:2] == (1, b"")


def test_a_rate_whose_filters_are_too_large_is_refused(cli):
    """The header alone made the command take gigabytes."""
    soundfile.write("a.wav", speech_like(9000), 16_000)
    data = bytearray(Path("a.wav").read_bytes())
    data[24:28] = (767_999).to_bytes(4, "little")
    Path("a.wav").write_bytes(data)
    status, _, err = cli("upsample", "a.wav")
    assert status == 1
    assert "must take at most 200 MB, got 316 MB" in err
    assert tree() == ["a.wav"]


def test_a_closed_pipe_is_no_traceback(cli):
    speech("a.wav", samples=200_000)
    done = subprocess.run(
        f"{sys.executable} -m novasr_np.cli upsample a.wav -o - | head -c 10",
        shell=True,
        capture_output=True,
        check=False,
    )
    assert done.stdout.startswith(b"RIFF")
    assert b"Traceback" not in done.stderr


def test_weights_convert_and_show(cli, upstream):
    version, params = upstream
    source = shared(f"upstream/pytorch_model_v{version}.bin")
    assert cli("weights", "convert", source, "w.safetensors")[0] == 0
    assert cli("weights", "convert", source, "w.safetensors")[0] == 2
    np.testing.assert_equal(load_weights("w.safetensors").params, params)
    status, out, _ = cli("weights", "show", "w.safetensors")
    assert status == 0
    assert "23,200 trained, 23,248" in out
    assert "Apache-2.0" in out
    assert f"NovaSR v{version}" in out
    assert f"published   NovaSR v{version}" in cli("weights", "show", source)[1]


def test_weights_are_converted_to_int8(cli):
    """By name; the file says whose weights they were and under which licence."""
    assert cli("weights", "convert", "airband", "w.safetensors", "--dtype", "int8")[0] == 0
    _, tensors, metadata = read_weights("w.safetensors")
    _, before, said = read_weights(weights_path("airband"))
    assert os.path.getsize("w.safetensors") < 0.6 * os.path.getsize(weights_path("airband"))
    assert metadata["licence"] == said["licence"] == "CC-BY-SA-4.0"
    sha256 = file_sha256(weights_path("airband"))
    assert metadata["provenance"] == f"{said['provenance']}, converted from sha256 {sha256}"
    for name, value in tensors.items():
        assert np.abs(value - before[name]).max() <= 0.004 * np.abs(before[name]).max(), name
    y, want = (
        upsample(speech_like(8000), 16_000, weights=weights)
        for weights in ("w.safetensors", "airband")
    )
    assert 0 < np.abs(y - want).max() < 0.05
    assert "int4" in cli("weights", "convert", "airband", "x.safetensors", "--dtype", "int4")[2]


def test_weights_that_cannot_be_used_are_named(cli, weights_file):
    Path("x.bin").write_bytes(b"PK nonsense")
    for arguments in (
        ["show", "x.bin"],
        ["show", "none"],
        ["convert", "x.bin", "y", "--licence=x"],
    ):
        status, out, err = cli("weights", *arguments)
        assert (status, out) == (2, "")
        assert "x.bin" in err or "none" in err
    save_weights(weights_file, "w.safetensors", provenance="", licence="")
    assert "give --licence" in cli("weights", "convert", "w.safetensors", "y.safetensors")[2]
    assert tree() == ["w.safetensors", "x.bin"]


def raw_samples(dtype, channels):
    x = np.stack([speech_like(3000, seed=seed) for seed in range(channels)])
    return (x if dtype == "<f4" else np.rint(x * 32767)).astype(dtype)


def check_stream(out, raw, params):
    y = np.frombuffer(out, raw.dtype).reshape(-1, len(raw)).T
    want = upsample(raw.astype(raw.dtype.newbyteorder("=")), weights=params, keep_lowband=True)
    check(*((y, want, 2e-6) if raw.dtype.kind == "f" else (y / 32767, want, 2e-5)))


@pytest.mark.parametrize(("kind", "dtype"), [("f32", "<f4"), ("s16", "<i2")])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_stream_is_upsample(fed, params, monkeypatch, kind, dtype, channels):
    """Raw samples in chunks that cut frames and samples anywhere."""
    monkeypatch.setattr(stream, "_READ_BYTES", 1001)
    raw = raw_samples(dtype, channels)
    options = ("--input", kind, "--output", kind, "--channels", channels)
    status, out, err = fed(raw.T.tobytes(), "stream", *options)
    assert status == 0, err
    check_stream(out, raw, params)


def test_a_stream_goes_through_pipes(cli, params):
    raw = raw_samples("<i2", 2)
    data, options = raw.T.tobytes(), ("--input", "s16", "--output", "s16", "--channels", "2")
    with subprocess.Popen(
        [sys.executable, "-m", "novasr_np.cli", "stream", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        for start in range(0, len(data), 1001):
            process.stdin.write(data[start : start + 1001])
            process.stdin.flush()
        out, _ = process.communicate()
    assert process.returncode == 0
    check_stream(out, raw, params)


def test_a_stream_that_ends_inside_a_frame_says_so(fed):
    status, out, err = fed(bytes(1003), "stream", "--channels", "2")
    assert status == 1
    assert "a whole frame of 8 bytes, got 3" in err
    assert len(out) == 3 * 125 * 8


def test_a_stream_says_what_it_may_have_been_given(fed):
    status, _, err = fed(Path(speech("a.wav")).read_bytes(), "stream")
    assert status == 1
    assert "got a sound file: novasr upsample -" in err
    loud = np.arange(20_000, 24_000, dtype="<i2").tobytes()
    assert "--input s16" in fed(loud, "stream")[2]
    assert "at most 1024, got 100000" in fed(b"", "stream", "--channels", "100000")[2]


def test_a_stream_refuses_nan_and_wrong_usage(fed):
    status, _, err = fed(np.full(10, np.nan, "<f4").tobytes(), "stream")
    assert status == 1
    assert "nan at index (0, 0)" in err
    assert fed(b"", "stream", "--rate", "7")[0] == 2
    assert fed(b"", "stream", "--channels", "0")[0] == 2
    assert fed(b"", "stream")[0] == 0


def test_any_number_of_threads_gives_the_same_bytes(cli):
    speech("a.wav", samples=30_000)
    outputs = []
    for threads in (1, 2, 3):
        assert cli("upsample", "a.wav", "-o", f"{threads}.wav", "--threads", threads)[0] == 0
        outputs.append(Path(f"{threads}.wav").read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]
    assert cli("upsample", "a.wav", "--threads", "0")[0] == 2


@pytest.mark.slow
@pytest.mark.parametrize("format", ["wav", "mp3"])
@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signals_while_a_long_file_is_written_leave_no_half_file(
    cli, format, sent, status, heeding_ctrl_c
):
    """Real signals, once the temporary file is there, at several moments: never half a file."""
    soundfile.write("long.wav", np.tile(speech_like(16_000), 600), 16_000)
    for delay in (0, 0.05, 0.2, 0.4):
        process = subprocess.Popen(
            [sys.executable, "-m", "novasr_np.cli", "upsample", "long.wav", "--format", format],
            stderr=subprocess.PIPE,
        )
        while not list(Path().glob(".*.novasr-part*")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        time.sleep(delay)
        process.send_signal(sent)
        _, err = process.communicate(timeout=30)
        assert process.returncode == status, err
        assert b"Traceback" not in err
        assert tree() == ["long.wav"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "status", "count"),
    [(signal.SIGINT, 130, 26), (signal.SIGTERM, 143, 8), (signal.SIGHUP, 129, 8)],
)
def test_a_signal_from_the_first_instant_on_is_no_traceback(
    cli, heeding_ctrl_c, sent, status, count
):
    """While modules are imported, and later: no traceback, and no file but a whole one."""
    speech("a.wav", samples=1_600_000)
    begin = "import sys; from novasr_np.cli import main; print(flush=True); sys.exit(main())"
    # Not quite at once: between the print and `main` the interrupt is still Python's own.
    for delay in np.linspace(0.005, 0.5, count):
        process = subprocess.Popen(
            [sys.executable, "-c", begin, "a.wav", "-f"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(sent)
        _, err = process.communicate(timeout=30)
        assert process.returncode in (status, -sent, 0), (delay, err)
        assert b"Traceback" not in err, (delay, err)
        assert set(tree()) <= {"a.wav", "a_48k.wav"}, delay


@pytest.mark.skipif(os.name != "posix", reason="no locks here")
def test_what_a_killed_run_left_is_removed_by_the_next(cli):
    speech("long.wav", samples=1_600_000)
    speech("a.wav")
    killed = subprocess.Popen([sys.executable, "-m", "novasr_np.cli", "long.wav"])
    while not (left := list(Path().glob(".*.novasr-part*"))):
        assert killed.poll() is None
        time.sleep(0.01)
    # It lives: another run leaves its file alone.
    assert command("a.wav").returncode == 0
    assert left[0].exists()
    killed.kill()
    killed.wait()
    assert left[0].exists()
    Path(".other.part.wav").touch()
    assert command("a.wav", "-f").returncode == 0
    assert tree() == [".other.part.wav", "a.wav", "a_48k.wav", "long.wav"]


def shell(line):
    return subprocess.run(
        line.replace("novasr", f"{sys.executable} -m novasr_np.cli"),
        shell=True,
        capture_output=True,
        check=False,
    )


def test_closed_and_full_standard_streams_cost_no_file(cli):
    """No traceback, no message in the audio or the JSON, and the files get done."""
    speech("a.wav")
    done = shell("novasr upsample a.wav missing.wav --json 2>&-")
    assert done.returncode == 1
    assert json.loads(done.stdout)["summary"]["done"] == 1
    assert shell("novasr upsample a.wav -o b.wav 2>&-").returncode == 0
    assert shell("novasr upsample -v a.wav missing.wav -o out 2>/dev/full").returncode == 1
    assert {"a_48k.wav", "b.wav", "out/a_48k.wav"} < set(tree())
    assert len(shell("head -c 64001 /dev/zero | novasr stream 2>&-").stdout) == 192_000
    for line in (
        "novasr upsample a.wav -o - >&-",
        "novasr upsample - -o c.wav <&-",
        "novasr upsample a.wav -o d.wav --json >/dev/full",
        "novasr weights show $NOVASR_WEIGHTS >/dev/full",
        "novasr stream >&- <a.wav",
        "novasr stream >/dev/full <a.wav",
    ):
        done = shell(line)
        assert done.returncode == 1, line
        assert b"Traceback" not in done.stderr, line
        assert b"novasr: " in done.stderr, line


@pytest.mark.skipif(os.name != "posix", reason="names are Unicode here")
def test_a_name_that_is_not_unicode(cli):
    name = os.fsdecode(b"bad\xff.wav")
    os.rename(speech("a.wav"), name)
    status, out, _ = cli("upsample", name, "--json")
    assert status == 0
    assert json.loads(out)["summary"]["done"] == 1
    assert os.path.exists(os.fsdecode(b"bad\xff_48k.wav"))


def test_convert_spares_what_it_must_not_replace(cli, weights_file):
    shutil.copy(weights_file, "w.st")
    os.mkfifo("pipe")
    for target in ("w.st", "pipe"):
        status, _, err = cli(
            *("weights", "convert", "w.st", target, "--if-exists", "overwrite", "--licence", "x")
        )
        assert status == 2
        assert target in err
    assert os.path.exists("pipe")
    assert not os.path.isfile("pipe")
    assert cli("weights", "convert", "/dev/zero", "x.st")[0] == 2


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("ENOSPC", "free some space"),
        ("EDQUOT", "free some space"),
        ("EROFS", "another disk"),
        ("EACCES", "permissions"),
        ("ENAMETOOLONG", "a shorter name"),
        ("EMFILE", "ulimit -n"),
    ],
)
def test_errors_of_the_system_name_a_way_out(name, way_out):
    number = getattr(errno, name)
    text = message(OSError(number, os.strerror(number), "x.wav"))
    assert text.startswith(f"{os.strerror(number)}: x.wav; ")
    assert way_out in text
