"""Windows that overlap: seams, ends, levels, on a network that is simple enough to know its output.

The stand-in hears 2,000 samples at a time. It filters, with zeros beyond the edges of a window, so
that up to 100 samples there are wrong, as a trained network's are.
"""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from conftest import check
from scipy import signal

from novasr_np.dsp.overlap import OverlapAdd, fade_in
from novasr_np.networks.flashsr.mel import denormalise, normalise
from novasr_np.networks.flashsr.window import level_of
from novasr_np.networks.record import Facts, Level, Windows
from novasr_np.pipeline.feed import WindowFeed

WINDOW, ROW, REACH = 2_000, 100, 100
CUT = Windows(WINDOW, ROW, ROW)
TAPS = np.hanning(2 * REACH + 3)[1:-1]
TAPS /= TAPS.sum()
BLOCK = 96  # samples, of which a level is the mean


class Options(NamedTuple):
    overlap: int = 600
    fade: int = 400
    exact_windows: bool = False


def stand_in(x, level):
    """Windows [n, T], filtered, at their level."""
    if level is None:
        mean = x.mean(axis=-1, keepdims=True)
        level = Level(mean, np.abs(x - mean).max(axis=-1, keepdims=True))
    y = [np.convolve(row, TAPS, "same") for row in normalise(x, level)]
    return denormalise(np.stack(y), level)


def measure(*blocks):
    return level_of(Facts(48_000, len(blocks[0])), blocks, CUT).level


class Sound:
    """A sound through the stand-in, chunk by chunk; keeps the pieces."""

    def __init__(self, options, x):
        level = measure(np.atleast_2d(x))
        self.feed = WindowFeed(
            SimpleNamespace(cut=CUT), Facts(48_000, len(x), level=level), x.dtype, options
        )
        self.pieces = []

    def push(self, x, last=False):
        pieces = self.feed.cut(x, last)
        for piece in pieces:
            piece.y[:] = stand_in(piece.x[np.newaxis], piece.facts.level)[0]
        self.pieces += pieces
        return self.feed.mix(last)


def live(options, x):
    return Sound(options, x)


def noise(samples, channels=1, seed=0):
    return np.random.default_rng(seed).standard_normal((channels, samples))


def sweep(samples):
    """From 0 to a 128th of the rate, where the filter passes little."""
    n = np.arange(samples)
    return np.sin(np.pi * n**2 / samples / 128)[np.newaxis]


