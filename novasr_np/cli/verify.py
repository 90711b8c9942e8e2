"""`novasr verify`: is a port of the network right, and if not, why not."""

import argparse
import json
from pathlib import Path
from typing import Any

from .. import weights
from ..conformance import kit, ports
from ..conformance.cases import LONG_SECONDS, cases
from ..conformance.verify import GRADES, ORDER, Outcome, Report, verify
from .messages import EXIT_DONE, EXIT_SOME_FAILED, say, usage
from .options import add_weights, number, positive

_LONG_ONNX, _TIMEOUT = 30, 600  # s
_NOTES = """\
A port gets 16 kHz samples and gives the bare network's 3T - 4 at 48 kHz, or 3T as `novasr upsample
--keep-lowband off`. Its weights have to be those of --weights.

grades: {grades}, by the largest error they allow

exit status: 0 the grade asked for is reached, 1 it is not, 2 wrong usage
"""


def add(commands: Any) -> None:
    """The command and its options."""
    p = commands.add_parser(
        "verify",
        help="is a port of the network right, and if not, why not",
        description="Compare a port of the network with this one.",
        epilog=_NOTES.format(grades=", ".join(f"{n} {e:g}" for n, e in GRADES.items())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--command", metavar="LINE", help="a program, as './port {input} {output}'")
    what.add_argument("--onnx", metavar="MODEL", help="an ONNX model, by ONNX Runtime")
    what.add_argument("--export", metavar="DIR", help="write the kit as files instead")
    add_weights(p)
    p.add_argument(
        "--format", choices=ports.FORMATS, default="raw", help="of --command's files; default: raw"
    )
    p.add_argument(
        "--long",
        type=_seconds,
        metavar="S",
        help=f"seconds of the longest case, 0 for none; default: {LONG_SECONDS}, and with "
        f"--onnx {_LONG_ONNX}, since ONNX Runtime keeps every activation in memory",
    )
    p.add_argument(
        "--rate",
        type=positive,
        action="append",
        default=[],
        metavar="HZ",
        help="test the port's resampling from this rate, too (with --format wav)",
    )
    p.add_argument(
        "--timeout",
        type=number,
        default=_TIMEOUT,
        metavar="S",
        help="time limit for each case in seconds; testing stops at the first that exceeds it; "
        f"default: {_TIMEOUT}",
    )
    p.add_argument("--require", choices=tuple(GRADES), default="float32", help="default: float32")
    p.add_argument("--json", action="store_true", help="all that was measured, as JSON")


def _main(args: argparse.Namespace) -> int:
    try:
        if args.export is not None:
            kit.export(Path(args.export), args.weights)
            files = [p for p in Path(args.export).rglob("*") if p.is_file()]
            say(f"{args.export}: the kit, {len(files)} files")
            return EXIT_DONE
        if args.rate and (args.onnx or args.format != "wav"):
            raise ValueError("--rate needs --command and --format wav: only WAV files say a rate")
        loaded = weights.load_weights(args.weights)
        network = loaded.network
        if args.onnx is not None:
            port = ports.onnx(args.onnx)
        else:
            port = ports.program(args.command, network.rate_out, args.format, args.timeout)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        usage(error)
    long = args.long
    if long is None:
        long = LONG_SECONDS if args.onnx is None else _LONG_ONNX
    table = None if args.json else _Table()
    report = verify(
        port,
        loaded,
        cases(network.rate_in, long, tuple(args.rate)),
        table or (lambda _: None),
    )
    if table is None:
        print(json.dumps(report.as_dict(), indent=1))
    else:
        table.end(report)
    reached = ORDER.index(report.grade) <= ORDER.index(args.require)
    if not reached:
        say(f"novasr: {report.grade}, asked for {args.require}")
    return EXIT_DONE if reached else EXIT_SOME_FAILED


def _seconds(text: str) -> float:
    """The length of the longest case: 0, or enough for the network to be seen in full."""
    value = 0.0 if text == "0" else number(text)
    if 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected 0, or at least 1 s, got {text!r}")
    return value


class _Table:
    """Outcomes as they come, line by line, but one line for all the short cases."""

    def __init__(self) -> None:
        self._short: list[Outcome] = []
        print(
            f"{'case':24} {'length':>9} {'max-abs':>8} {'SNR':>6} {'delay':>6} {'gain':>8} "
            f"{'mean':>8}  grade",
            flush=True,
        )

    def __call__(self, outcome: Outcome) -> None:
        if outcome.is_length:
            self._short.append(outcome)
            return
        self._end_of_short()
        print(_line(outcome, outcome.case), flush=True)

    def end(self, report: Report) -> None:
        self._end_of_short()
        print("\n".join(["", f"verdict: {report.grade}", *(f"  {f}" for f in report.faults)]))

    def _end_of_short(self) -> None:
        if self._short:
            worst = max(self._short, key=lambda o: (ORDER.index(o.grade), o.max_abs or 0))
            print(_line(worst, f"{len(self._short)} lengths, worst {worst.samples}"), flush=True)
            self._short = []


def _line(outcome: Outcome, name: str) -> str:
    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    return (
        f"{name:24} {number(outcome.length, 'd'):>9} {number(outcome.max_abs, '.1e'):>8} "
        f"{number(outcome.snr, '.1f'):>6} {number(outcome.delay, 'd'):>6} "
        f"{number(outcome.gain, '.5f'):>8} {number(outcome.dc, '.1e'):>8}  {outcome.grade}"
    )
