"""Exit statuses and messages."""

import contextlib
import os
import sys
from typing import NoReturn

from tqdm import tqdm

from ..errors import message

EXIT_DONE, EXIT_SOME_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def say(text: str) -> None:
    """Write a message to standard error; if that fails, the work goes on.

    Control characters, which a file's name may contain, are escaped, as a terminal would obey them.
    """
    text = "".join(c if c >= " " and c != "\x7f" else repr(c)[1:-1] for c in text)
    with contextlib.suppress(OSError):
        tqdm.write(text, file=sys.stderr)
        sys.stderr.flush()


def wrote(path: str, what: str) -> None:
    """Report the file that a command wrote, and its size."""
    say(f"{path}: {what}, {os.path.getsize(path):,} bytes")


def usage(error: Exception) -> NoReturn:
    """Report an error in the command line, and exit with status 2."""
    say(f"novasr: {message(error)}")
    sys.exit(EXIT_USAGE)