def levels(y):
    """In dB, of blocks."""
    return 10 * np.log10((y[: len(y) // BLOCK * BLOCK].reshape(-1, BLOCK) ** 2).mean(axis=1))


@pytest.mark.parametrize("sound", [noise, sweep])
def test_no_seam_where_windows_overlap_and_one_where_they_do_not(sound):
    x = sound(30_000)
    # The sound without a border: as one window, but for its own two ends.
    whole = stand_in(x, measure(x))[0]
    inside = slice(REACH, -REACH)
    level = np.sqrt(np.mean(whole**2))

    overlapping = live(Options(), x).push(x, last=True)[0]
    step = np.abs(levels(overlapping[inside]) - levels(whole[inside])).max()
    assert step < 0.1
    click = np.abs(np.diff(overlapping - whole)[inside]).max() / level
    assert click < 10 ** (-80 / 20)

    side_by_side = live(Options(overlap=0), x).push(x, last=True)[0]
    border = slice(WINDOW - BLOCK, WINDOW + BLOCK)
    step = np.abs(levels(side_by_side[border]) - levels(whole[border])).max()
    assert step > 0.1
    click = np.abs(np.diff(side_by_side - whole)[border]).max() / level
    assert click > 10 ** (-80 / 20)


def test_shares_of_an_overlap():
    share = fade_in(600, 400)
    np.testing.assert_array_equal(share[:100], 0)
    np.testing.assert_array_equal(share[-100:], 1)
    check(share + share[::-1], np.ones(600), 1e-15)
    assert (np.diff(share[100:-100]) > 0).all()
    n = np.arange(400)
    check(share[100:-100], np.sin(np.pi / 2 * (n + 0.5) / 400) ** 2, 1e-15)
    # An odd rest: half a sample on either side.
    assert fade_in(7, 4)[3] == pytest.approx(0.5)


def test_what_is_the_same_in_both_windows_passes_unchanged():
    sound, x = OverlapAdd(600, 400, np.float64), noise(2_000 + 1_400)
    parts = [sound.push(x[:, :2_000]), sound.push(x[:, 1_400:]), sound.rest()]
    check(np.concatenate(parts, axis=-1), x, 1e-15)


@pytest.mark.parametrize(
    ("samples", "count"),
    [(1, 1), (1_999, 1), (2_000, 1), (2_001, 2), (3_400, 2), (3_401, 3), (30_000, 21)],
)
def test_windows_begin_where_they_should(samples, count):
    x = noise(samples, 2)
    sound = live(Options(), x)
    assert sound.push(x, last=True).shape == x.shape
    pieces = sound.pieces
    starts = [piece.start for piece in pieces]
    np.testing.assert_array_equal(starts, np.repeat(np.arange(count) * 1_400, 2))
    padded = np.pad(x, [(0, 0), (0, 2_000)])
    own = measure(x)
    for i, piece in enumerate(pieces):
        want = padded[i % 2, piece.start : piece.start + WINDOW]
        np.testing.assert_array_equal(piece.x, want)
        np.testing.assert_array_equal(piece.facts.level.mean, own.mean[i % 2 : i % 2 + 1])


@pytest.mark.parametrize("pieces", [[1] * 50 + [6_000], [600, 1_400, 1, 5_000], [2_000] * 5, [0]])
def test_pieces_of_any_size_give_the_same_bytes(pieces):
    x = noise(sum(pieces) + 777, 2)
    want = live(Options(), x).push(x, last=True)
    stream, got, at = live(Options(), x), [], 0
    for size in pieces:
        got.append(stream.push(x[:, at : at + size]))
        at += size
        # All but the last window's overlap with one to come has been given.
        assert sum(y.shape[-1] for y in got) == max(0, (at - 600) // 1_400 * 1_400)
    got.append(stream.push(x[:, at:], last=True))
    np.testing.assert_array_equal(np.concatenate(got, axis=-1), want)


def test_an_end_that_comes_alone():
    for samples in (2_000, 3_400, 3_401):
        x = noise(samples)
        stream = live(Options(), x)
        y = np.concatenate([stream.push(x), stream.push(x[:, :0], last=True)], axis=-1)
        np.testing.assert_array_equal(y, live(Options(), x).push(x, last=True))
    assert live(Options(), noise(1)).push(noise(0), last=True).shape == (1, 0)


def test_one_level_for_a_whole_sound_keeps_channels_in_balance():
    left = noise(9_000)[0] + 0.25
    x = np.stack([left, left / 8])
    level = measure(x[:, :4_000], x[:, 4_000:4_000], x[:, 4_000:])
    check(level.mean[:, 0], x.mean(axis=1), 1e-15)
    peak = np.abs(x - level.mean).max()
    check(level.peak[:, 0], [peak, peak], 1e-15)
    y = live(Options(), x).push(x, last=True)
    check(y[0], 8 * y[1], 1e-12)


def test_the_silence_behind_a_short_sound_counts():
    x = 1 + noise(500) / 100
    padded = np.pad(x, [(0, 0), (0, 1_500)])
    level = measure(x)
    check(level.mean[0], padded.mean(axis=1), 1e-15)
    check(level.peak[0], np.abs(padded - padded.mean()).max(axis=1), 1e-15)
    silence = measure(np.zeros((2, 9_000)))
    assert not silence.mean.any()
    assert not silence.peak.any()


def test_exact_windows_are_at_levels_of_their_own():
    x = noise(4_000) * np.linspace(1, 9, 4_000)
    options = Options(overlap=0, exact_windows=True)
    y = live(options, x).push(x, last=True)
    for half in (slice(0, 2_000), slice(2_000, 4_000)):
        check(y[:, half], stand_in(x[:, half], None), 1e-15)


def test_the_stand_in_is_wrong_at_its_edges():
    """Or the tests above would show nothing."""
    x = signal.lfilter([1], [1, -0.9], noise(WINDOW))
    y = stand_in(x, None)[0]
    assert abs(y[0] - np.convolve(np.pad(x[0], REACH, "reflect"), TAPS, "valid")[0]) > 0.1
