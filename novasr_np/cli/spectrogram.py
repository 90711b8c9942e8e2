"""`novasr spectrogram`: draw recordings."""

import argparse
from pathlib import Path
from typing import Any

from ..errors import printable
from ..files.plot import plot_spectrograms
from .messages import EXIT_DONE, usage, wrote
from .options import add_if_exists, refuse_existing


def add(commands: Any) -> None:
    """Add the command and its options to the parser."""
    p = commands.add_parser(
        "spectrogram",
        help="draw spectrograms of recordings, one below the other",
        description="Draw spectrograms of the recordings' first channels on one scale, as a PNG "
        "file (needs the extra plot).",
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    p.add_argument("file", nargs="+", metavar="FILE", help="sound file to draw")
    p.add_argument("-o", "--output", required=True, metavar="OUT.png", help="picture to write")
    add_if_exists(p)


def _main(args: argparse.Namespace) -> int:
    try:
        if not args.output.lower().endswith(".png"):
            raise ValueError(f"the output's name must end in .png, got {args.output!r}")
        refuse_existing(args.output, args.if_exists)
        plot_spectrograms(Path(args.output), {printable(name): Path(name) for name in args.file})
    except (OSError, ValueError, ModuleNotFoundError) as error:
        usage(error)
    wrote(args.output, f"{len(args.file)} spectrogram{'s'[: len(args.file) > 1]}")
    return EXIT_DONE
