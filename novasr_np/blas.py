"""Hold OpenBLAS, which numpy's wheels bring, to one thread while a network runs.

The networks' matrix products are small, so OpenBLAS's threads cost more than they bring; and they
would compete with our own threads. numpy has no call for this: threadpoolctl finds the library, and
ctypes calls it. threadpoolctl's own setter costs several times as much, and since version 3.8 it
ignores all threads but the first. Nothing is done where numpy has another BLAS (Accelerate, MKL),
or one on OpenMP, which counts threads for each calling thread separately.
"""

import ctypes
import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np  # noqa: F401 (loads the library that is looked for)

_lock = threading.Lock()
_held = {"users": 0, "threads": 0}


class _OneThread(ContextDecorator):
    def __enter__(self) -> None:
        if (found := library()) is None:
            return
        get, put = found
        with _lock:
            if _held["users"] == 0:
                _held["threads"] = get()
                put(1)
            _held["users"] += 1

    def __exit__(self, *error: object) -> None:
        if (found := library()) is None:
            return
        _, put = found
        with _lock:
            _held["users"] -= 1
            if _held["users"] == 0:
                put(_held["threads"])


_one_thread = _OneThread()


def one_thread() -> _OneThread:
    """Hold OpenBLAS to one thread inside a block or a decorated function, in the whole process.

    Blocks may nest, and may overlap between threads; the last to end restores the number.
    """
    return _one_thread


@cache
def library() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Find the functions (get, set) of the loaded OpenBLAS's number of threads, or None."""
    from threadpoolctl import threadpool_info  # noqa: PLC0415

    paths = [
        found["filepath"]
        for found in threadpool_info()
        if found["internal_api"] == "openblas" and found["threading_layer"] == "pthreads"
    ]
    # Others, such as scipy's, may be loaded too; numpy's is in a folder beside it, in a wheel.
    for path in sorted(paths, key=lambda path: "numpy" not in "".join(Path(path).parts[-3:-1])):
        loaded = ctypes.CDLL(path)
        for prefix, suffix in product(("scipy_", ""), ("64_", "_64", "")):
            names = (f"{prefix}openblas_{verb}_num_threads{suffix}" for verb in ("get", "set"))
            get, put = (getattr(loaded, name, None) for name in names)
            if get and put:
                return get, put
    return None


def can_hold() -> bool:
    """Whether numpy's BLAS is one that `one_thread` can hold."""
    return library() is not None
