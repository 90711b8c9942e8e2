"""`novasr spectrogram`: pictures of recordings."""

import argparse
from pathlib import Path
from typing import Any

from ..files.plot import plot_spectrograms
from .compare import read
from .messages import EXIT_DONE, usage
from .options import add_if_exists, refuse_existing


def add(commands: Any) -> None:
    """The command and its options."""
    p = commands.add_parser(
        "spectrogram",
        help="a picture of recordings, one below the other",
        description="Draw spectrograms on one scale, of the first channels (extra plot).",
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    p.add_argument("file", nargs="+", metavar="FILE")
    p.add_argument("-o", "--output", required=True, metavar="OUT.png")
    add_if_exists(p)


def _main(args: argparse.Namespace) -> int:
    try:
        if not args.output.lower().endswith(".png"):
            raise ValueError(f"the picture is a PNG file, got {args.output!r}")
        refuse_existing(args.output, args.if_exists)
        sounds = {name: read(name) for name in args.file}
        plot_spectrograms(
            Path(args.output), {name: (x[0], rate) for name, (x, rate) in sounds.items()}
        )
    except (OSError, ValueError, ModuleNotFoundError) as error:
        usage(error)
    return EXIT_DONE
