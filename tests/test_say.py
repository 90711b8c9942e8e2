"""Text to speech through its doors, with weights drawn by name: they speak no language."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import check, runner
from material import write_inflect

from novasr_np import WeightsError, say, speech, upsample
from novasr_np.networks.inflect import load, model
from novasr_np.networks.inflect.text import to_ids
from novasr_np.networks.voices import VOICES, Speech


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_inflect(tmp_path_factory.mktemp("inflect"))


@pytest.fixture(scope="module")
def params(folder):
    return load.load(folder)


@pytest.fixture
def cli(tmp_path, monkeypatch, capfd, folder):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOVASR_INFLECT", str(folder))
    return runner(capfd)


def test_a_sentence_is_what_the_network_says(params):
    samples, rate = say("Hello.", weights=params)
    *_, (_, wave) = model.stages(params, *to_ids("hello.").ids.values())
    assert rate == 24_000
    assert samples.dtype == np.float32
    check(samples, model.level(wave), 1e-4)
    exact, _ = say("Hello.", weights=params, mode="exact")
    np.testing.assert_array_equal(exact, samples)


def test_at_48_khz_it_goes_through_the_default_network(params):
    text = "One two. Three."
    narrow, _ = say(text, weights=params)
    wide, rate = say(text, weights=params, sample_rate=48_000)
    assert rate == 48_000
    assert len(wide) == 2 * len(narrow)
    check(wide, upsample(narrow, 24_000, keep_lowband=True), 1e-5)


def test_sentences_come_one_by_one(params, monkeypatch):
    """The first is there before the second is computed."""
    spoken = []
    voice = VOICES[load.NAME]

    def counted(*arguments):
        spoken.append(arguments)
        return voice.speak(*arguments)

    monkeypatch.setitem(VOICES, voice.name, replace(voice, speak=counted))
    for rate in speech.RATES:
        spoken.clear()
        parts = speech.spoken(
            "One, two, three, four, five. " * 10, weights=params, sample_rate=rate
        )
        assert next(parts).samples.size
        assert len(spoken) == 1
        next(parts)
        assert len(spoken) == 2


def test_speed(params):
    slow, plain, fast = (len(say("Hello there.", weights=params, speed=s)[0]) for s in (0.5, 1, 2))
    assert slow == pytest.approx(2 * plain, rel=0.1)
    assert fast == pytest.approx(plain / 2, rel=0.1)


def test_slow_speech_is_cut_into_more_sentences_and_nothing_is_lost(params):
    text = " ".join(["nobody remembers", "the seventeenth of November,"] * 3)
    whole = list(speech.spoken(text, weights=params, speech=Speech(speed=0.5)))
    assert all(len(s.samples) < 1400 * 256 for s in whole)
    assert len(whole) > 1
    assert not any(s.lost for s in whole)
    words = [word for s in whole for word in s.spoken.words]
    assert words.count("November") == 3


def test_what_is_lost_is_said(params):
    with pytest.warns(UserWarning, match="without sound: 😀"):
        say("Hello 😀.", weights=params)
    with pytest.warns(UserWarning, match="not said: 😀"):
        say("😀. Hello.", weights=params)
    with pytest.warns(UserWarning, match="cut off after 1400 of"):
        say("seven " * 160, weights=params, mode="exact")


@pytest.mark.parametrize("text", ["", "  \n", "😀", "\x00\x01", "...", "?! , ."])
def test_nothing_to_say_is_an_error(params, text):
    with pytest.raises(ValueError, match="something to say"):
        say(text, weights=params)


def test_bad_arguments(params, monkeypatch):
    monkeypatch.delenv("NOVASR_INFLECT", raising=False)
    for error, words, options in (
        (ValueError, "sample_rate must be one of", {"sample_rate": 16_000}),
        (ValueError, "speed must be from 0.25 to 4.0, got 0", {"speed": 0}),
        (ValueError, "energy must be", {"energy": float("nan")}),
        (ValueError, "mode must be one of", {"mode": "loud"}),
        (WeightsError, "hf download", {"weights": None}),
    ):
        with pytest.raises(error, match=words):
            say("Hello.", **{"weights": params, **options})
    with pytest.raises(TypeError, match="text must be a str or strings, got int"):
        say(5, weights=params)
    with pytest.raises(ValueError, match="at most 10,000 characters in exact mode"):
        say("a" * 10_001, weights=params, mode="exact")


def test_the_command_writes_a_file(cli, params, tmp_path):
    status, _, err = cli("say", "Hello there. One, two.", "-o", "hello.flac")
    assert status == 0, err
    assert "of speech" in err
    y, rate = soundfile.read("hello.flac")
    want, _ = say("Hello there. One, two.", weights=params, sample_rate=48_000)
    assert rate == 48_000
    check(y, want, 1e-4)
    status, _, err = cli("say", "Hello.", "-o", "hello.flac")
    assert (status, "exists" in err) == (2, True)
    (tmp_path / "text.txt").write_text("One.\n\nTwo 😀.")
    status, _, err = cli("say", "-f", "text.txt", "--rate", "24000")
    assert status == 0
    assert "without sound: 😀" in err
    assert soundfile.info("speech.wav").samplerate == 24_000


def test_the_command_pipes(folder, params):
    command = [*(sys.executable, "-m", "novasr_np.cli", "say", "-", "-o", "-", "--rate", "24000")]
    done = subprocess.run(
        [*command, "--weights", str(folder)], input=b"Hello.", capture_output=True, check=True
    )
    y = np.frombuffer(done.stdout, "<i2") / 32767
    check(y, say("Hello.", weights=params)[0], 1e-4)


def test_the_command_shows_phones_and_ids(cli):
    status, out, err = cli("say", "--phones", "--ids", "Hello 😀.")
    assert status == 0
    assert out.startswith("_ hh ah0 l ow1 . _\nphone    0 0 0 49 0 23 ")
    assert "no sound: 😀" in err


def test_the_command_reads_a_text_in_blocks(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("novasr_np.cli.say._BLOCK", 3)
    path = tmp_path / "text.txt"
    for end, status, words in ((b"", 0, ""), (b"\xc3", 2, "text.txt: byte 12 is not UTF-8 text")):
        path.write_bytes("Héllo\u2026 A.".encode() + end)
        found, out, err = cli("say", "--phones", "--file", path)
        assert (found, out) == (status, "" if end else "_ hh ah0 l ow1 . _\n_ ey1 . _\n")
        assert words in err


def test_a_voice_is_a_record(cli, tmp_path, monkeypatch):
    """Another one speaks through the same doors."""
    voice = VOICES[load.NAME]
    files = voice.weights._replace(
        holds=lambda path: (Path(path) / "other.bin").exists(),
        variable="OTHERS_WEIGHTS",
        load=lambda _: {"gain": 0.5},
        describe=lambda _: iter(["another voice's"]),
    )
    other = replace(
        voice,
        name="other",
        sample_rate=8_000,
        weights=files,
        prepare=lambda weights: weights["gain"],
        speak=lambda gain, reading, manner: (
            np.full(round(600 * manner.length), gain, np.float32),
            1,
        ),
    )
    monkeypatch.setitem(VOICES, other.name, other)
    (tmp_path / "other.bin").touch()
    samples, rate = say("Hello. There.", weights=tmp_path, speed=2)
    assert rate == 8_000
    np.testing.assert_array_equal(samples, np.full(600, 0.5))
    assert len(say("Hello.", weights=tmp_path, sample_rate=48_000)[0]) == 3600
    with pytest.raises(ValueError, match="sample_rate must be one of"):
        say("Hello.", weights=tmp_path, sample_rate=24_000)
    assert cli("weights", "show", tmp_path)[:2] == (0, "another voice's\n")
    monkeypatch.delenv(load.VARIABLE, raising=False)
    monkeypatch.setenv("OTHERS_WEIGHTS", str(tmp_path))
    assert say("Hello.")[1] == 8_000
    assert cli("say", "Hello.", "--weights", tmp_path)[0] == 0
    assert soundfile.info("speech.wav").frames == 3600


def test_weights_are_shown_and_converted(cli, folder, params, tmp_path):
    status, out, _ = cli("weights", "show", folder)
    assert status == 0
    assert out.count("not the published file") == 2
    assert "acoustic    199 tensors, 3,465,125 numbers" in out
    assert "vocoder     233 tensors, 1,164,232 numbers" in out
    assert cli("weights", "convert", folder, "inflect.safetensors")[0] == 0
    want, _ = say("Hello.", weights=params)
    check(say("Hello.", weights="inflect.safetensors")[0], want, 1e-4)
    assert "vocoder     233 tensors" in cli("weights", "show", "inflect.safetensors")[1]
    half = tmp_path / "half"
    half.mkdir()
    shutil.copy(folder / "inflect_nano_v1_vocoder.pt", half)
    status, _, err = cli("weights", "show", half)
    assert (status, "no inflect_nano_v1_acoustic.pt in" in err) == (2, True)


def test_the_command_refuses(cli, monkeypatch, tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for arguments, words in (
        (["Hello.", "-o", "hello.xyz"], "must end in wav, flac"),
        (["😀"], "something to say"),
        (["-f", "nowhere.txt"], "No such file"),
        (["-f", "bytes"], "byte 0 is not UTF-8"),
        (["Hello.", "--speed", "9"], "speed must be from"),
        (["Hello.", "--weights", "nowhere"], "weights must be a folder"),
    ):
        status, _, err = cli("say", *arguments)
        assert (status, words in err) == (2, True), err
    monkeypatch.delenv("NOVASR_INFLECT")
    status, _, err = cli("say", "Hello.")
    assert (status, "hf download" in err) == (2, True)
    assert not list(tmp_path.glob("*.wav"))
