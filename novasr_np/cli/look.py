"""`novasr compare` and `novasr spectrogram`: recordings as numbers, and as pictures."""

import argparse
import json
from pathlib import Path

import numpy as np

from .. import audio, spectra
from ..errors import AudioError
from .common import EXIT_DONE, add_if_exists, refuse_existing, usage


def add(commands) -> None:
    """The commands and their options."""
    p = commands.add_parser(
        "compare",
        help="what one recording has other than another, by band",
        description="A against B: delay, gain, SNR, and for each band level and log-spectral "
        "distance (LSD), of the first channels. Where the two fit, A is shifted first to where B "
        "is; both have to have one sampling rate.",
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
    add_if_exists(p)


def _compare(args: argparse.Namespace) -> int:
    try:
        (a, rate), (b, other) = _read(args.a), _read(args.b)
        if rate != other:
            raise AudioError(
                f"{args.a} is at {rate} Hz, {args.b} at {other}: bring them to one rate "
                "(spectrogram takes any)"
            )
        report = spectra.compare(a[0], b[0], rate)
    except (OSError, ValueError) as error:
        usage(error)
    if args.json:
        print(json.dumps(report | {"sample_rate": rate}, indent=1))
        return EXIT_DONE
    lengths = " and ".join(str(x.shape[-1]) for x in (a, b))
    print(f"{lengths} samples at {rate} Hz, {report['samples']} of them compared")
    print(_delay(report["delay"]))
    print(f"gain {_number(report['gain'], '.4f')}, SNR {_number(report['snr_db'], '.1f')} dB")
    print(f"{'Hz':>15} {'level, dB':>10} {'LSD':>6}")
    for row in report["bands"]:
        low, high = row["hz"]
        print(f"{low:>7}..{high:<6} {_number(row['level_db'], '+.2f'):>10} {row['lsd']:>6.2f}")
    print(f"{'all':>15} {'':>10} {report['lsd']:>6.2f}")
    return EXIT_DONE


def _spectrogram(args: argparse.Namespace) -> int:
    try:
        if not args.output.lower().endswith(".png"):
            raise ValueError(f"the picture is a PNG file, got {args.output!r}")
        refuse_existing(args.output, args.if_exists)
        sounds = {name: _read(name) for name in args.file}
        spectra.draw(Path(args.output), {name: (x[0], rate) for name, (x, rate) in sounds.items()})
    except (OSError, ValueError, ModuleNotFoundError) as error:
        usage(error)
    return EXIT_DONE


def _read(name: str) -> tuple[np.ndarray, int]:
    """As audio.read, with the name in what goes wrong."""
    try:
        x, rate = audio.read(Path(name))
    except ValueError as error:
        raise AudioError(f"{name}: {error}") from error
    if not np.isfinite(x).all():
        raise AudioError(f"{name}: NaN or infinity in it")
    return x, rate


def _delay(samples: int | None) -> str:
    if samples is None:
        return "A and B fit at no delay: nothing is shifted"
    return f"A is {abs(samples)} samples {'late' if samples >= 0 else 'early'}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
