"""`novasr compare`: measure how one recording differs from another."""

import argparse
from pathlib import Path
from typing import Any

from ..dsp import spectrum
from ..errors import AudioError
from ..files.reading import first_channel
from .messages import EXIT_DONE, show, show_json, usage


def add(commands: Any) -> None:
    """Add the command and its options to the parser."""
    p = commands.add_parser(
        "compare",
        help="measure how one recording differs from another: delay, gain, SNR and bands",
        description="Measure the first channel of A against that of B: delay, gain, SNR, and for "
        "each frequency band the level and the log-spectral distance (LSD). If the two correlate, "
        f"A is first aligned with B, by a shift of up to {spectrum.MAX_DELAY:,} samples. Both must "
        "have the same sampling rate.",
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    p.add_argument("a", metavar="A", help="sound file to measure")
    p.add_argument("b", metavar="B", help="sound file to measure it against")
    p.add_argument("--json", action="store_true", help="print the measurements as JSON")


def _main(args: argparse.Namespace) -> int:
    try:
        (rate, a), (other, b) = (first_channel(Path(name)) for name in (args.a, args.b))
        if rate != other:
            raise AudioError(
                f"{args.a} is at {rate} Hz, {args.b} at {other}: bring them to one rate "
                "(spectrogram takes any)"
            )
        report = spectrum.compare(a, b, rate)
    except (OSError, ValueError) as error:
        usage(error)
    if args.json:
        show_json(report | {"sample_rate": rate})
        return EXIT_DONE
    lengths = " and ".join(map(str, report["lengths"]))
    show(f"{lengths} samples at {rate} Hz, {report['samples']} of them compared")
    show(_delay(report["delay"]))
    show(f"gain {_number(report['gain'], '.4f')}, SNR {_number(report['snr_db'], '.1f')} dB")
    show(f"{'Hz':>15} {'level, dB':>10} {'LSD':>6}")
    for row in report["bands"]:
        low, high = row["hz"]
        show(f"{low:>7}..{high:<6} {_number(row['level_db'], '+.2f'):>10} {row['lsd']:>6.2f}")
    show(f"{'all':>15} {'':>10} {report['lsd']:>6.2f}")
    return EXIT_DONE


def _delay(samples: int | None) -> str:
    if samples is None:
        return "A and B match at no delay: nothing is shifted"
    return f"A is {abs(samples)} samples {'late' if samples >= 0 else 'early'}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
