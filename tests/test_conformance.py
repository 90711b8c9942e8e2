"""`novasr verify` tells right ports from wrong ones, and says what is wrong with these."""

import json
import sys
import time
from functools import partial
from pathlib import Path

import mutants
import numpy as np
import pytest
from conftest import once, random_params, shared
from scipy import signal

import novasr_np
from novasr_np import forward, load_weights, upsample
from novasr_np.cli import main
from novasr_np.conformance import cases, ports
from novasr_np.conformance.cases import Case
from novasr_np.conformance.trial import GRADES, WRONG
from novasr_np.conformance.verify import verify
from novasr_np.networks import NETWORKS, novasr
from novasr_np.networks.novasr import faults
from novasr_np.networks.record import Facts
from novasr_np.tensors import cast
from novasr_np.weights import embedded_weights

NETWORK, AIRBAND = NETWORKS["NovaSR"], NETWORKS["airband"]
SOME = [case for case in cases.cases(NETWORK, 0) if len(case.x) != 8000]  # quick, and enough
LONG = 2  # seconds of the longest case
SHORT = [case for case in SOME if len(case.x) <= 400]
ENGINE = Path(novasr_np.__file__).parent / "web"
EMBEDDED = pytest.mark.parametrize("name", embedded_weights())

NOVASR = partial(upsample, weights="novasr-open")
pytestmark = pytest.mark.usefixtures("truths_once")


@pytest.fixture(scope="module")
def ours():
    return load_weights("novasr-open").params


@pytest.fixture(scope="module", params=["ours", "random"])
def either(request, ours):
    """Weights that are ours, and some that nobody trained."""
    return ours if request.param == "ours" else random_params(1)


@once
def port(params, **options):
    """A float32 port without a fault but those in `options`."""
    tree = cast(params, np.float64)
    return once(lambda x, rate: mutants.forward(tree, x, **options).astype(np.float32))


@pytest.mark.parametrize("version", [1, 2])
def test_the_originals_checkpoints_have_their_grades(version):
    params = load_weights(shared(f"upstream/pytorch_model_v{version}.bin")).params
    single = verify(lambda x, _: forward(params, x), params, SOME)
    assert (single.grade, single.faults) == ("float32", [])
    double = verify(lambda x, _: np.float32(forward(params, np.float64(x))), params, SOME)
    assert (double.grade, double.faults) == ("bit-near", [])


@pytest.mark.parametrize("version", [1, 2])
def test_the_originals_onnx_drifts(version):
    """Within a second already it is no better than half precision, because of its index."""
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    params = load_weights(shared(f"upstream/pytorch_model_v{version}.bin")).params
    model = ports.onnx(str(shared(f"upstream/novasr_v{version}.onnx")), NETWORK)
    report = verify(model, params, list(cases.cases(NETWORK, 0))[:2])
    assert report.grade == "float16"
    assert any("drifts with length" in fault for fault in report.faults)
    assert not any("swap" in fault or "ends are held" in fault for fault in report.faults)


def test_the_front_door_and_the_independent_network_are_right(ours):
    whole = verify(NOVASR, ours, SOME)
    assert (whole.grade, whole.faults) == ("float32", [])
    independent = verify(port(ours), ours, SOME)
    assert (independent.grade, independent.faults) == ("bit-near", [])


@pytest.mark.parametrize("seed", range(50))
def test_no_false_alarm_whatever_the_weights(seed):
    """Each with a third of the lengths; all of them get their turn."""
    params = random_params(seed)
    report = verify(lambda x, _: forward(params, x), params, SHORT[seed % 3 :: 3])
    assert report.grade in ("bit-near", "float32")
    assert report.faults == []


def half(h):
    return np.float64(np.float16(h))


def normalised(y):
    return y * (0.95 / np.abs(y).max()) if y.any() else y


