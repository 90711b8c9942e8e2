"""`novasr page`: write the web page, which runs in a browser, as a file."""

import argparse
import os
from pathlib import Path
from typing import Any

from .. import web
from .messages import EXIT_DONE, usage, wrote
from .options import add_if_exists, refuse_existing


def add(commands: Any) -> None:
    """Add the command and its options to the parser."""
    p = commands.add_parser(
        "page",
        help="write the web page as a single HTML file, to open from disk, mail or host",
        description="Write the web page that upsamples in the browser as a single HTML file, with "
        "the networks and their weights inside. It opens from disk, or from any host of static "
        "files.",
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    p.add_argument(
        "output", metavar="DIR|FILE.html", help="HTML file, or folder to put index.html into"
    )
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
