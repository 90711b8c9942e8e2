"""`novasr web`: open the web page in a browser, from this machine."""

import argparse
from typing import Any

from .. import web
from .messages import EXIT_DONE, say, usage


def add(commands: Any) -> None:
    """Add the command and its options to the parser."""
    p = commands.add_parser(
        "web",
        help="open a web page that runs the networks in the browser",
        description="Open a web page that upsamples recordings and the microphone in the browser. "
        "Only this machine can reach it, and recordings do not leave the browser.",
        epilog="Ctrl-C ends it. `novasr page` writes the same page to a file.",
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    p.add_argument(
        "--port", type=_port, default=0, metavar="N", help="port of the page; default: a free one"
    )
    p.add_argument(
        "--no-browser", action="store_true", help="print the address, and open no browser"
    )


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
    """Parse the number of a port; 0 is any free one."""
    if not text.isdecimal() or int(text) >= 1 << 16:
        raise argparse.ArgumentTypeError(f"expected a port, 0 to 65535, got {text!r}")
    return int(text)
