"""Defer SIGINT, SIGTERM and SIGHUP until it is safe to stop, or leave them to another process."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_ENDING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def deferred_signals() -> Iterator[Callable[[], None]]:
    """Defer the handlers of signals that end a run, until the function that this yields is called.

    They also run at the end of the block, even after an error. The reason: Ctrl-C's handler raises
    an exception wherever the main thread is. In `Future.result`, for example, that can leave a lock
    of the standard library taken, and the thread behind the future never ends. In other threads
    than the main one, which runs all handlers, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    # Signals without a Python handler end the process, or are ignored, as before.
    handlers = {n: handler for n in _ENDING if callable(handler := signal.getsignal(n))}
    came: list[int] = []

    def look() -> None:
        if came:
            number = came.pop()
            handlers[number](number, None)

    for number in handlers:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield look
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        look()


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Block these signals in processes that are started inside the block, for their whole lives.

    Ctrl-C, a closed terminal and a job scheduler may signal every process of a run, but only the
    first one is to handle it, and to end the others.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
