"""Share the pieces of a layer between threads, in networks so wide that one is slow.

numpy lets go of the interpreter's lock while it computes, so threads with a piece each run side by
side. Its BLAS is to be held to one thread meanwhile (`blas.one_thread`).
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import numpy as np

from .samples import whole_number

_Piece = TypeVar("_Piece")
_pool: ContextVar[ThreadPoolExecutor | None] = ContextVar("pool", default=None)


@contextmanager
def sharing(threads: int | None = None) -> Iterator[None]:
    """Inside the block `each` uses so many threads, which end with it.

    threads: None for one on each core this process may use. Raises ValueError if it is less than 1,
    TypeError if it is no whole number.
    """
    threads = whole_number("threads", available_cores() if threads is None else threads)
    if threads == 1:
        yield
        return
    # The threads themselves have no pool: a piece is not shared any further.
    with ThreadPoolExecutor(threads, initializer=_pool.set, initargs=(None,)) as pool:
        token = _pool.set(pool)
        try:
            yield
        finally:
            _pool.reset(token)


def each(work: Callable[[_Piece], None], pieces: Iterable[_Piece]) -> None:
    """Call ``work(piece)`` for every piece, inside `sharing` several at once; raises as it does."""
    pool, errors = _pool.get(), np.geterr()

    def one(piece: _Piece) -> None:
        with np.errstate(**errors):  # a thread has its own
            work(piece)

    for _ in pool.map(one, pieces) if pool else map(work, pieces):
        pass


def available_cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
