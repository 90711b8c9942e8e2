"""Sound narrower than the networks were made for: nothing mirrored, and what is said of it."""

import json

import numpy as np
import pytest
import soundfile
from conftest import check, runner, speech, speech_like

from novasr_np import Stream, resample, upsample
from novasr_np.cli import corpus, run
from novasr_np.networks import NETWORKS

AIRBAND = "airband-live-1"  # as airband-1 in all that is tried here, and of less context


def levels(y):
    """Of bands of 1 kHz, in dB of full scale."""
    power = np.abs(np.fft.rfft(y * np.hanning(len(y)))) ** 2
    hertz = np.fft.rfftfreq(len(y), 1 / 48_000)
    return 10 * np.log10(np.bincount(np.int64(hertz // 1000), power)[:24] / len(y) ** 2 + 1e-30)


def test_originals_keep_their_resamplers_and_all_others_are_steep():
    assert {name: network.resampler("auto") for name, network in NETWORKS.items()} == {
        "NovaSR": "upstream",
        "SpeechSR-48k": "upstream",
        "SpeechSR-24k": "upstream",
        "airband": "steep",
        "airband-live": "steep",
        "FlashSR": "hann",
    }
    assert all(network.resampler("soxr") == "soxr" for network in NETWORKS.values())


@pytest.mark.parametrize(("weights", "own"), [(AIRBAND, "steep"), ("novasr-open", "upstream")])
def test_every_door_has_the_networks_resampler(weights, own):
    x = speech_like(2000, 11_025)
    y = upsample(x, 11_025, weights=weights)
    np.testing.assert_array_equal(y, upsample(x, 11_025, weights=weights, resampler=own))
    check(Stream(weights, 11_025).push(x, last=True), y, 2e-6)
    at_16k = resample(x, 11_025, own)
    np.testing.assert_array_equal(y[:5000], upsample(at_16k, weights=weights)[:5000])


@pytest.mark.parametrize("rate", [6000, 8000, 11_025, 12_000])
def test_a_tone_has_no_mirror_image(rate):
    """Near half the rate, where a leaky resampler leaves one of -7 dB."""
    x = 0.5 * np.sin(2 * np.pi * 0.45 * np.arange(rate))
    y = upsample(x, rate, weights=AIRBAND)
    got = levels(y[9600:-9600])
    top = -(-rate // 2000)  # kHz
    assert got[top:8].max() < got[:top].max() - 80


@pytest.mark.parametrize("rate", [8000, 11_025])
@pytest.mark.parametrize("wide", [44_100, 48_000])
def test_the_same_sound_in_a_wider_file_comes_out_the_same(rate, wide):
    x = speech_like(rate, rate) + 1e-3 * np.random.default_rng(0).normal(size=rate)
    narrow = upsample(x, rate, weights=AIRBAND)
    other = upsample(resample(x, rate, "steep", wide), wide, weights=AIRBAND)
    difference = levels(narrow) - levels(other[: len(narrow)])
    assert np.abs(difference[-(-rate // 2000) :]).max() < 2


def test_corpora_know_a_resampler_by_its_own_name(monkeypatch, tmp_path):
    """`auto` and what it stands for are one setting; what another made is made again."""
    monkeypatch.chdir(tmp_path)
    speech("in/a.wav", 8000, samples=10)
    hashes = {}
    for name in ("auto", "steep", "upstream"):
        options = ["in", "out", "--weights", AIRBAND, "--resampler", name]
        _, task, _ = corpus._prepare(run._parser().parse_args(["corpus", *options]))
        hashes[name] = task.settings
    assert hashes["auto"] == hashes["steep"] != hashes["upstream"]


def test_what_ends_too_low_is_told_before_the_work(monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(tmp_path)
    for name, rate in (("a", 8000), ("b", 8000), ("c", 14_000)):
        soundfile.write(f"{name}.wav", speech_like(100, rate), rate)
    wide = resample(np.random.default_rng(0).normal(0, 0.1, 8000), 8000, "steep", 48_000)
    soundfile.write("d.wav", wide, 48_000)
    cli = runner(capfd, "upsample", "--weights", AIRBAND)
    said = "its sound ends at 4 kHz, and airband-live is made for sound up to 8 kHz: little is"
    for names, count in (("a", 1), ("ab", 1), ("c", 0), ("d", 1)):
        status, _, err = cli(*[f"{name}.wav" for name in names], "-f")
        assert (status, err.count(said), "is new" in err) == (0, count, False)
    assert cli("a.wav", "b.wav", "-f", "-v")[2].count(said) == 2
    assert said not in cli("a.wav", "-f", "-q")[2]
    (file,) = json.loads(cli("a.wav", "-f", "--json")[1])["files"]
    assert file["notes"].startswith(said)
