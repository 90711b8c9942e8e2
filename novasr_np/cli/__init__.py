"""The ``novasr`` command: a module for each subcommand."""

import signal
import threading
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: the process's) and return its exit status."""
    # Importing takes a while. Ctrl-C then ends the process as it ends one in C, with no traceback.
    handler = signal.getsignal(signal.SIGINT)
    is_pythons = handler is signal.default_int_handler
    if is_pythons and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .run import run  # noqa: PLC0415

    return run(argv, handler)
