"""`novasr verify`: check whether a port of the network is right, and find its faults."""

import argparse
from pathlib import Path
from typing import Any

from .. import weights
from ..conformance import kit, ports
from ..conformance.cases import LONG_SECONDS, cases
from ..conformance.trial import GRADES
from ..conformance.verify import ORDER, Outcome, Report, verify
from .messages import EXIT_DONE, EXIT_SOME_FAILED, say, show, show_json, usage
from .options import add_weights, number, positive

_LONG_ONNX, _TIMEOUT = 30, 600  # s
_NOTES = """\
A port has the weights of --weights, by default airband's. It takes T samples at some rate, and
returns ceil(48000 T / rate) at 48 kHz. That of airband is told the edge, and the rate if the
samples are raw; without {{rate}} in its command it is tried at 16 kHz alone, without {{edge}} and
{{bin}} with edges of half the rate alone, and with two channels if it takes WAV files. With
{{stages}} in its command, a folder, it may write there what each stage gives, as NAME.f32, raw
float32 [channels, time], and is told the first that differs. A port of NovaSR (--weights
novasr-open) takes T samples at 16 kHz and returns 3T, or 3T - 4 as the bare network does; its 3T
are those of `novasr upsample --weights novasr-open --keep-lowband off`.

grades, with the largest error that each allows: {grades}

exit status: 0 the required grade is reached; 1 it is not; 2 wrong usage
"""


def add(commands: Any) -> None:
    """Add the command and its options to the parser."""
    p = commands.add_parser(
        "verify",
        help="check whether a port of the network is right, and find its faults",
        description="Compare a port of the network with this one, and find its faults.",
        epilog=_NOTES.format(grades=", ".join(f"{n} {e:g}" for n, e in GRADES.items())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--command",
        metavar="LINE",
        help="port that is a program, as './port {rate} {edge} {input} {output}', with rate and "
        "edge in Hz, or {bin} for the edge in bins of 50 Hz",
    )
    what.add_argument(
        "--onnx", metavar="MODEL", help="port that is an ONNX model, run by ONNX Runtime"
    )
    what.add_argument(
        "--export",
        metavar="KIT",
        help="write the test kit (weights, inputs, outputs, every stage, and a program that checks "
        "a port without this package) instead: a zip file if the name ends in .zip, else a folder",
    )
    add_weights(p)
    p.add_argument(
        "--format",
        choices=ports.FORMATS,
        default="raw",
        help="file format that --command reads and writes; default: raw",
    )
    p.add_argument(
        "--long",
        type=_seconds,
        metavar="S",
        help=f"seconds of the longest case, 0 for none; default: {LONG_SECONDS}, but {_LONG_ONNX} "
        "with --onnx, since ONNX Runtime keeps every activation in memory",
    )
    p.add_argument(
        "--rate",
        type=positive,
        action="append",
        default=[],
        metavar="HZ",
        help="Hz of another sampling rate with which to test the port too, and its resampling if "
        "the network does not take that rate (with --format wav, or {rate} in --command)",
    )
    p.add_argument(
        "--timeout",
        type=number,
        default=_TIMEOUT,
        metavar="S",
        help="seconds that each case may take; testing stops at the first that takes longer; "
        f"default: {_TIMEOUT}",
    )
    p.add_argument(
        "--require",
        choices=tuple(GRADES),
        default="float32",
        help="grade that the port has to reach; default: float32",
    )
    p.add_argument("--json", action="store_true", help="print all measurements as JSON")


def _main(args: argparse.Namespace) -> int:
    try:
        if args.export is not None:
            files, size = kit.export(Path(args.export), args.weights)
            say(f"{args.export}: the kit, {files} files, {size / 1e6:.1f} MB")
            return EXIT_DONE
        loaded = weights.load_weights(args.weights)
        network = loaded.network
        if args.onnx is not None:
            port = ports.onnx(args.onnx, network)
        else:
            port = ports.program(args.command, network, args.format, args.timeout)
        if args.rate and port.rate is not None:
            raise ValueError(
                "--rate needs --command, and there --format wav or {rate}: else the port would not "
                "know the rate"
            )
    except (OSError, ValueError, ModuleNotFoundError) as error:
        usage(error)
    long = args.long
    if long is None:
        long = LONG_SECONDS if args.onnx is None else _LONG_ONNX
    every = list(cases(network, long, tuple(args.rate), channels=2))
    tried = [case for case in every if port.takes(case)]
    table = None if args.json else _Table()
    report = verify(port, loaded, tried, table or (lambda _: None))
    if table is None:
        show_json(report.as_dict())
    else:
        table.end(report)
    if len(tried) < len(every):
        say(
            f"novasr: {len(every) - len(tried)} of {len(every)} cases left out, of which the port "
            "cannot be told the rate, the edge or the second channel"
        )
    reached = ORDER.index(report.grade) <= ORDER.index(args.require)
    if not reached:
        say(f"novasr: the grade must be {args.require} or better, got {report.grade}")
    return EXIT_DONE if reached else EXIT_SOME_FAILED


def _seconds(text: str) -> float:
    """Parse the length of the longest case, 0 or at least 1 s, which shows the whole network."""
    value = 0.0 if text == "0" else number(text)
    if 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected 0, or at least 1 s, got {text!r}")
    return value


class _Table:
    """Table of outcomes, printed line by line as they come; one line for all short cases."""

    def __init__(self) -> None:
        self._short: list[Outcome] = []
        show(
            f"{'case':24} {'length':>9} {'max-abs':>8} {'SNR':>6} {'delay':>6} {'gain':>8} "
            f"{'mean':>8}  grade",
            flush=True,
        )

    def __call__(self, outcome: Outcome) -> None:
        if outcome.is_length:
            self._short.append(outcome)
            return
        self._end_of_short()
        show(_line(outcome, outcome.case), flush=True)

    def end(self, report: Report) -> None:
        self._end_of_short()
        show("", f"verdict: {report.grade}", *(f"  {fault}" for fault in report.faults))

    def _end_of_short(self) -> None:
        if self._short:
            worst = max(self._short, key=lambda o: (ORDER.index(o.grade), o.max_abs or 0))
            show(_line(worst, f"{len(self._short)} lengths, worst {worst.samples}"), flush=True)
            self._short = []


def _line(outcome: Outcome, name: str) -> str:
    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    return (
        f"{name:24} {number(outcome.length, 'd'):>9} {number(outcome.max_abs, '.1e'):>8} "
        f"{number(outcome.snr, '.1f'):>6} {number(outcome.delay, 'd'):>6} "
        f"{number(outcome.gain, '.5f'):>8} {number(outcome.dc, '.1e'):>8}  {outcome.grade}"
    )
