"""Sound of any band and rate: nothing mirrored, the same in a wider file, what is said of it."""

import json

import numpy as np
import pytest
import soundfile
from conftest import check, random_params, runner, speech, speech_like

from novasr_np import Stream, load_weights, resample, upsample
from novasr_np.cli import corpus, run
from novasr_np.dsp import band
from novasr_np.networks import NETWORKS
from novasr_np.weights import LIVE

AIRBAND = LIVE  # as the default in all that is tried here, and of less context
OPEN = "novasr-open"


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


@pytest.mark.parametrize(("weights", "own"), [(AIRBAND, "steep"), (OPEN, "upstream")])
def test_every_door_has_the_networks_resampler(weights, own):
    x, rate = speech_like(2000, 11_025), load_weights(weights).network.for_rate(11_025).rate_in
    how = {"weights": weights, "edge": 5000 if weights == AIRBAND else None}
    y = upsample(x, 11_025, **how)
    np.testing.assert_array_equal(y, upsample(x, 11_025, resampler=own, **how))
    check(Stream(sample_rate=11_025, **how).push(x, last=True), y, 2e-6)
    resampled = resample(x, 11_025, own, rate)
    np.testing.assert_array_equal(y[:5000], upsample(resampled, rate, **how)[:5000])


@pytest.mark.parametrize("rate", [6000, 8000, 11_025, 12_000, 16_000, 22_050, 24_000])
def test_a_tone_has_no_mirror_image(rate):
    """Near half the rate, where a leaky resampler leaves one of -7 dB."""
    params = random_params(0, NETWORKS["airband-live"])
    last = params["conv_out"]  # that predicts hardly any power, so that nothing else is there
    params |= {"conv_out": {"weight": 0 * last["weight"], "bias": 0 * last["bias"] - 10}}
    x = 0.5 * np.sin(2 * np.pi * 0.45 * np.arange(2 * rate))
    for edge in (None, rate / 2):
        y = upsample(x, rate, weights=params, edge=edge)[9600:-9600]
        power = np.abs(np.fft.rfft(y * np.hanning(len(y)))) ** 2
        hertz = np.fft.rfftfreq(len(y), 1 / 48_000)
        image = np.abs(hertz - 0.55 * rate) < 0.02 * rate
        assert power[image].max() < power.max() * 1e-6


def band_limited(top, rates):
    """A second of the same sound, nothing above `top` Hz, at each of these rates."""
    noise = 0.02 * np.random.default_rng(0).standard_normal(48_000)
    spectrum = np.fft.rfft(speech_like(48_000, 48_000) + noise)
    spectrum *= np.clip((top + 100 - np.arange(len(spectrum))) / 200, 0, 1)
    for rate in rates:
        yield np.fft.irfft(spectrum[: rate // 2 + 1], rate) * rate / 48_000


@pytest.mark.parametrize("rate", [8000, 12_000, 16_000, 24_000])
def test_the_same_sound_in_a_wider_file_comes_out_the_same(rate):
    """The windows of the frames reach a little beyond a narrow file's band, and so differ there."""
    narrow, wide = band_limited(0.42 * rate, (rate, 48_000))
    edges = [band.edge([x[np.newaxis]], r) for x, r in ((narrow, rate), (wide, 48_000))]
    assert edges[0] == edges[1] == pytest.approx(0.42 * rate, abs=150)
    y, other = (upsample(x, r, weights=AIRBAND) for x, r in ((narrow, rate), (wide, 48_000)))
    difference = (y - other)[2000:-2000]
    assert np.sqrt(np.mean(difference**2)) < 2e-3 * np.sqrt(np.mean(other**2))


@pytest.mark.parametrize("level", [1e-3, 1, 1e9])
def test_an_edge_does_not_depend_on_the_level(level):
    (x,) = band_limited(3400, [16_000])
    assert band.edge([np.float32(level * x)[np.newaxis]], 16_000) == 3400


def test_an_edge_is_a_number_of_hertz_of_the_band():
    x = speech_like(1000, 8000)
    for bad in (1999, 4001, -1, np.nan):
        with pytest.raises(ValueError, match=r"edge must be from 2000 Hz to half .* 8000 Hz, got"):
            upsample(x, 8000, edge=bad)
        with pytest.raises(ValueError, match="edge must be from 2000 Hz"):
            Stream(sample_rate=8000, edge=bad)
    with pytest.raises(TypeError, match="edge must be Hz or None, got 'follow'"):
        upsample(x, 8000, edge="follow")
    with pytest.raises(
        ValueError, match="edge must be None for NovaSR, got 4000: it is for airband"
    ):
        upsample(x, 8000, weights=OPEN, edge=4000)
    with pytest.raises(ValueError, match="edge must be None or Hz for NovaSR here, got 'follow'"):
        Stream(OPEN, edge="follow")
    y = upsample(x, 8000, edge=3000)
    np.testing.assert_array_equal(y, upsample(x, 8000, edge=3010))  # to 50 Hz
    assert np.abs(y - upsample(x, 8000, edge=3500)).max() > 1e-4


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


def test_where_it_ends_is_told_before_the_work(monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(tmp_path)
    for name, rate in (("a", 8000), ("b", 8000), ("c", 14_000)):
        soundfile.write(f"{name}.wav", speech_like(100, rate), rate)
    soundfile.write("d.wav", next(band_limited(3400, [48_000])), 48_000)
    cli = runner(capfd, "upsample", "-f", "--weights")
    said = "and NovaSR is made for sound up to 8 kHz: little is restored above"
    for names, count in (("a", 1), ("ab", 1), ("c", 0), ("d", 1)):
        status, _, err = cli(OPEN, *[f"{name}.wav" for name in names])
        assert (status, err.count(said), "is new" in err) == (0, count, False)
    assert cli(OPEN, "a.wav", "b.wav", "-v")[2].count(said) == 2
    assert said not in cli(OPEN, "a.wav", "-q")[2]
    (file,) = json.loads(cli(OPEN, "a.wav", "--json")[1])["files"]
    assert file["notes"] == f"its sound ends at 4 kHz, {said}"
    assert "d.wav: its sound ends at 3.4 kHz\n" in cli(AIRBAND, "d.wav")[2]
    assert "d.wav: its sound ends at 3 kHz\n" in cli(AIRBAND, "d.wav", "--edge", "3000")[2]
    assert "ends at" not in cli(AIRBAND, "a.wav")[2]
