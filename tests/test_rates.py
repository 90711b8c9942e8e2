"""Filters between rates, the crossover and the edge finder in C, against numpy in float64."""

import math
import subprocess

import numpy as np
import pytest
import soundfile
from conftest import check, shared, speech_like
from material import compiled, needs_gcc

from bench.rates import Band, Crossover, Filter, Follow, declare
from novasr_np import resample
from novasr_np.dsp import crossover, polyphase
from novasr_np.dsp import resample as resampling
from novasr_np.dsp.band import edge
from novasr_np.dsp.polyphase import Polyphase, low_pass
from novasr_np.networks.airband import features
from novasr_np.networks.airband.follow import Follower

TOLERANCE = 1e-6  # of full scale
# Odd ones, few phases and many, far down and far up.
RATES = [
    *((44_100, 48_000), (48_000, 44_100), (48_000, 16_000), (16_000, 48_000), (8000, 48_000)),
    *((11_025, 16_000), (96_000, 16_000), (8020, 48_000), (768_000, 16_000), (1000, 48_000)),
]
SPEECH = [
    *("vctk_p257_audiodec-035", "vctk_spkunk_flashsr-00", "vctk_spkunk_flashsr-05"),
    *("bibletts_yor_original", "tsp_CA_visqol-CA01_01", "vctk-test8_spkunk_apbwe-8kto48k"),
]


@pytest.fixture(scope="module")
def rates(lib):
    """The same library, with the functions of rates.h."""
    return declare(lib)


def noise(samples, seed=0, channels=()):
    return np.random.default_rng(seed).uniform(-1, 1, (*channels, samples)).astype(np.float32)


