"""The quality bench: its inputs, its measures and its page."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs scipy")

from scipy import signal

from bench import metrics, quality
from bench.inputs import INPUTS
from novasr_np.dsp.resample import resample
from novasr_np.dsp.spectrum import compare, power

RATE = 48_000
PERIOD = 384  # samples: 125 Hz


def noise(samples, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, samples)


def pulses(samples):
    """A voice of 125 Hz that buzzes up to 24 kHz."""
    x = np.zeros(samples)
    x[::PERIOD] = 1
    return signal.lfilter([1], [1, -0.5], x) + 1e-4 * noise(samples)


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_is_in_step_and_ends_at_its_edge(name):
    truth = signal.lfilter([1], [1, -0.9], noise(36_001))
    rate, edge, make = INPUTS[name]
    x = make(truth)
    assert len(x) == -(-len(truth) * rate // RATE)
    y = resample(x, rate, RATE, "steep")[: len(truth)]
    assert compare(y, truth, RATE)["delay"] == 0
    hertz = np.fft.rfftfreq(2048, 1 / RATE)
    above = hertz > 1.1 * edge
    rest = power(y)[above].sum() / power(truth)[above].sum() if above.any() else 0
    assert rest < 1e-3


def test_the_pitch_is_found_where_there_is_a_voice():
    x = np.concatenate([pulses(RATE), noise(RATE), np.zeros(RATE)])
    starts, periods = metrics.voiced(x)
    assert len(starts) > 80
    assert starts.max() < RATE
    assert set(periods) == {PERIOD}
    assert len(metrics.voiced(np.zeros(RATE)).starts) == 0


def test_pulses_beat_and_noise_does_not():
    truth = pulses(RATE)
    frames = metrics.voiced(truth)
    for band in metrics.BEAT_BANDS:
        assert metrics.beat(truth, frames, band) > 0.99
        assert abs(metrics.beat(noise(RATE), frames, band)) < 0.1
    assert np.isnan(metrics.beat(truth, metrics.voiced(noise(RATE)), (4000, 8000)))


def test_what_comes_before_an_onset_is_heard():
    """Only there, only above the edge, and by as many dB as it is louder."""
    quiet, loud = 1e-2 * noise(RATE), noise(RATE, 1)
    at = RATE // 2
    truth = np.where(np.arange(RATE) < at, quiet, loud)
    assert np.abs(metrics.onsets(truth) - at).max() <= RATE // 500
    assert metrics.before_onsets(truth, truth, 8000) == 0
    early = truth.copy()
    early[at - 960 : at - 48] *= 10
    assert 15 < metrics.before_onsets(early, truth, 8000) < 20
    late = truth.copy()
    late[at + 48 :] *= 10
    assert abs(metrics.before_onsets(late, truth, 8000)) < 1
    low = signal.sosfiltfilt(signal.butter(8, 4000, fs=RATE, output="sos"), early - truth)
    assert abs(metrics.before_onsets(truth + low, truth, 8000)) < 0.1
    assert np.isnan(metrics.before_onsets(loud, loud, 8000))


def test_a_dark_line_shows_in_the_seam():
    truth = noise(2 * RATE)
    dark = signal.sosfiltfilt(
        signal.butter(4, (7680, 7820), "bandstop", fs=RATE, output="sos"), truth
    )
    found = metrics.seam(dark, truth, 8000)
    assert found[1] < -6
    assert max(map(abs, found[3:])) < 0.5
    assert metrics.seam(truth, truth, 8000) == [0] * 6


def test_levels_are_those_of_the_bands():
    truth = noise(RATE)
    y = truth + signal.sosfiltfilt(
        signal.butter(8, (13_000, 15_000), "bandpass", fs=RATE, output="sos"), truth
    )
    below, beside, raised, above = metrics.levels(y, truth)
    assert raised > 1
    assert max(abs(below), abs(beside), abs(above)) < 0.1


def test_the_page_has_means_ranges_and_published_rows():
    clips = {"vctk_a": 1.0, "vctk_b": 3.0, "bibletts_c": 5.0}
    scores = {
        name: {
            stem: {"LSD": shift + value, "beat 4-8": np.nan, "seam": [value] * 6}
            for stem, value in clips.items()
        }
        for name, shift in ((quality.TRUTH, 0), ("airband", 1))
    }
    kinds = dict.fromkeys([*quality.MAIN, *quality.SEAMS], scores)
    page = quality.report(kinds)
    assert "| **airband** | 3.00 (2.00 .. 4.00) | - |" in page
    assert "| **airband** | 6.00 | - |" in page
    assert page.count("| AP-BWE, 29.8 M, published |") == len(quality.MAIN)
    assert "| Telephone: airband | +3.0 |" in page
