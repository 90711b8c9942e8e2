"""The LADSPA plugin in hosts: against `Stream` in float64, in real time, in ffmpeg and sox."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import check, runner, speech_like
from material import PORTS, needs_gcc

from bench.ladspa import Instance, descriptors
from novasr_np import Stream, load_weights, resample
from novasr_np.conformance import cases
from novasr_np.conformance.ports import program
from novasr_np.conformance.verify import verify
from novasr_np.native import build
from novasr_np.weights import LIVE

TOLERANCE = 2e-6  # of full scale
NATIVE = build.SOURCE.parent
RATES = (8000, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000)
BLOCKS = (1, 7, 64, 480, 8192, 20_000, [1, 500, 3, 64, 2000, 7])


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    try:
        build.compiler()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    path = tmp_path_factory.mktemp("plugin") / "novasr.so"
    build.plugin(path)
    return path


@pytest.fixture(scope="module")
def plugins(library):
    found = descriptors(library)
    assert list(found) == ["novasr_mono", "novasr_stereo"]
    return found


@pytest.fixture(scope="module")
def program_c(tmp_path_factory):
    """Compile ports/plugin.c, with the plugin's source inside."""

    def compiled(*flags):
        folder = build.weights_header(tmp_path_factory.mktemp("host"))
        made, includes = folder / "host", ("-I", NATIVE, "-I", folder)
        warnings = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-psabi")
        source = (PORTS / "plugin.c", build.SOURCE)
        subprocess.run(["gcc", *warnings, *flags, *includes, "-o", made, *source], check=True)
        return made

    return compiled


def opened(plugins, rate, channels=1, **controls):
    return Instance(plugins["novasr_mono" if channels == 1 else "novasr_stereo"], rate, **controls)


def narrow(rate, seconds=0.5, channels=1, end=4000.0):
    """Sound [channels, T] that ends at some Hz, where that is below half the rate."""
    x = np.stack([speech_like(round(rate * seconds), rate, seed) for seed in range(channels)])
    x += np.random.default_rng(channels).normal(0, 0.02, x.shape).astype(np.float32)
    relative = np.minimum(np.fft.rfftfreq(x.shape[-1], 1 / rate) / min(end, 0.45 * rate), 2)
    return np.fft.irfft(np.fft.rfft(x) / (1 + relative**60), x.shape[-1]).astype(np.float32)


def truth(x, rate, weights=LIVE, **options):
    """`Stream` in float64, and from its 48 kHz to the host's rate.

    Above 48 kHz what is beyond 24 kHz is kept: x, and what the network adds to its part below.
    """
    x = np.float64(x)
    with Stream(weights, rate, len(x), dtype=np.float64, **options) as stream:
        parts = [stream.push(x[:, i : i + rate], False) for i in range(0, x.shape[-1], rate)]
        y = np.concatenate([*parts, stream.push(x[:, :0], True)], axis=-1)
    if rate > 48_000:
        y = y - resample(x, rate, "steep", 48_000)
    back = resample(y, 48_000, "steep", rate)[:, : x.shape[-1]]
    return x + back if rate > 48_000 else back


def near(instance, y, want, what=""):
    """The plugin's samples are zeros up to the latency, and then those of the truth.

    Those that need what comes after the end are left out: the plugin knows of no end.
    """
    late = instance.latency
    assert not y[:, :late].any(), what
    check(y[:, late:], want[:, : y.shape[-1] - late], TOLERANCE, what)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", RATES)
def test_airband_with_a_given_edge(plugins, rate, channels):
    x = narrow(rate, channels=channels)
    edge = min(3900, 0.4 * rate)
    instance = opened(plugins, rate, channels, edge=edge)
    y = instance(x, 480)
    want = truth(x, rate, edge=edge)
    near(instance, y, want, f"{rate} Hz")
    if rate > 8000:
        assert np.abs(want - x).max() > 0.01  # something is made


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (16_000, 1), (44_100, 1), (22_050, 2)])
def test_airband_that_follows_the_edge(plugins, rate, channels):
    x = narrow(rate, 1.8, channels)
    instance = opened(plugins, rate, channels)
    near(instance, instance(x, 441), truth(x, rate, edge="follow"), f"{rate} Hz")


