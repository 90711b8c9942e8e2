"""`novasr compare` and `novasr spectrogram`: recordings as numbers, and as pictures."""

import argparse
import json
from pathlib import Path

from .. import audio, spectra
from ..errors import AudioError
from .common import EXIT_DONE, usage


def add(commands) -> None:
    """The commands and their options."""
    p = commands.add_parser(
        "compare",
        help="what one recording has other than another, by band",
        description="A against B: delay, gain, SNR, and for each band level and log-spectral "
        "distance (LSD), of the first channels.",
        allow_abbrev=False,
    )
    p.set_defaults(run=_compare)
    p.add_argument("a", metavar="A")
    p.add_argument("b", metavar="B")
    p.add_argument("--json", action="store_true")

    p = commands.add_parser(
        "spectrogram",
        help="a picture of recordings, one below the other",
        description="Spectrograms on one scale, of the first channels (extra plot).",
        allow_abbrev=False,
    )
    p.set_defaults(run=_spectrogram)
    p.add_argument("file", nargs="+", metavar="FILE")
    p.add_argument("-o", "--output", required=True, metavar="OUT.png")


def _compare(args: argparse.Namespace) -> int:
    try:
        (a, rate), (b, other) = (audio.read(Path(name)) for name in (args.a, args.b))
        if rate != other:
            raise AudioError(
                f"{args.a} is at {rate} Hz, {args.b} at {other}: bring them to one rate"
            )
        report = spectra.compare(a[0], b[0], rate)
    except (OSError, ValueError) as error:
        usage(error)
    if args.json:
        print(json.dumps(report | {"sample_rate": rate}, indent=1))
        return EXIT_DONE
    print(f"samples {report['samples']} at {rate} Hz, A is {report['delay']} late")
    print(f"gain {_number(report['gain'], '.4f')}, SNR {_number(report['snr_db'], '.1f')} dB")
    print(f"{'Hz':>15} {'level, dB':>10} {'LSD':>6}")
    for row in report["bands"]:
        low, high = row["hz"]
        print(f"{low:>7}..{high:<6} {row['level_db']:>+10.2f} {row['lsd']:>6.2f}")
    print(f"{'all':>15} {'':>10} {report['lsd']:>6.2f}")
    return EXIT_DONE


def _spectrogram(args: argparse.Namespace) -> int:
    try:
        if not args.output.lower().endswith(".png"):
            raise ValueError(f"the picture is a PNG file, got {args.output!r}")
        sounds = {name: audio.read(Path(name)) for name in args.file}
        spectra.draw(Path(args.output), {name: (x[0], rate) for name, (x, rate) in sounds.items()})
    except (OSError, ValueError, ModuleNotFoundError) as error:
        usage(error)
    return EXIT_DONE


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
