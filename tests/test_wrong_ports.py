"""`novasr verify` catches every wrong port, and says where it is wrong and why."""

import numpy as np
import pytest
from conftest import once, random_params
from mutants import airband, forward
from scipy import ndimage, signal
from wrong_ports import AIRBAND, NOVASR

from novasr_np import load_weights, upsample
from novasr_np.conformance import cases
from novasr_np.conformance.cases import Case, noise
from novasr_np.conformance.trial import WRONG, lengths, truths
from novasr_np.conformance.verify import verify
from novasr_np.networks import NETWORKS
from novasr_np.networks.airband.spec import VARIANTS
from novasr_np.tensors import cast

NETWORK, ANY_BAND = NETWORKS["NovaSR"], NETWORKS["airband"]
AHEAD = VARIANTS[0].ahead
FULL = {case.name: case for case in cases.cases(NETWORK, 0)}
ANY = {case.name: case for case in cases.cases(ANY_BAND, 0)}
pytestmark = pytest.mark.usefixtures("truths_once")


def part(case, samples, start=0):
    return case._replace(x=case.x[start : start + samples])


SOME = [
    part(FULL["speech-like"], 700, 600),
    part(FULL["noise"], 500),
    FULL["impulse"],
    part(FULL["noise at -80 dB"], 400),
    FULL["length 5"],
    FULL["length 26"],
]
_ANY = ("8 kHz, edge 3.725", "16 kHz, edge 2", "24 kHz, edge 7.975", "8 kHz, telephone", "noise")
SOME_ANY = [
    *(ANY[name] for name in (*_ANY, "silence within", "speech-like")),
    *(ANY[name] for name in ("length 1 at 8000 Hz", "length 101 at 8000 Hz")),
]
LONG = Case("40 s", np.resize(noise(80_720, 0.3), 640_000), 16_000, False, 8000, 80_720)
_RESULTS = {}


def weights(name, network):
    return random_params(3, network) if name == "random" else load_weights(name).params


def check(table, name, port, params, tried):
    words, _ = table[name]
    report = verify(port, params, tried)
    assert report.grade not in ("bit-near", "float32")
    said = "; ".join(report.faults)
    assert any(one in said for one in words.split("|")), said
    is_noise = any(finding.code in ("half", "bfloat16") for finding in report.findings)
    assert is_noise == ("alf" in name or "bfloat16" in name), report.faults
    assert report.grade == WRONG or is_noise