@pytest.mark.parametrize("rate", RATES)
def test_novasr(plugins, rate):
    x = narrow(rate, end=8000.0)
    instance = opened(plugins, rate, edge=min(8000, rate / 2), network=1)
    y = instance(x, 480)
    want = truth(x, rate, "novasr-open", keep_lowband=min(7000, rate * 7 / 16))
    near(instance, y, want, f"{rate} Hz")
    assert instance.latency <= rate * 0.022


@pytest.mark.parametrize("network", [0, 1])
def test_any_blocks(plugins, network):
    """The same bytes, whatever their sizes, in the host's buffer or in another one."""
    x = narrow(48_000, 0.25, 2)
    first = opened(plugins, 48_000, 2, edge=3900, network=network)(x, 512)
    for blocks in BLOCKS:
        for in_place in (False, True):
            other = opened(plugins, 48_000, 2, edge=3900, network=network)(x, blocks, in_place)
            np.testing.assert_array_equal(other, first, str(blocks))


def test_latencies(plugins):
    """As reported to the host; airband's look-ahead is 40 ms, and a frame's hop is 5."""
    seconds = {}
    for rate in RATES:
        for network in (0, 1):
            instance = opened(plugins, rate, network=network)
            instance.run(np.zeros(1))
            seconds[rate, network] = instance.latency / rate
    assert seconds[48_000, 0] == (1920 + 239) / 48_000
    assert max(seconds[rate, 0] for rate in RATES) < 0.058
    assert seconds[48_000, 1] < 0.006


@pytest.mark.parametrize("network", [0, 1])
def test_amount_of_highs(plugins, network):
    x = narrow(48_000, 0.6)
    made = {}
    for highs in (-60, -20, 0, 6):
        made[highs] = opened(plugins, 48_000, edge=3900, highs=highs, network=network)(x, 480)
    check(made[-20] - made[-60], (made[0] - made[-60]) / 10, TOLERANCE)
    check(made[6] - made[-60], (made[0] - made[-60]) * 10 ** (6 / 20), TOLERANCE)
    assert np.abs(made[0] - made[-60]).max() > 0.01


