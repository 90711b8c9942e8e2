"""`novasr web`: the page in a browser, from this machine."""

import argparse
from typing import Any

from .. import web
from .messages import EXIT_DONE, say, usage


def add(commands: Any) -> None:
    """The command and its options."""
    p = commands.add_parser(
        "web",
        help="hear it in a browser: a page that runs the networks itself",
        description="Open a page in the browser that upsamples recordings and the microphone. It "
        "is served to this machine alone, and what it is given stays in the browser.",
        epilog="Ctrl-C ends it. `novasr page` writes the same page to a file.",
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    p.add_argument("--port", type=_port, default=0, metavar="N", help="default: one that is free")
    p.add_argument("--no-browser", action="store_true", help="only say the address")


def _main(args: argparse.Namespace) -> int:
    try:
        web.serve(
            args.port, not args.no_browser, lambda address: say(f"{address} (Ctrl-C ends it)")
        )
    except OSError as error:
        usage(error)
    except KeyboardInterrupt:
        say("")
    return EXIT_DONE


def _port(text: str) -> int:
    """Parse the number of a port, 0 for any that is free."""
    if not text.isdecimal() or int(text) >= 1 << 16:
        raise argparse.ArgumentTypeError(f"expected a port, 0 to 65535, got {text!r}")
    return int(text)
