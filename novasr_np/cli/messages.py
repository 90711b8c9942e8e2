"""Exit statuses, and all text that goes to the standard streams, made printable.

Names, metadata and messages may come from files of anybody; no other module of `cli` prints.
"""

import argparse
import contextlib
import json
import os
import sys
from collections import Counter
from typing import Any, NoReturn

from tqdm import tqdm

from ..errors import message, printable
from ..files import formats

EXIT_DONE, EXIT_SOME_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


class Bar(tqdm):
    """Progress bar on standard error."""

    def __str__(self) -> str:
        return printable(super().__str__())


class Parser(argparse.ArgumentParser):
    """Parser of the command line."""

    def error(self, message: str) -> NoReturn:
        """Report wrong usage, and exit with status 2."""
        super().error(printable(message))


def say(text: str) -> None:
    """Write a message, one line, to standard error; if that fails, the work goes on."""
    with contextlib.suppress(OSError):
        tqdm.write(printable(text), file=sys.stderr)
        sys.stderr.flush()


def say_passed_over(kinds: Counter[str]) -> None:
    """Report the kinds of files that a run over folders does not take, if there are any."""
    if kinds:
        hint = " (ffmpeg, once installed, reads some of these)"
        text = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
        say(f"passed over: {text}{hint if any(map(formats.needs_ffmpeg, kinds)) else ''}")


def show(*lines: str, flush: bool = False) -> None:
    """Write lines to standard output. Raises OSError if that fails."""
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:  # what the output cannot encode is escaped, too, as on standard error
        text = printable(line).encode(encoding, "backslashreplace").decode(encoding)
        print(text, flush=flush)


def show_json(value: Any) -> None:
    """Write a value as JSON, in ASCII, to standard output. Raises OSError if that fails."""
    print(json.dumps(value, indent=2))


def wrote(path: str, what: str) -> None:
    """Report the file that a command wrote, and its size."""
    say(f"{path}: {what}, {os.path.getsize(path):,} bytes")


def usage(error: Exception) -> NoReturn:
    """Report an error in the command line, and exit with status 2."""
    say(f"novasr: {message(error)}")
    sys.exit(EXIT_USAGE)