@pytest.mark.parametrize(
    ("network", "control", "values"),
    [(0, "highs", (-60, 0)), (1, "highs", (-60, 0)), (1, "edge", (20_000, 8000))],
)
def test_controls_are_faded_to(plugins, network, control, values):
    """What is made comes and goes over at least 8 ms: its share is measured in each of them."""
    rate, ms = 48_000, 48
    x = np.random.default_rng(0).normal(0, 0.1, (1, rate // 2)).astype(np.float32)
    fixed = {"edge": 8000, "network": network}
    none, whole = (opened(plugins, rate, **{**fixed, control: value})(x, ms) for value in values)
    made = (whole - none)[0].reshape(-1, ms)
    instance, parts = opened(plugins, rate, **{**fixed, control: values[0]}), []
    for i, part in enumerate(np.split(x, 5, axis=-1)):
        instance.set(**{control: values[i % 2]})
        parts.append(instance(part, 37))
    got = (np.concatenate(parts, axis=-1) - none)[0].reshape(-1, ms)
    begin = rate // 10 // ms  # where something is made
    share = np.sum(got * made, -1)[begin:] / np.sum(made**2, -1)[begin:]
    assert share.min() < 1e-3
    assert share.max() > 1 - 1e-3
    assert np.abs(np.diff(share)).max() < 0.35
    changing = (share > 0.02) & (share < 0.98)
    assert 4 * 8 <= np.sum(changing) <= 4 * 45


def test_another_network(plugins):
    """It fades, is silent for the latency, and is then as one that begins."""
    rate, x = 48_000, narrow(48_000, 1.5)
    instance = opened(plugins, rate, edge=8000)
    first = instance(x[:, :24_000], 64)
    instance.set(network=1)
    second = instance(x[:, 24_000:], 64)
    alone = opened(plugins, rate, edge=8000)(x, 64)
    np.testing.assert_array_equal(first, alone[:, :24_000])
    begins = np.flatnonzero(second[0, 480:])[0] + 480  # 10 ms
    faded = second[0, :480]
    assert np.abs(faded).max() <= np.abs(alone[0, 24_000:24_480]).max()
    check(faded, alone[0, 24_000:24_480] * (1 - np.arange(1, 481) / 480), 1e-5)
    assert begins >= 480 + instance.latency - 48
    # From where it was taken, in steps of a quantum of airband's, 5 ms.
    taken = 24_000 + 480
    again = opened(plugins, rate, edge=8000, network=1)(x[:, taken:], 64)
    later = 480 + instance.latency + 480
    np.testing.assert_array_equal(second[:, later:], again[:, later - 480 :])
    rising = again[:, instance.latency :][:, :480] * np.arange(1, 481) / 480
    check(second[:, later - 480 : later], rising, 1e-5)


def test_novasr_leaves_sound_with_highs_as_it_is(plugins):
    """Where the sound goes on above 9 kHz nothing is made, once that is known."""
    rate = 48_000
    x = np.random.default_rng(0).uniform(-0.3, 0.3, (1, 2 * rate)).astype(np.float32)
    for controls in ({"edge": 0}, {"edge": 12_000}):
        instance = opened(plugins, rate, network=1, **controls)
        y = instance(x, 480)
        np.testing.assert_array_equal(y[:, instance.latency :], x[:, : -instance.latency])


def test_what_is_no_sound_leaves_nothing_behind(plugins):
    """NaN, infinity and absurd levels are zeros, and do not stay."""
    x = narrow(48_000, 0.8)
    for network in (0, 1):
        broken = x.copy()
        broken[0, 4800:4900:3] = np.nan
        broken[0, 4801:4900:3] = np.inf
        broken[0, 4802:4900:3] = -2e9
        silent = x.copy()
        silent[0, 4800:4900] = 0
        ys = [opened(plugins, 48_000, edge=3900, network=network)(z, 64) for z in (broken, silent)]
        np.testing.assert_array_equal(*ys)
    for control in ("edge", "highs", "network"):
        for value in (np.nan, np.inf, -np.inf, -1e30, 1e30, -7):
            y = opened(plugins, 48_000, **{control: value})(x[:, :9600], 480)
            assert np.isfinite(y).all(), (control, value)


def test_activate_begins_again(plugins):
    x = narrow(48_000, 0.3)
    instance = opened(plugins, 48_000, edge=3900)
    first = instance(x, 480)
    instance(x, 480)
    instance.activate()
    np.testing.assert_array_equal(instance(x, 480), first)


def test_rates_that_are_refused(plugins):
    for rate in (0, 7800, 193_000, 2**32 + 48_000):
        with pytest.raises(ValueError, match="does not take"):
            opened(plugins, rate)


@pytest.mark.slow
def test_a_minute_does_not_drift(plugins):
    """Clicks come out where they went in, all of them as late as is reported."""
    rate, seconds = 44_100, 60
    instance = opened(plugins, rate, edge=20_000)
    x = np.zeros((1, rate * seconds), np.float32)
    places = np.arange(rate // 2, x.shape[-1] - rate, rate // 2 + 1)
    x[0, places] = 0.5
    y = instance(x, 4096)
    for place in places:
        around = y[0, place + instance.latency - 200 : place + instance.latency + 200]
        assert np.abs(around).argmax() == 200


def test_nothing_of_the_system_is_within_reach(library):
    """The plugin can ask for memory, in `instantiate`, and copy it; no more is linked."""
    if shutil.which("nm") is None:
        pytest.skip("needs nm")
    lines = subprocess.check_output(["nm", "-D", library], text=True).splitlines()
    needed = {line.split()[-1].partition("@")[0] for line in lines if " U " in line}
    given = {line.split()[-1] for line in lines if " T " in line}
    assert needed <= {"aligned_alloc", "free", "memcpy", "memmove", "memset"}
    assert given == {"ladspa_descriptor"}


@needs_gcc
def test_no_call_of_the_system_and_no_memory_in_run(program_c, tmp_path):
    """The host calls getppid before and after each run, and ends if memory is asked for between."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    log = tmp_path / "calls"
    traced = subprocess.run(
        ["strace", "-f", "-o", log, program_c("-O1"), "150", "3"], check=False, capture_output=True
    )
    if not log.exists() or "getppid" not in log.read_text():
        pytest.skip(f"strace cannot trace here: {traced.stderr.decode()[:200]}")
    assert traced.returncode == 0, traced.stderr
    names = re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE)
    marks = [i for i, name in enumerate(names) if name == "getppid"]
    assert len(marks) > 1000
    for begin, end in zip(marks[::2], marks[1::2], strict=True):
        assert end == begin + 1, names[begin : end + 1]


@needs_gcc
@pytest.mark.slow
def test_it_stays_in_its_memory_whatever_the_host_does(program_c):
    """With the sanitizers; `plugin 100000 1` is the whole of it."""
    flags = ("-O2", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    subprocess.run([program_c(*flags), "4000", "1"], check=True, timeout=600)


MEMBERS = {
    "UniqueID": "id",
    "Label": "label",
    "Properties": "properties",
    "Name": "name",
    "Maker": "maker",
    "Copyright": "copyright",
    "PortCount": "port_count",
    "PortDescriptors": "ports",
    "PortNames": "port_names",
    "PortRangeHints": "ranges",
    "ImplementationData": "own",
    **{
        name: name
        for name in (
            *("instantiate", "connect_port", "activate", "run", "run_adding"),
            *("set_run_adding_gain", "deactivate", "cleanup"),
        )
    },
}
NUMBERS = {
    "LADSPA_PORT_INPUT": "LADSPA_INPUT",
    "LADSPA_PORT_OUTPUT": "LADSPA_OUTPUT",
    "LADSPA_PORT_CONTROL": "LADSPA_CONTROL",
    "LADSPA_PORT_AUDIO": "LADSPA_AUDIO",
    "LADSPA_HINT_BOUNDED_BELOW | LADSPA_HINT_BOUNDED_ABOVE": "LADSPA_BOUNDED",
    "LADSPA_HINT_INTEGER": "LADSPA_INTEGER",
    "LADSPA_HINT_DEFAULT_0": "LADSPA_DEFAULT_0",
    "LADSPA_PROPERTY_HARD_RT_CAPABLE": "LADSPA_HARD_REAL_TIME",
}


@needs_gcc
def test_our_declaration_of_ladspa_is_that_of_its_header(tmp_path):
    """Where the header is installed."""
    same = [f"({theirs}) == ({ours})" for theirs, ours in NUMBERS.items()]
    sizes = [
        ("LADSPA_Descriptor", "ladspa_plugin", MEMBERS),
        (
            "LADSPA_PortRangeHint",
            "ladspa_range",
            {"HintDescriptor": "hints", "LowerBound": "lowest", "UpperBound": "highest"},
        ),
    ]
    for theirs, ours, members in sizes:
        same.append(f"sizeof({theirs}) == sizeof({ours})")
        for name, own in members.items():
            same.append(f"offsetof({theirs}, {name}) == offsetof({ours}, {own})")
    build.weights_header(tmp_path)
    checks = "\n".join(f'_Static_assert({test}, "{test}");' for test in same)
    source = tmp_path / "same.c"
    source.write_text(
        "#include <stddef.h>\n#define ladspa_descriptor its_descriptor\n#include <ladspa.h>\n"
        f'#undef ladspa_descriptor\n#include "ladspa.c"\n{checks}\n'
    )
    includes = ("-I", NATIVE, "-I", tmp_path)
    line = ["gcc", "-std=c11", "-fsyntax-only", *includes, source]
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    if "ladspa.h: No such file" in done.stderr:
        pytest.skip("needs ladspa.h (ladspa-sdk)")
    assert done.returncode == 0, done.stderr
    assert len(same) == 8 + 1 + 19 + 1 + 3


def telephone(folder):
    """A recording of a telephone's band at 48 kHz, 32-bit float, and its samples."""
    x = narrow(48_000, 1.5, end=3400.0)[0]
    x.astype("<f4").tofile(folder / "x.f32")
    return x


RAW = ("-f", "f32le", "-ar", "48000", "-ac", "1")


def needs(*programs):
    for name in programs:
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}")


@pytest.mark.parametrize(("edge", "network"), [(3400, 0), (0, 0), (8000, 1)])
def test_in_ffmpeg(library, plugins, tmp_path, edge, network):
    """Its output is ours; with `latency` what is late is cut off."""
    needs("ffmpeg")
    x = telephone(tmp_path)
    instance = opened(plugins, 48_000, edge=edge, network=network)
    want = instance(np.pad(x, (0, 4800)), 480)[0]
    for option, begin in (("", 0), (":latency=1", instance.latency)):
        filters = f"ladspa={library}:novasr_mono:controls=c0={edge}|c2={network}{option}"
        line = ["ffmpeg", "-v", "error", *RAW, "-i", tmp_path / "x.f32", "-af", filters]
        subprocess.run([*line, "-f", "f32le", tmp_path / f"y{begin}"], check=True)
        y = np.fromfile(tmp_path / f"y{begin}", "<f4")
        np.testing.assert_array_equal(y, want[begin : begin + len(x)])


def test_in_sox(library, plugins, tmp_path, monkeypatch):
    """It counts in 32-bit integers."""
    needs("sox")
    monkeypatch.setenv("LADSPA_PATH", str(library.parent))
    x = telephone(tmp_path)
    raw = ("-t", "raw", "-r", "48000", "-c", "1", "-e", "float", "-b", "32")
    effect = ("ladspa", "-l", library.stem, "novasr_mono", "3400", "0", "0")
    line = ["sox", *raw, tmp_path / "x.f32", *raw, tmp_path / "y.f32", *effect]
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    if "ladspa" in done.stderr and "known" in done.stderr:
        pytest.skip("this sox has no ladspa")
    assert done.returncode == 0, done.stderr
    instance = opened(plugins, 48_000, edge=3400)
    want = instance(np.pad(x, (0, 4800)), 480)[0, instance.latency :][: len(x)]
    check(np.fromfile(tmp_path / "y.f32", "<f4"), want, 1e-6)


def test_what_analyseplugin_says(library):
    needs("analyseplugin")
    said = subprocess.check_output(["analyseplugin", library], text=True)
    for words in ('"novasr_mono"', '"novasr_stereo"', "Normal or Hard Real-Time"):
        assert words in said


def test_it_is_graded_through_ffmpeg(library):
    """Cases at 48 kHz, with silence behind: a host does not say where a sound ends."""
    needs("ffmpeg")
    loaded = load_weights(LIVE)
    filters = f"ladspa={library}:novasr_mono:controls=c0={{edge}}:latency=1"
    line = ["ffmpeg", "-v", "error", *RAW, "-i", "{input}", "-af", f"'{filters}'"]
    port = program(" ".join([*line, "-f", "f32le", "{output}"]), loaded.network)
    tried = [
        case._replace(x=np.pad(case.x, (0, 4800)))
        for case in cases.cases(loaded.network, 0)
        if case.rate == 48_000
    ]
    assert len(tried) > 5
    report = verify(port, loaded, tried)
    assert report.grade in ("float32", "bit-near")
    assert report.faults == []


@needs_gcc
def test_the_command_builds_it(tmp_path, capfd, monkeypatch):
    cli, folder = runner(capfd, "plugin"), tmp_path / "new/ladspa"
    monkeypatch.setenv("CFLAGS", "-O1")
    status, out, err = cli(folder)
    assert (status, out) == (0, "")
    assert "novasr_mono and novasr_stereo" in err
    assert [path.name for path in folder.iterdir()] == ["novasr.so"]
    assert list(descriptors(folder / "novasr.so")) == ["novasr_mono", "novasr_stereo"]
    assert cli(folder)[0] == 2  # it is there
    monkeypatch.setenv("CC", "no-such-compiler")
    status, _, err = cli(tmp_path / "other")
    assert status == 2
    assert "CC=no-such-compiler is not on the path" in err
    assert not (tmp_path / "other").exists()
    monkeypatch.setenv("CC", "false")
    assert "false exited with 1" in cli(tmp_path / "other")[2]
    assert not (tmp_path / "other").exists()
    monkeypatch.delenv("CC")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli()[0] == 0
    assert Path(tmp_path, ".ladspa/novasr.so").is_file()
    monkeypatch.chdir(tmp_path)
    assert f"ladspa={tmp_path}/here/novasr.so:" in cli("here")[2]
