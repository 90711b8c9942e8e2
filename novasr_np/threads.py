"""Share pieces of work between threads.

numpy releases the interpreter's lock while it computes, so threads with a piece each run in
parallel. Hold its BLAS to one thread meanwhile (`blas.one_thread`).
"""

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

from .samples import whole_number

_Piece = TypeVar("_Piece")


class Threads:
    """Pool of threads that stays open until it is closed.

    count: number of threads; None for one on each core this process may use. Raises ValueError if
    it is less than 1, TypeError if it is no whole number.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = count = whole_number("threads", available_cores() if count is None else count)
        # A piece is not divided any further: the threads themselves share work with none.
        self._pool = (
            ThreadPoolExecutor(count, initializer=_sharing.set, initargs=(None,))
            if count > 1
            else None
        )

    def each(self, work: Callable[[_Piece], None], pieces: Iterable[_Piece]) -> None:
        """Call ``work(piece)`` for every piece, several at once. Raises the error of `work`."""
        errors = np.geterr()

        def one(piece: _Piece) -> None:
            with np.errstate(**errors):  # a thread has its own
                work(piece)

        for _ in self._pool.map(one, pieces) if self._pool else map(work, pieces):
            pass

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Make the function `each` use these threads inside the block."""
        token = _sharing.set(self)
        try:
            yield
        finally:
            _sharing.reset(token)

    def close(self) -> None:
        """End the threads."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)


_sharing: ContextVar[Threads | None] = ContextVar("sharing", default=None)


@contextmanager
def sharing(count: int | None = None) -> Iterator[None]:
    """Make `each` use `count` threads inside the block, and end them. Raises as `Threads`."""
    threads = Threads(count)
    try:
        with threads.shared():
            yield
    finally:
        threads.close()


def each(work: Callable[[_Piece], None], pieces: Iterable[_Piece]) -> None:
    """Call ``work(piece)`` for every piece, on the threads of the block around, if any."""
    if threads := _sharing.get():
        threads.each(work, pieces)
    else:
        for piece in pieces:
            work(piece)


def ahead(items: Iterable[_Piece]) -> Generator[_Piece, None, None]:
    """Yield items, each of them made on a thread while the one before is in use.

    Close this generator before what the items are made from.
    """
    end, waiting = object(), iter(items)
    with ThreadPoolExecutor(1) as thread:
        coming: Future[Any] = thread.submit(next, waiting, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, waiting, end)
            yield item


def available_cores() -> int:
    """Number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
