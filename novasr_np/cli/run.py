"""Run a command: its parser, the standard streams, signals, and the exit status."""

import argparse
import difflib
import glob
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import Any

from ..memory import keep_freed
from ..version import __version__
from . import (
    compare,
    corpus,
    doctor,
    export,
    page,
    plugin,
    spectrogram,
    stream,
    upsample,
    verify,
    web,
    weights,
)
from . import say as speech
from .messages import EXIT_INTERRUPTED, EXIT_SOME_FAILED, Parser, say, usage

# In the order of the help.
# fmt: off
_COMMANDS = (
    upsample, corpus, stream, speech, web, page, plugin, weights, verify, export, compare,
    spectrogram, doctor,
)
# fmt: on


_EXAMPLES = """\
examples:
  novasr speech.wav                      writes speech_48k.wav
  novasr -r recordings -o restored       all sound files in a folder and below it
  novasr upsample --help                 the options for files; "upsample" itself may be left out
"""


def run(argv: Sequence[str] | None, interrupt: Any) -> int:
    """Run the command with `argv`, None for the process's, and return its exit status.

    interrupt: the handler for Ctrl-C.
    """
    _open_closed_streams()
    keep_freed()
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, interrupt)
        options = _parser().parse_args(_with_command(sys.argv[1:] if argv is None else argv))
        # Temporary files are also removed when a job scheduler or a closed terminal ends the run.
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number))
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: say(f"novasr: {message}")
            status = options.main(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        say("novasr: interrupted")
        return EXIT_INTERRUPTED
    except OSError as error:
        # Only of standard output: errors of files are handled file by file. Keep Python from
        # reporting it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            say(f"novasr: standard output: {error.strerror}")
        return EXIT_SOME_FAILED


def _with_command(argv: Sequence[str]) -> Sequence[str]:
    """Put `upsample` before arguments that begin with a file or one of its options."""
    if not argv or argv[0] in ("-h", "--help", "--version"):
        return argv
    first, names = argv[0], [module.__name__.rpartition(".")[2] for module in _COMMANDS]
    if first in names:
        return argv
    if first == "help":
        return [*argv[1:2], "--help"]
    looks_like_a_file = os.path.splitext(first)[1] or set("/\\") & set(first)
    if (
        first.startswith("-")
        or looks_like_a_file
        or os.path.lexists(first)
        or glob.has_magic(first)
    ):
        return ["upsample", *argv]
    close = difflib.get_close_matches(first, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"commands: {', '.join(names)}"
    usage(ValueError(f"expected a file or a command, got {first!r}; {hint}"))


def _open_closed_streams() -> None:
    """Open an empty stream, or one that fails, for each standard stream that was closed (``>&-``).

    Otherwise the next file opened would take its number, and receive the messages.
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
    parser = Parser(
        prog="novasr",
        description="Upsample speech to 48 kHz.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"novasr {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add(commands)
    return parser