MUTANTS = {
    "pair swap dropped": (
        lambda p: port(p, swapped=(False, False)),
        "the swap of sample pairs is undone in both",
    ),
    "replicate padding": (lambda p: port(p, edges="edge"), "ends are held where zeros belong"),
    "half precision": (lambda p: port(p, keep=half), "half precision"),
    "level normalised": (
        lambda p: lambda x, r: normalised(port(p)(x, r)),
        "the level is changed",
    ),
    "tail lost": (lambda p: lambda x, r: port(p)(x, r)[:-60], "the tail is lost: 60 samples"),
    "tail silent": (
        lambda p: lambda x, r: np.append(port(p)(x, r)[:-60], np.zeros(60, np.float32)),
        "the tail is lost: 60 samples",
    ),
    "phase reversed": (lambda p: lambda x, r: -port(p)(x, r), "the phase is reversed"),
    "late": (lambda p: lambda x, r: np.roll(port(p)(x, r), 3), "3 samples late"),
    "mean taken off": (
        lambda p: lambda x, r: port(p)(x, r) - port(p)(x, r).mean(),
        "the mean is changed",
    ),
    "one sample more": (
        lambda p: lambda x, r: np.append(port(p)(x, r), np.float32(0)),
        "samples, expected",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_every_fault_is_caught_and_named(name, either):
    make, words = MUTANTS[name]
    tried = [c for c in SOME if len(c.x) == 400 or c.name.startswith("tone")]
    report = verify(make(either), either, tried)
    assert report.grade == ("float16" if name == "half precision" else WRONG)
    assert any(words in fault for fault in report.faults), report.faults


@pytest.mark.parametrize("name", [n for n, f in faults.FAULTS.items() if not f.is_rounding])
def test_every_known_deviation_is_named_in_float32(name, ours):
    """As ports have them: with float32's rounding, in their own order of operations."""
    fault = faults.FAULTS[name]

    def run(x, rate):
        return fault.forward(ours, x * (1 + 1e-7)).astype(np.float32)

    voice = next(cases.cases(NETWORK, 0))
    report = verify(
        run, ours, [Case("voice", voice.x[:1500], 16_000), Case("noise", SOME[1].x[:800], 16_000)]
    )
    assert report.grade == WRONG
    # It moves every sample but those at the ends.
    words = "1 sample early" if name == "left-aligned" else fault.words
    assert any(words in text for text in report.faults)


def test_what_drifts_from_the_start_on_is_told_from_half_precision(ours):
    """It is exact at first, then further and further off."""

    def run(x, rate):
        return faults.forward(
            ours, x, interpolate3=lambda h: mutants.interpolate(h, np.float32)
        ).astype(np.float32)

    *_, case = cases.cases(NETWORK, LONG)
    report = verify(run, ours, [case])
    assert report.grade in ("float16", WRONG)
    assert "drifts with length" in report.faults[0]
    right = verify(NOVASR, ours, [case])
    assert (right.grade, right.faults) == ("float32", [])
    cut = verify(lambda x, r: NOVASR(x, r)[:-24_000], ours, [case])
    assert cut.grade == WRONG
    assert cut.faults == ["the tail is lost: 23996 samples at 48 kHz"]


def test_another_resampler_is_named(ours):
    case = next(c for c in cases.cases(NETWORK, 0, (48_000,)) if c.rate == 48_000)
    right = verify(NOVASR, ours, [case])
    assert (right.grade, right.faults) == ("float32", [])
    other = verify(lambda x, rate: NOVASR(signal.resample_poly(x, 1, 3), 16_000), ours, [case])
    assert other.grade == WRONG
    assert other.faults[1:] == ["another resampler than upstream"]


def test_ports_that_fail_are_wrong_and_say_why(ours):
    def fails(x, rate):
        raise OSError("no device")

    for run, words in (
        (fails, "it fails: no device"),
        (lambda x, r: np.full(3 * len(x), np.nan), "NaN"),
        (lambda x, r: np.zeros(0, np.float32), "it gives nothing"),
        (lambda x, r: np.zeros(3 * len(x), np.int16), "floating point"),
    ):
        report = verify(run, ours, SHORT[:2])
        assert report.grade == WRONG
        assert any(words in fault for fault in report.faults)


def test_sixteen_bits_out_are_no_fault(ours):
    def run(x, rate):
        return np.rint(forward(ours, np.float64(x)) * 32768) / 32768

    report = verify(run, ours, SHORT)
    assert (report.grade, report.faults) == ("bit-near", [])


def test_inputs_are_the_same_everywhere():
    """Sums of the 16-bit values, that another generator would not have by chance."""
    sums = [int(np.abs(np.float64(case.x) * 32768).sum()) for case in SOME[:6]]
    assert sums[:4] == [24387759, 29491, 3276800, 0]
    assert all(np.abs(case.x).max(initial=0) <= 1 for case in SOME)


def test_the_command_names_faults_and_fails(weights_file, capsys):
    line = "cp {input} {output}"
    common = ["--long", "0", "--weights", str(weights_file)]
    assert main(["verify", "--command", line, *common]) == 1
    out, err = capsys.readouterr()
    assert "verdict: wrong" in out
    assert "samples, expected" in out
    assert "must be float32 or better" in err
    assert main(["verify", "--command", "false {input} {output}", *common]) == 1
    assert "it fails: exit status 1" in capsys.readouterr().out
    assert main(["verify", "--command", "true {input} {output}", *common]) == 1
    assert "it fails: it wrote no output" in capsys.readouterr().out
    for arguments, words in (
        (("--command", "port"), "must contain {input}"),
        (("--command", line, "--rate", "48000"), "--format wav"),
        (("--onnx", "nowhere.onnx"), "No such file"),
        (("--command", "./nowhere {input} {output}"), "must name a program, got './nowhere'"),
        (("--command", line, "--timeout", "0"), "number above 0"),
        (("--command", line, "--timeout", "nan"), "number above 0"),
        (("--command", line, "--long", "0.5"), "at least 1 s"),
        (("--command", line, "--long", "inf"), "number above 0"),
    ):
        with pytest.raises(SystemExit) as exit:
            main(["verify", *arguments, *common])
        assert exit.value.code == 2
        assert words in capsys.readouterr().err


def test_a_port_that_hangs_is_ended_with_all_it_started(tmp_path, ours):
    """After the first case that takes too long no other is tried."""
    script = tmp_path / "port.sh"
    script.write_text(f"#!/bin/sh\nsleep 60 & echo $! >>{tmp_path}/pids; wait\n")
    script.chmod(0o755)
    port = ports.program(f"{script} {{input}} {{output}}", NETWORK, timeout=0.5)
    told = []
    report = verify(port, ours, SOME[:3], told.append)
    assert (report.grade, len(told), report.outcomes) == ("wrong", 1, told)
    assert "longer than 0.5 s: no more cases" in report.faults[0]
    (pid,) = map(int, (tmp_path / "pids").read_text().split())
    deadline = time.monotonic() + 10
    while _runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid):
    """Whether a process is there and is no zombie, which whoever adopted it has yet to bury."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_what_a_port_says_is_cut_to_one_plain_line(ours):
    code = "import sys; sys.stderr.write(chr(27) + '[2J' + 'x' * 10**6); sys.exit(3)"
    port = ports.program(f'{sys.executable} -c "{code}" {{input}} {{output}}', NETWORK)
    (fault,) = verify(port, ours, SOME[:1]).faults
    assert fault.startswith("it fails: exit status 3: ")
    assert fault.isprintable()
    assert len(fault) < 300
    code = "import os; os.kill(os.getpid(), 11)"
    port = ports.program(f'{sys.executable} -c "{code}" {{input}} {{output}}', NETWORK)
    assert verify(port, ours, SOME[:1]).faults == ["it fails: SIGSEGV"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("a", "ValueError: no rate", "b", "c", "d"), "ValueError: no rate"),
        (("a", "thread panicked at x", "error: aborting", "b"), "thread panicked at x"),
        (("a", "b", "", "c", "d"), "b c d"),
    ],
)
def test_a_failing_programs_message_is_what_looks_like_it(tmp_path, ours, lines, said):
    """Not its last line alone."""
    words = " ".join(f"'{line}'" for line in lines)
    script = tmp_path / "port.sh"
    script.write_text(f"#!/bin/sh\nprintf '%s\\n' {words} >&2; exit 3\n")
    script.chmod(0o755)
    port = ports.program(f"{script} {{input}} {{output}}", NETWORK)
    assert verify(port, ours, SOME[:1]).faults == [f"it fails: exit status 3: {said}"]


def test_a_program_may_write_its_stages(tmp_path, capsys):
    """In the folder that its command names; the first that differs is said."""
    script = tmp_path / "port.py"
    script.write_text(
        "import sys, numpy as np\n"
        "from novasr_np import load_weights\n"
        "from novasr_np.networks import NETWORKS\n"
        "x = np.fromfile(sys.argv[1], '<f4')\n"
        "params = load_weights('novasr-open').params\n"
        "for name, y in NETWORKS['NovaSR'].compute.stages(params, x):\n"
        "    y = y * 1.5 if name in ('conv2', 'residual', 'conv_post', 'y') else y\n"
        "    y.astype('<f4').tofile(f'{sys.argv[3]}/{name}.f32')\n"
        "y.tofile(sys.argv[2])\n"
    )
    port = ports.program(f"{sys.executable} {script} {{input}} {{output}} {{stages}}", NETWORK)
    report = verify(port, "novasr-open", [Case("noise", SOME[1].x[:400], 16_000)])
    assert report.findings[-1].code == "level"
    script.write_text(script.read_text().replace("y * 1.5", "y ** 3"))
    report = verify(port, "novasr-open", [Case("noise", SOME[1].x[:400], 16_000)])
    assert "the first stage that differs is conv2: its largest error is" in report.faults[-1]


@pytest.mark.parametrize(("channels", "rate"), [(1, 16_000), (2, 48_000)])
def test_wav_files_have_to_say_what_they_are(tmp_path, ours, channels, rate):
    """The right samples, at a wrong rate or among others."""
    script = tmp_path / "port.py"
    script.write_text(
        "import sys, numpy, soundfile, novasr_np\n"
        "x, _ = soundfile.read(sys.argv[1], dtype='float32')\n"
        f"y = numpy.stack([novasr_np.upsample(x)] * {channels}, -1)\n"
        f"soundfile.write(sys.argv[2], y, {rate}, subtype='FLOAT')\n"
    )
    port = ports.program(f"{sys.executable} {script} {{input}} {{output}}", NETWORK, "wav")
    report = verify(port, ours, SOME[:1])
    assert report.grade == "wrong"
    assert f"got {channels} at {rate} Hz" in report.faults[0]


def test_silence_is_called_silence(ours):
    report = verify(lambda x, _: np.zeros(3 * len(x)), ours, SOME[:2])
    assert report.faults[1:] == ["it gives silence"]


def test_ports_that_take_wav_files_are_graded(ours):
    line = f"{sys.executable} -m novasr_np.cli upsample -q --keep-lowband off --subtype FLOAT"
    line += " --weights novasr-open"
    run = ports.program(f"{line} {{input}} -o {{output}}", NETWORK, "wav")
    (case,) = (c for c in cases.cases(NETWORK, 0, (24_000,)) if c.rate == 24_000)
    report = verify(run, ours, [SOME[0], case])
    assert (report.grade, report.faults) == ("float32", [])


def test_the_page_for_porters_has_the_grades_and_every_fault():
    text = (Path(novasr.__file__).parent / "PORTING.md").read_text()
    for name, error in GRADES.items():
        assert f"`{name}`" in text
        assert f"{error:.0e}".replace("e-0", "e-") in text
    for fault in faults.FAULTS.values():
        assert f"| {fault.words} |" in text


@pytest.fixture(scope="module")
def any_band():
    return random_params(3, AIRBAND)


def airband_port(params, forward=AIRBAND.compute.forward):
    return lambda x, rate, edge: forward(params, x, 0, Facts(rate, 1, edge), rate)


def test_any_band_is_tried_at_five_rates_and_edges():
    tried = list(cases.cases(AIRBAND, 0))
    assert {case.rate for case in tried} >= {4000, 8000, 12_000, 16_000, 24_000, 48_000}
    below = {case.edge for case in tried if case.edge < case.rate / 2}
    assert len(below) >= 5
    assert {len(case.x) for case in tried if case.rate == 8000} >= {1, 39, 40, 101}
    assert len({case.name for case in tried}) == len(tried)
    assert all(np.abs(case.x).max() <= 1 for case in tried)
    assert all((case.x * 32768 == np.rint(case.x * 32768)).all() for case in tried)


def test_any_band_is_right_by_its_function_and_by_the_front_door(any_band):
    tried = list(cases.cases(AIRBAND, LONG))
    for port in (
        airband_port(any_band),
        lambda x, rate, edge: upsample(x, rate, edge=edge, weights=any_band),
    ):
        report = verify(port, any_band, tried)
        assert report.grade in ("bit-near", "float32")
        assert report.faults == []


def test_a_port_that_misses_the_rate_or_the_edge_does_not_pass(any_band):
    """Each passes where what it misses makes no difference."""
    right = airband_port(any_band)
    tried = [case for case in cases.cases(AIRBAND, 0) if not case.is_length]
    ports_of = {
        "edge": (lambda x, rate, edge: right(x, rate, None), lambda c: c.edge == c.rate / 2),
        "rate": (lambda x, rate, edge: right(x, 16_000, edge), lambda c: c.rate == 16_000),
    }
    for port, is_right in ports_of.values():
        outcomes = verify(port, any_band, tried).outcomes
        passed = {o.case: o.grade in ("bit-near", "float32") for o in outcomes}
        assert passed == {c.name: is_right(c) for c in tried}


@pytest.mark.parametrize("name", [n for n, f in AIRBAND.ports.faults.items() if not f.is_rounding])
def test_every_known_mistake_of_any_band_is_named(name, any_band):
    fault = AIRBAND.ports.faults[name]

    def run(x, rate, edge):
        return fault.forward(any_band, x * (1 + 1e-7), rate, edge).astype(np.float32)

    tried = [
        case._replace(x=case.x[500:1500]) for case in cases.cases(AIRBAND, 0) if "," in case.name
    ]
    tried = [c for c in tried if (c.rate, c.edge) in ((8000, 3700), (16_000, 7750), (24_000, 8000))]
    if name.startswith("floor"):
        tried += [case for case in cases.cases(AIRBAND, 0) if case.name == "silence within"]
    report = verify(run, any_band, tried)
    assert report.grade == WRONG
    assert report.faults[1:] == [fault.words]


def test_a_program_is_told_the_rate_and_the_edge(tmp_path, capsys):
    """And tried with what it can be told alone."""
    script = tmp_path / "port.py"
    script.write_text(
        "import sys, array\n"
        "array.array('f', map(float, sys.argv[3:])).tofile(open(sys.argv[2], 'wb'))\n"
    )
    telephone = next(c for c in cases.cases(AIRBAND, 0) if c.name == "48 kHz, telephone")
    line = f"{sys.executable} {script} {{input}} {{output}} {{rate}} {{edge}} {{bin}}"
    port = ports.program(line, AIRBAND)
    assert port.takes(telephone)
    np.testing.assert_array_equal(port(telephone.x, 48_000, 3400), [48_000, 3400, 68])
    np.testing.assert_array_equal(port(telephone.x, 8000), [8000, 4000, 80])
    port = ports.program("cp {input} {output}", AIRBAND)
    assert not port.takes(telephone)
    assert not port.takes(telephone._replace(rate=16_000))
    assert port.takes(telephone._replace(rate=16_000, edge=8000))
    arguments = (
        "--command",
        "cp {input} {output}",
        "--long",
        "0",
        "--weights",
        "airband",
        "--json",
    )
    assert main(["verify", *arguments]) == 1
    out, err = capsys.readouterr()
    tried = [c for c in cases.cases(AIRBAND, 0) if (c.rate, c.edge) == (16_000, 8000)]
    assert len(json.loads(out)["outcomes"]) == len(tried)
    assert "cases left out, of which the port cannot be told" in err