@pytest.mark.parametrize("of", ["novasr-open", pytest.param("random", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NOVASR)
def test_wrong_ports_of_novasr_are_caught_and_named(name, of):
    params = weights(of, NETWORK)
    tree, options = cast(params, np.float64), NOVASR[name][1]

    def port(x, rate):
        with np.errstate(all="ignore"):
            return forward(tree, x, **options).astype(np.float32)

    check(NOVASR, name, port, params, SOME)


@pytest.mark.parametrize("of", ["airband-2", pytest.param("random", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", AIRBAND)
def test_wrong_ports_of_airband_are_caught_and_named(name, of):
    params = weights(of, ANY_BAND)
    tree, options = cast(params, np.float64), AIRBAND[name][1]

    def port(x, rate, edge):
        return airband(tree, np.float64(x), rate, edge, AHEAD, **options).astype(np.float32)

    tried = [*SOME_ANY, part(LONG, 64_000)] if "every" in AIRBAND[name][0] else SOME_ANY
    check(AIRBAND, name, port, params, tried)


def test_the_tables_are_long_enough():
    assert min(len(NOVASR), len(AIRBAND)) >= 40
    for network in (NETWORK, ANY_BAND):
        assert len(network.ports.faults) >= 40


@once
def right(case, name):
    loaded = load_weights(name)
    network = loaded.network.for_rate(case.rate)
    length = lengths(case, network)[1]
    parts = list(truths(case, loaded.params, network, length))
    return np.concatenate(parts, axis=-1).astype(np.float32)


def later(y, x, rate):
    y[30 * 48_000 :] *= 0.9


def between(y, x, rate):
    part = y[31 * 48_000 :][:24_000]
    part += np.float32(0.01) * np.cos(np.arange(len(part)))


def beginning(y, x, rate):
    y[:100] += np.float32(0.01)


def ending(y, x, rate):
    y[-100:] *= 0


def odd(y, x, rate):
    if len(x) % 2:
        y *= np.float32(0.9)


def rest(y, x, rate):
    hop = rate // 200
    if len(x) == 1 or len(x) % hop * 80 // hop > 40:
        y *= np.float32(0.9)


def one_rate(y, x, rate):
    if rate == 48_000:
        y += np.float32(0.1) * np.cos(np.arange(len(y)))


def hiss(y, x, rate):
    silent = ndimage.maximum_filter1d(np.abs(x), 161) == 0
    at = np.repeat(silent, 48_000 // rate)[: len(y)]
    y[: len(at)][at] += 1e-3 * noise(int(at.sum()), 1.0)


def every(y, x, rate):
    for start in range(4800, len(y), 4800):
        y[start : start + 20] += np.float32(0.01)


def lowpass(y, x, rate):
    taps = signal.firwin(801, 20_000, fs=48_000)
    y[:] = signal.oaconvolve(y, taps, "same")


def louder(y, x, rate):
    y *= np.float32(10**0.05)


def to_half(y, x, rate):
    y[:] = np.float16(y)


# name -> (what is said, what is done to the right output)
PLACES = {
    "later": ("from sample 1440000 of the output (30.00 s) on", later),
    "between": ("(31.00 to 31.50 s)", between),
    "beginning": ("first samples", beginning),
    "ending": ("last samples", ending),
    "odd": ("whose length modulo 2 is 1", odd),
    "rest": ("whose length modulo the hop of 80 samples is 41 to 79, and those of up to 1", rest),
    "one rate": ("those of 48000 Hz", one_rate),
    "silence": ("where the input is silent", hiss),
    "regular": ("every 1600 samples", every),
    "lowpass": ("between 20 and 24 kHz", lowpass),
    "louder": ("the level is changed: by +1.00 dB", louder),
    "half": ("rounded to float16", to_half),
}


@pytest.mark.parametrize("name", PLACES)
def test_wrong_places_are_said(name):
    words, change = PLACES[name]
    tried = [*ANY.values(), LONG]
    by_sound = {id(case.x): case for case in tried}

    def port(x, rate, edge):
        y = right(by_sound[id(x)], "airband-2").copy()
        change(y, x, rate)
        return y

    report = verify(port, "airband-2", tried)
    assert report.grade == ("float16" if name == "half" else WRONG)
    assert any(words in text for text in report.faults), report.faults


def test_blocks_with_too_little_context_are_regular_places():
    """6 samples of 11 and 13, at each end of blocks of 1600."""
    params = load_weights("novasr-open").params
    tree = cast(params, np.float64)
    tried = [
        Case("noise", noise(8000, 0.5), 16_000),
        FULL["noise"],
        *(part(FULL["noise"], n) for n in (800, 1200)),
    ]

    def port(x, rate):
        parts = []
        for start in range(0, len(x), 1600):
            before, behind = min(start, 6), min(len(x) - start, 1606)
            y = forward(tree, x[start - before : start + behind])
            parts.append(y[3 * before :][: 3 * min(1600, len(x) - start)])
        return np.concatenate(parts).astype(np.float32)

    report = verify(port, params, tried)
    assert report.grade == WRONG
    assert report.faults[0].startswith("2 of 4 cases are wrong, those of 3000 samples or more")
    assert "at regular places, every 1600 samples" in report.faults[0]
    assert not any("half precision" in text for text in report.faults)


def test_quiet_sound_taken_for_silence_is_seen():
    """Below 3e-4, a hop at a time: no more than 3e-4 of error, in quiet cases and passages."""
    tree = cast(load_weights("airband-2").params, np.float64)

    def port(x, rate, edge):
        hop = rate // 200
        hops = np.pad(np.float64(x), (0, -len(x) % hop)).reshape(-1, hop)
        heard = np.where(np.abs(hops).max(axis=1, keepdims=True) < 3e-4, 0, hops)
        return airband(tree, heard.reshape(-1)[: len(x)], rate, edge, AHEAD).astype(np.float32)

    tried = [case for case in ANY.values() if not case.is_length]
    report = verify(port, "airband-2", tried)
    assert report.grade == WRONG
    words = "2 of 25 cases are wrong, those of a peak of up to 0.00018, from the first sample on"
    assert report.faults == [words, "it gives silence"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: y[::-1], "the channels are exchanged"),
        (lambda y: y[:1].repeat(2, 0), "all channels are the first"),
        (lambda y: y * np.array([[1], [0.5]]), "in channel 2 alone"),
    ],
)
def test_channels_are_told_apart(change, words):
    tried = [part(FULL["noise"], 500), *cases.cases(NETWORK, 0, (), 2)][:1]
    *_, stereo = cases.cases(NETWORK, 0, (), 2)
    assert stereo.x.shape == (2, 4000)

    def port(x, rate):
        y = right(stereo if x.ndim == 2 else tried[0], "novasr-open")
        return change(y) if x.ndim == 2 else y

    report = verify(port, "novasr-open", [*tried, stereo])
    assert report.grade == WRONG
    assert "1 of 2 cases are wrong, those of two channels" in report.faults[0]
    assert any(words in text for text in report.faults), report.faults


def test_a_port_of_one_channel_may_refuse_two():
    *_, stereo = cases.cases(NETWORK, 0, (), 2)
    mono = part(FULL["noise"], 500)

    def port(x, rate):
        if x.ndim == 2:
            raise OSError("one channel only")
        return right(mono, "novasr-open")

    report = verify(port, "novasr-open", [mono, stereo])
    assert [outcome.grade for outcome in report.outcomes] == ["bit-near", "refused"]
    assert (report.grade, report.faults) == ("bit-near", [])


@pytest.mark.parametrize("name", ["NovaSR", "airband", "airband-live"])
def test_the_long_cases_right_output_is_that_of_the_whole(name):
    network = NETWORKS[name]
    params, step = random_params(4, network), network.cut.step
    period = 320 * step + 80 * (step == 1)
    x = np.resize(noise(period, 0.3), 4 * period - 7)
    case = Case("", x, 16_000, edge=7750 if network.takes else None, period=period)
    for length in lengths(case, network.for_rate(16_000)):
        parts = list(truths(case, params, network.for_rate(16_000), length))
        assert len(parts) == 4
        whole = next(truths(case._replace(period=None), params, network.for_rate(16_000), length))
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-13)


def test_cases_leave_no_gap():
    for network in (NETWORK, ANY_BAND):
        tried = list(cases.cases(network, 30, (), 2))
        names = [case.name for case in tried]
        assert len(set(names)) == len(names)
        assert {"noise at -60 dB", "noise at -80 dB", "noise at -96 dB", "offset"} <= set(names)
        at_own = {len(c.x) for c in tried if c.is_length and c.rate == network.rate_in}
        step = network.cut.step
        for period in {step, network.cut.context, network.cut.block} - {1}:
            assert {period - 1, period, period + 1} <= at_own
        assert min(at_own) == network.cut.min_samples
        assert any(c.x.ndim == 2 and (c.x[0] != c.x[1]).any() for c in tried)
        assert tried[-1].period
        assert not any(c.period or len(c.x) > 12_000 for c in cases.cases(network, 0))
        assert all((c.x * 32768 == np.rint(c.x * 32768)).all() for c in tried)
    for level in cases.QUIET:
        x = np.float64(FULL[f"noise at {level} dB"].x)
        assert 10 * np.log10((x**2).mean()) == pytest.approx(level, abs=3)


class Staged:
    """A port of NovaSR by our own function that gives its stages, the one named off in a number."""

    def __init__(self, params, off):
        self.params, self.off = params, off

    def __call__(self, x, rate):
        y = NETWORK.compute.forward(self.params, np.float64(x))
        return (0.9 * y).astype(np.float32)[::-1]

    def stages(self, x, rate):
        given = {}
        for name, value in NETWORK.compute.stages(self.params, np.float64(x)):
            given[name] = value.astype(np.float32).reshape(-1)
            if name == self.off:
                given[name].reshape(value.shape)[3, 5] += 0.01
        return given


def test_a_port_that_gives_its_stages_is_led_to_the_first_that_differs():
    params = load_weights("novasr-open").params
    tried = [part(FULL["noise"], 400)]
    report = verify(Staged(params, "conv1"), params, tried)
    (said,) = [finding.text for finding in report.findings if finding.code == "stage"]
    assert "the first stage that differs is conv1" in said
    assert "channel 3, step 5" in said
    report = verify(Staged(params, None), params, tried)
    assert report.faults[-1].startswith("no stage differs, of those given: conv_pre, interpolate")


def quantised(y):
    return np.rint(y * 32768).astype(np.float32) / 32768


def flushed(y):
    return np.where(np.abs(y) < 1e-30, 0, y)


@pytest.mark.parametrize("network", [NETWORK, ANY_BAND], ids=lambda n: n.name)
@pytest.mark.parametrize("seed", range(8))
def test_no_false_alarm_for_another_order_or_rounding(network, seed):
    """The fast engine, 16 bits, and the independent network; `bench.kit` has 1,000 weights."""
    params = random_params(seed, network)
    tree = cast(params, np.float64)
    tried = (SOME if network is NETWORK else SOME_ANY)[:: 1 + seed % 2]

    def other(x, rate, edge=None):
        x = np.float64(x)
        return forward(tree, x) if network is NETWORK else airband(tree, x, rate, edge, AHEAD)

    def fast(x, rate, edge=None):
        return upsample(np.float32(x), rate, weights=params, edge=edge)

    for port in (other, fast, lambda *told: quantised(fast(*told)), lambda *t: flushed(fast(*t))):
        report = verify(port, params, tried)
        assert report.grade in ("bit-near", "float32")
        assert report.faults == []


def test_a_loud_right_output_has_errors_in_proportion():
    """Weights may make a sound far beyond full scale, where float32 rounds more coarsely."""
    params = random_params(0, ANY_BAND)
    params["conv_out"]["bias"] = params["conv_out"]["bias"] + np.float32(3)
    case = SOME_ANY[5]
    peak = np.abs(next(truths(case, params, ANY_BAND, lengths(case, ANY_BAND)[1]))).max()
    assert peak > 20

    def port(x, rate, edge):
        return upsample(np.float32(x), rate, weights=params, edge=edge)

    assert verify(port, params, [case]).grade == "float32"
    off = verify(lambda *told: port(*told) + np.float32(1e-4 * peak), params, [case])
    assert off.grade != "float32"