def cuts(samples, seed, longest):
    """Places at which to cut a sound, some of them more than once."""
    rng = np.random.default_rng(seed)
    places = np.cumsum(rng.integers(0, longest, 2 * samples // longest + 2))
    return places[places <= samples]


def numpys(design, rate, new_rate, hertz=0):
    if design == "low pass":
        table = low_pass(hertz, hertz / 7, 100, rate, new_rate, np.float64)
        return Polyphase(table, rate // math.gcd(rate, new_rate), 1)
    return resampling.make(design, rate, new_rate, 1, np.float64)


FILTERS = [
    *((design, *rates, 0) for design in ("steep", "upstream") for rates in RATES),
    *(("low pass", rate, 48_000, 1500) for rate in (8000, 44_100, 48_000, 96_000)),
    *(("low pass", 48_000, 48_000, hertz) for hertz in (100, 7000, 22_400)),
]


@pytest.mark.parametrize(("design", "rate", "new_rate", "hertz"), FILTERS)
def test_filters_are_numpys(rates, design, rate, new_rate, hertz):
    c, python = Filter(rates, design, rate, new_rate, hertz), numpys(design, rate, new_rate, hertz)
    assert c.latency == python.latency
    x = noise(min(rate // 8, 20_000) + 7)
    want = python.push(np.float64(x)[np.newaxis], True)[0]
    y = c(x)
    check(y, want, TOLERANCE)
    for seed, longest in enumerate((3, 4 * c.latency)):
        np.testing.assert_array_equal(c(x, cuts(len(x), seed, longest)), y)


@pytest.mark.parametrize(("design", "rate", "new_rate"), [f[:3] for f in FILTERS[:10]])
def test_outputs_come_as_soon_as_they_are_determined(rates, design, rate, new_rate):
    c, taken, given = Filter(rates, design, rate, new_rate), 0, 0
    for count in (c.latency, 1, 0, 1, 2, c.latency, 77):
        given += len(c.push(np.zeros(count, np.float32), False))
        taken += count
        assert given == math.ceil(max(0, taken - c.latency) * new_rate / rate)


@pytest.mark.parametrize("rate", [1000, 8000, 11_025, 32_000, 44_100])
def test_where_a_filter_cuts(rates, rate):
    want = resampling.passes_below("steep", rate, 48_000)
    assert Filter(rates, "steep", rate, 48_000).passes == pytest.approx(want, rel=1e-12)
    assert Filter(rates, "low pass", rate, 48_000, 400).passes == pytest.approx(400)


def test_short_sounds(rates):
    """A channel that is begun again remembers nothing."""
    for rate, new_rate in ((48_000, 16_000), (44_100, 48_000), (8000, 48_000)):
        c = Filter(rates, "steep", rate, new_rate)
        c.push(noise(300), False)
        c.reset()
        for samples in (0, 1, 2, 5, 100):
            want = numpys("steep", rate, new_rate).push(noise(samples)[np.newaxis], True)[0]
            check(c(noise(samples)), want, TOLERANCE, f"{samples} samples")
        assert not c(np.zeros(1000, np.float32)).any()


@pytest.mark.parametrize(
    ("design", "rate", "new_rate", "hertz"),
    [
        *(("steep", 999, 48_000, 0), ("steep", 48_000, 768_001, 0), ("upstream", 0, 16_000, 0)),
        *(("steep", 48_000, 48_000, 0), ("upstream", -16_000, 16_000, 0)),
        ("steep", 767_999, 768_000, 0),  # a table of hundreds of megabytes
        *(("low pass", 48_000, 48_000, hertz) for hertz in (0, -1, 22_401, math.nan, math.inf)),
    ],
)
def test_filters_that_are_refused(rates, design, rate, new_rate, hertz):
    with pytest.raises(ValueError, match="there is no"):
        Filter(rates, design, rate, new_rate, hertz)


def test_tables_end_where_numpys_do(rates, monkeypatch):
    class Taken(Exception):  # noqa: N818
        pass

    def take(*_):
        raise Taken

    monkeypatch.setattr(polyphase, "kaiser", take)  # rather than compute 200 MB
    refused = 0
    for rate in range(250_001, 260_000, 1000):
        with pytest.raises((ValueError, Taken)) as raised:
            resampling.make("steep", rate, 48_000, 1, np.float32)
        is_refused = raised.type is ValueError
        assert (rates.novasr_filter_bytes(1, 0, rate, 48_000) == 0) == is_refused, rate
        refused += is_refused
    assert 0 < refused < 10


CROSSED = [8000, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000, 1000]


@pytest.mark.parametrize("rate", CROSSED)
def test_crossover_is_numpys(rates, rate):
    hertz = crossover.highest(rate, 48_000, 5000)
    samples = rate // 10 + 3
    x, y = noise(samples), noise(-(-samples * 48_000 // rate), 1)
    python = crossover.Crossover(hertz, rate, 48_000, 1, np.float64)
    rows = [np.float64(z)[np.newaxis] for z in (x, y)]
    want = python.push(*rows, True)[0]
    c = Crossover(rates, hertz, rate, 48_000, samples)
    assert c.latency == python.latency
    whole = c.push(x, y, True)
    check(whole, want, TOLERANCE)
    late = 900  # samples at 48 kHz, as a network's outputs are
    c = Crossover(rates, hertz, rate, 48_000, late * rate // 48_000 + 301)
    rng, parts, given = np.random.default_rng(0), [], 0
    for begin in range(0, samples, 300):
        end, last = min(begin + 300, samples), begin + 300 >= samples
        there = max(given, end * 48_000 // rate - int(rng.integers(0, late)))
        there = len(y) if last else min(there, len(y))
        parts.append(c.push(x[begin:end], y[given:there], last))
        given = there
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_crossover_with_less_of_what_is_new(rates):
    """gain 0 is the low band alone, and all between lies on a line."""
    x, y = noise(4800), noise(4800, 1)
    none, half, one = (
        Crossover(rates, 7000, 48_000, 48_000, 4800).push(x, y, True, gain) for gain in (0, 0.5, 1)
    )
    low = numpys("low pass", 48_000, 48_000, 7000)
    check(none, low.push(np.float64(x)[np.newaxis], True)[0], TOLERANCE)
    check(half, (np.float64(none) + one) / 2, TOLERANCE)


@pytest.mark.parametrize("rate", CROSSED)
@pytest.mark.parametrize("end", [None, 3000.0, 23_000.0])
def test_where_the_low_band_ends(rates, rate, end):
    want = crossover.highest(rate, 48_000, end)
    assert rates.novasr_crossover_highest(rate, 48_000, end or 0) == want


def test_crossover_refuses(rates):
    for hertz, rate in ((0, 48_000), (7500, 16_000), (100, 999), (math.nan, 48_000)):
        with pytest.raises(ValueError, match="there is no crossover"):
            Crossover(rates, hertz, rate, 48_000, 1)
    c = Crossover(rates, 7000, 48_000, 48_000, 100)
    with pytest.raises(ValueError, match="ahead"):
        c.push(noise(1000), noise(0), False)
    with pytest.raises(ValueError, match="ahead"):
        c.push(noise(0), noise(1000), False)
    # Nothing was taken: the sound begins here.
    want = Crossover(rates, 7000, 48_000, 48_000, 100).push(noise(50), noise(50, 1), True)
    np.testing.assert_array_equal(c.push(noise(50), noise(50, 1), True), want)


def ending(x, rate, hertz, order=60):
    """x [..., T] without what lies above some Hz, by a slope of that order."""
    relative = np.minimum(np.fft.rfftfreq(x.shape[-1], 1 / rate) / hertz, 2)
    return np.fft.irfft(np.fft.rfft(x) / (1 + relative**order), x.shape[-1]).astype(np.float32)


def found(rates, x, rate, seed=0):
    """The edge of x [channels, T] in C, in random pieces."""
    band = Band(rates, rate, len(x))
    for part in np.split(x, cuts(x.shape[-1], seed, rate // 10), axis=-1):
        band.push(part)
    return band.edge()


@pytest.mark.parametrize(
    "rate", [8000, 11_025, 12_345, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000]
)
def test_edges_are_numpys(rates, rate):
    outcomes = []
    for i, hertz in enumerate((2100, 2700, 3400, 4000, 5500, 7000, 8000, 11_025, 16_000, 20_000)):
        if hertz > 0.48 * rate:
            continue
        for order in (8, 60, 400):
            x = ending(noise(rate, i, (1 + i % 2,)) / 4, rate, hertz, order)
            want = edge([x], rate)
            assert found(rates, x, rate) == want, (hertz, order)
            outcomes.append(want)
    assert None in outcomes
    assert len(set(outcomes)) > 3


def test_edges_of_what_has_none(rates):
    rate = 48_000
    t = np.arange(rate) / rate
    short = ending(noise(2000, 3, (1,)), rate, 8000)
    for what, x in {
        "silence": np.zeros((2, rate), np.float32),
        "nothing": np.zeros((1, 0), np.float32),
        "less than a frame": short[:, :959],
        "a frame": short[:, :960],
        "all of the band": noise(rate, 0, (2,)),
        "a tone": np.float32(np.sin(2 * np.pi * 3000 * t))[np.newaxis],
        "loud tones in noise": np.float32(
            noise(rate, 1, (1,)) / 1e3 + sum(np.sin(2 * np.pi * f * t) for f in (2500, 4000, 9000))
        ),
        "a click": np.float32(t == 0.5)[np.newaxis],
        "sound between silence": np.concatenate(
            [np.zeros((1, rate), np.float32), short, np.zeros((1, rate), np.float32)], -1
        ),
        "very loud": ending(noise(rate, 5, (1,)), rate, 7000) * np.float32(100),
        "very quiet": ending(noise(rate, 5, (1,)), rate, 7000) * np.float32(1e-6),
    }.items():
        assert found(rates, x, rate) == edge([x], rate), what
    low = noise(1000, 0, (1,))
    assert found(rates, low, 1000) is edge([low], 1000) is None


@pytest.mark.parametrize("clip", SPEECH)
def test_edges_of_real_speech(rates, clip):
    x, rate = soundfile.read(shared(f"speech/eval/{clip}.flac"), dtype="float32", always_2d=True)
    x = np.ascontiguousarray(x.T)
    assert found(rates, x, rate) == edge([x], rate)
    for lower in (8000, 16_000, 22_050):
        narrow = resample(x, rate, new_rate=lower, resampler="steep")
        for y, at in ((narrow, lower), (resample(narrow, lower, new_rate=rate), rate)):
            assert found(rates, y, at) == edge([y], at), (lower, at)


def edges_of_frames(rates, x, rate, begin, pieces):
    """The edge of each frame of x [channels, T], as `networks.airband.stream` has them."""
    follow, edges, taken = Follow(rates, rate, len(x), 50 * begin), [], 0
    held = follow.edge // 50

    def took(samples, edge):
        nonlocal held, taken
        taken += samples
        edges.extend([held] * (taken // (rate // 200) - len(edges)))
        held = edge // 50

    for part in np.split(x, pieces, axis=-1):
        follow.push(part, took)
    return edges


def numpys_edges(x, rate, begin):
    framed = np.pad(x, ((0, 0), (3 * rate // 200, 0)))
    return Follower(begin, rate, follow=True).push(features.spectra(framed, rate))


def check_followed(rates, x, rate):
    """Compare with numpy's, in pieces of several sizes; return the edges."""
    half = rate // 100
    want = numpys_edges(x, rate, half)
    for seed, longest in enumerate((64, 1000, 10**6)):
        got = edges_of_frames(rates, x, rate, 0, cuts(x.shape[-1], seed, longest))
        np.testing.assert_array_equal(got, want)
    return want


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16_000, 2), (44_200, 1), (48_000, 3)])
def test_followed_edges_are_numpys(rates, rate, channels):
    ends = [end for end in (3400, 3000, 5500, 9000, None, 2500) if end is None or end < rate / 2.2]
    parts = [noise(int(1.7 * rate), seed, (channels,)) / 4 for seed in range(len(ends))]
    parts = [x if end is None else ending(x, rate, end) for x, end in zip(parts, ends, strict=True)]
    parts.insert(3, np.zeros((channels, rate), np.float32))
    edges = check_followed(rates, np.concatenate(parts, axis=-1), rate)
    assert len(set(edges.tolist())) >= 4


@pytest.mark.parametrize("clip", SPEECH[:3])
def test_followed_edges_of_real_speech(rates, clip):
    """A call whose codec changes: 8 kHz, 4 kHz, and all of it."""
    x, rate = soundfile.read(shared(f"speech/eval/{clip}.flac"), dtype="float32", always_2d=True)
    x = resample(x.T, rate, new_rate=48_000, resampler="steep")
    parts = []
    for lower in (16_000, 8000):
        narrow = resample(x, 48_000, new_rate=lower, resampler="steep")
        parts.append(resample(narrow, lower, new_rate=48_000, resampler="steep"))
    edges = check_followed(rates, np.concatenate([*parts, x], axis=-1), 48_000)
    assert len(set(edges.tolist())) >= 3


def test_the_first_edge_and_rates_that_are_refused(rates):
    edges = {0: 8000, 8001: 8000, 3799: 3800, 3775: 3800, 3725: 3700, 1: 2000}
    for begin, want in edges.items():
        assert Follow(rates, 16_000, 1, begin).edge == want
    for rate, channels in ((44_100, 1), (3800, 1), (48_200, 1), (16_000, 0)):
        with pytest.raises(ValueError, match="followed"):
            Follow(rates, rate, channels)
    for rate, channels in ((999, 1), (768_001, 1), (48_000, 0)):
        with pytest.raises(ValueError, match="no edge"):
            Band(rates, rate, channels)


def test_an_edge_that_goes_up(rates):
    """To half the rate, of a sound with plain sound above the first."""
    x = speech_like(32_000, 16_000)[np.newaxis]
    want = numpys_edges(x, 16_000, 60)
    np.testing.assert_array_equal(edges_of_frames(rates, x, 16_000, 60, [777]), want)
    assert want[0] == 60
    assert want[-1] == 160


@needs_gcc
@pytest.mark.slow
def test_they_stay_in_their_memory(tmp_path_factory):
    """Random rates, designs and pieces, with the sanitizers of addresses and of the undefined."""
    flags = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    program = compiled(tmp_path_factory, "fuzz_rates.c", *flags)
    subprocess.run([program, "400", "1"], check=True, timeout=300)
