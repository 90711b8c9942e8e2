"""The low band that is kept: whose each band is, formula, length, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from conftest import check, speech_like

from novasr_np import Stream, resample, upsample
from novasr_np.dsp import crossover
from novasr_np.dsp.band import edge
from novasr_np.dsp.crossover import Crossover, highest
from novasr_np.pipeline import look

RATES = [8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 8_009]


def keep(x, rate, y, hertz):
    y[:] = Crossover(hertz, rate, 48_000, len(x), y.dtype).push(x, y.copy(), last=True)


def sine(hertz, rate, samples):
    return np.sin(2 * np.pi * hertz * np.arange(samples) / rate + 0.3)[np.newaxis]


def test_the_page_notes_the_same_sounds():
    page = Path(crossover.__file__).parents[1] / "web/page/dsp.js"
    assert f"LOWEST_END = {look._LOWEST_END} * RATE_IN / 2;" in page.read_text()


@pytest.mark.parametrize("rate", RATES)
def test_each_band_has_its_source(rate):
    """-97 dB: below the edge nothing of the network is left, above it nothing of the input."""
    hertz = highest(rate, 48_000)
    samples = rate // 4 + 1
    length = -(-samples * 48_000 // rate)
    inside = slice(1000, -1000)
    for factor, kept in ((0.2, True), (0.92, True), (1.08, False)):
        at_48 = sine(factor * hertz, 48_000, length)
        y = np.zeros((1, length))
        keep(sine(factor * hertz, rate, samples), rate, y, hertz)
        check(y[:, inside], (at_48 if kept else 0 * at_48)[:, inside], 1.4e-5, "from the input")
        y = at_48.copy()
        keep(np.zeros((1, samples)), rate, y, hertz)
        check(y[:, inside], (0 * at_48 if kept else at_48)[:, inside], 1.4e-5, "from the network")


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_what_both_agree_on_passes(rate):
    """Complementary: at the crossover itself, too, nothing is lost, and nothing is late."""
    hertz, samples = 7000, rate // 4
    for tone in (6600, 7000, 7400):
        y = sine(tone, 48_000, 12_000)
        want = y.copy()
        keep(sine(tone, rate, samples), rate, y, hertz)
        check(y[:, 1000:-1000], want[:, 1000:-1000], 2e-5)


def test_kernel_is_the_formulas():
    """y + k * (x - y) with a windowed sinc, as plain sums."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1, 300)), rng.normal(size=(1, 900))
    seconds = (100 - 7.95) / (2.285 * 2 * np.pi * 1000) / 2
    beta = 0.1102 * (100 - 8.7)

    def k(t):
        inside = abs(t) <= seconds
        shape = np.i0(beta * np.sqrt(np.where(inside, 1 - (t / seconds) ** 2, 0))) / np.i0(beta)
        return inside * shape * 14_000 * np.sinc(14_000 * t)

    m = np.arange(900)[:, np.newaxis] / 48_000
    own = k(m - np.arange(300) / 16_000) @ x[0] / 16_000
    made = k(m - np.arange(900) / 48_000) @ y[0] / 48_000
    want = y[0] + own - made
    keep(x, 16_000, y, 7000)
    check(y[0], want, 1e-12)


def test_a_loud_low_band_keeps_its_level(params):
    """Where the network's tanh would flatten it."""
    x = 3 * sine(500, 16_000, 4000)[0]
    y = upsample(x, weights=params, keep_lowband=True)
    check(y[1000:-1000], 3 * sine(500, 48_000, 12_000)[0, 1000:-1000], 0.2)
    assert np.abs(upsample(x, weights=params)).max() <= 1


@pytest.mark.parametrize("rate", RATES)
def test_lengths(params, rate):
    for samples in (0, 1, 5, 1000):
        x = speech_like(2 * samples, rate).reshape(2, samples)
        y = upsample(x, rate, weights=params, keep_lowband=True)
        assert (y.shape, y.dtype) == ((2, -(-samples * 48_000 // rate)), np.float32)


def test_long_signals_go_in_pieces(params):
    x = np.float64(speech_like(60_000))
    y = upsample(x, weights=params, keep_lowband=True)
    stream = Stream(params, dtype=np.float64, keep_lowband=True)
    check(stream.push(x, last=True), y, 1e-12)


def test_what_is_no_frequency_is_refused(params):
    x = np.zeros(10)
    for bad in ("7000", [7000], 1j):
        with pytest.raises(TypeError, match="keep_lowband must be 'auto', Hz or None, got "):
            upsample(x, weights=params, keep_lowband=bad)
    for bad in (0, -1, 7468, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="must be more than 0 and at most 7467 Hz"):
            upsample(x, weights=params, keep_lowband=bad)
    with pytest.raises(
        ValueError, match="at most 22400 Hz of sound sampled at 96000 Hz, got 30000"
    ):
        Stream(params, 96_000, keep_lowband=30_000)


def test_auto_ends_where_the_sound_does(params):
    """At 48 kHz with nothing above 8 kHz: True is taken for auto, and the highs are the network's.

    A stream cannot look, and keeps 7/8 of what its rate can hold.
    """
    x = resample(speech_like(48_000), 16_000, "soxr", 48_000)
    auto = upsample(x, 48_000, weights=params, keep_lowband="auto")
    np.testing.assert_array_equal(upsample(x, 48_000, weights=params, keep_lowband=True), auto)
    by_hand = 7 / 8 * edge([x[np.newaxis]], 48_000)
    np.testing.assert_array_equal(upsample(x, 48_000, weights=params, keep_lowband=by_hand), auto)
    alone = upsample(x, 48_000, weights=params, keep_lowband=False)
    np.testing.assert_array_equal(upsample(x, 48_000, weights=params), alone)

    def highs(y):
        return np.abs(np.fft.rfft(y)[len(y) * 9 // 48 : len(y) * 20 // 48]).mean()

    assert highs(auto) > 0.6 * highs(alone)
    stream = Stream(params, 48_000, keep_lowband="auto")
    assert highs(stream.push(x, last=True)) < 0.35 * highs(alone)
