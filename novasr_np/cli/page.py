"""`novasr page`: the page that runs in a browser, as a file."""

import argparse
import os
from pathlib import Path
from typing import Any

from .. import web
from .messages import EXIT_DONE, usage, wrote
from .options import add_if_exists, refuse_existing


def add(commands: Any) -> None:
    """The command and its options."""
    p = commands.add_parser(
        "page",
        help="that page as one HTML file, to open from disk, mail or host",
        description="Write the page that upsamples in the browser: one HTML file with all in it, "
        "the networks and their weights. It opens from disk, and any host of static files will do.",
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    p.add_argument("output", metavar="DIR|FILE.html", help="a folder gets index.html")
    add_if_exists(p)


def _main(args: argparse.Namespace) -> int:
    is_file = args.output.lower().endswith((".html", ".htm")) and not os.path.isdir(args.output)
    path = args.output if is_file or not args.output else os.path.join(args.output, "index.html")
    try:
        refuse_existing(path, args.if_exists)
        if is_file:
            web.write_file(Path(path))
        else:
            web.write_folder(Path(args.output))
    except OSError as error:
        usage(error)
    wrote(path, "the page")
    return EXIT_DONE
