"""Exit statuses and messages."""

import contextlib
import sys
from typing import NoReturn

from tqdm import tqdm

from ..errors import message

EXIT_DONE, EXIT_SOME_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def say(text: str) -> None:
    """Write a message to standard error; if that cannot take it, the work goes on all the same."""
    with contextlib.suppress(OSError):
        tqdm.write(text, file=sys.stderr)
        sys.stderr.flush()


def usage(error: Exception) -> NoReturn:
    """Say what is wrong with the command line, and end with status 2."""
    say(f"novasr: {message(error)}")
    sys.exit(EXIT_USAGE)
