"""`novasr verify`: whether a port of the network is right, and the kit to find out with."""

import argparse
import json
from pathlib import Path

from .. import conformance, kit, ports, weights
from .common import EXIT_DONE, EXIT_SOME_FAILED, positive, say, usage

_NOTES = """\
A port gets 16 kHz samples and gives the bare network's 3T - 4 at 48 kHz, or 3T as `novasr upsample
--keep-lowband off`. Its weights have to be those of --weights.

grades: {grades}, by the largest error they allow

exit status: 0 the grade asked for is reached, 1 it is not, 2 wrong usage
"""


def add(commands) -> None:
    """The command and its options."""
    p = commands.add_parser(
        "verify",
        help="whether another implementation is right, and if not, why not",
        description="Hold a port of the network against this one.",
        epilog=_NOTES.format(grades=", ".join(f"{n} {e:g}" for n, e in conformance.GRADES.items())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.set_defaults(run=_run)
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--command", metavar="LINE", help="a program, as './port {input} {output}'")
    what.add_argument("--onnx", metavar="MODEL", help="an ONNX model, by ONNX Runtime")
    what.add_argument("--export", metavar="DIR", help="write the kit as files instead")
    p.add_argument("--weights", metavar="FILE", help="the port's; default: the embedded ones")
    p.add_argument(
        "--format", choices=ports.FORMATS, default="raw", help="of --command's files; default: raw"
    )
    p.add_argument(
        "--long",
        type=float,
        default=conformance.LONG,
        metavar="S",
        help=f"seconds of the longest case, 0 for none; default: {conformance.LONG}",
    )
    p.add_argument(
        "--rate",
        type=positive,
        action="append",
        default=[],
        metavar="HZ",
        help="test the port's resampling from this rate, too (with --format wav)",
    )
    p.add_argument("--timeout", type=float, default=600, metavar="S", help="for each case")
    p.add_argument(
        "--require", choices=tuple(conformance.GRADES), default="float32", help="default: float32"
    )
    p.add_argument("--json", action="store_true", help="all that was measured, as JSON")


def _run(args: argparse.Namespace) -> int:
    try:
        if args.export is not None:
            kit.export(Path(args.export), args.weights)
            return EXIT_DONE
        if args.rate and (args.onnx or args.format != "wav"):
            raise ValueError("--rate needs --command and --format wav: only WAV files say a rate")
        params = weights.load_weights(args.weights)
        if args.onnx is not None:
            port = ports.onnx(args.onnx)
        else:
            port = ports.program(args.command, args.format, args.timeout)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        usage(error)
    report = conformance.verify(port, params, conformance.cases(args.long, tuple(args.rate)))
    print(json.dumps(report.as_dict(), indent=1) if args.json else _text(report))
    order = [*conformance.GRADES, conformance.WRONG]
    reached = order.index(report.grade) <= order.index(args.require)
    if not reached:
        say(f"novasr: {report.grade}, asked for {args.require}")
    return EXIT_DONE if reached else EXIT_SOME_FAILED


def _text(report: conformance.Report) -> str:
    lines = [
        f"{'case':24} {'length':>9} {'max-abs':>8} {'SNR':>6} {'delay':>6} {'gain':>8} {'mean':>8}"
        "  grade"
    ]
    short = [o for o in report.outcomes if o.case.startswith("length ")]
    order = [*conformance.GRADES, conformance.WRONG]
    worst = max(short, key=lambda o: (order.index(o.grade), o.max_abs or 0), default=None)
    for outcome in report.outcomes:
        if outcome not in short:
            lines.append(_line(outcome, outcome.case))
        elif outcome is worst:
            lines.append(_line(outcome, f"{len(short)} lengths, worst {outcome.samples}"))
    lines += ["", f"verdict: {report.grade}", *(f"  {fault}" for fault in report.faults)]
    return "\n".join(lines)


def _line(outcome: conformance.Outcome, name: str) -> str:
    def number(value, form):
        return "-" if value is None else format(value, form)

    return (
        f"{name:24} {number(outcome.length, 'd'):>9} {number(outcome.max_abs, '.1e'):>8} "
        f"{number(outcome.snr, '.1f'):>6} {number(outcome.delay, 'd'):>6} "
        f"{number(outcome.gain, '.5f'):>8} {number(outcome.dc, '.1e'):>8}  {outcome.grade}"
    )
