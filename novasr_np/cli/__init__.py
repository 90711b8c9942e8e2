"""The ``novasr`` command: a module for each subcommand."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from ..version import __version__
from . import compare, corpus, doctor, export, spectrogram, stream, upsample, verify, weights
from .messages import EXIT_INTERRUPTED, EXIT_SOME_FAILED, say

# In the order of the help.
# fmt: off
_COMMANDS = (
    upsample, corpus, stream, weights, verify, export, compare, spectrogram, doctor,
)
# fmt: on


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: the process's) and return its exit status."""
    _open_closed_streams()
    options = _parser().parse_args(argv)
    # So that temporary files go when a job scheduler or a closed terminal ends the run, too.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number))
    try:
        status = options.main(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        say("novasr: interrupted")
        return EXIT_INTERRUPTED
    except OSError as error:
        # Of standard output alone; files are dealt with one by one. Keep Python from complaining
        # once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            say(f"novasr: standard output: {error.strerror}")
        return EXIT_SOME_FAILED


def _open_closed_streams() -> None:
    """Where a standard stream was closed (``>&-``), open an empty one, or one that fails.

    Otherwise the next file to be opened would take its number, and get the messages.
    """
    for number, name, flags in (
        (0, "stdin", os.O_RDONLY),
        (1, "stdout", os.O_RDONLY),  # so that writing fails: the audio would be lost unnoticed
        (2, "stderr", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            _open_null(number, flags)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def _open_null(number: int, flags: int) -> None:
    null = os.open(os.devnull, flags)
    if null != number:
        os.dup2(null, number)
        os.close(null)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="novasr", description="Upsample speech to 48 kHz.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"novasr {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add(commands)
    return parser
