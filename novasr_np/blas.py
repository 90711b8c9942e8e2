"""Hold numpy's BLAS to one thread while a network runs.

The networks' products are small, so its threads cost more than they bring; and beside threads of
our own two pools would get in each other's way. numpy has no call for this; its wheels bring
OpenBLAS, whose library is found beside numpy and asked by ctypes. Where another
BLAS is built in (Accelerate, MKL, a distribution's), nothing is done.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

_NAMES = tuple(
    f"{prefix}openblas_{{}}_num_threads{suffix}"
    for prefix in ("scipy_", "")
    for suffix in ("64_", "")
)
_lock = threading.Lock()
_held = {"users": 0, "threads": 0}


@contextmanager
def one_thread() -> Iterator[None]:
    """OpenBLAS runs on one thread inside the block, for the whole process.

    Blocks may nest and overlap between threads; the last to leave restores the number.
    """
    library = _openblas()
    if library is None:
        yield
        return
    get, put = library
    with _lock:
        if _held["users"] == 0:
            _held["threads"] = get()
            put(1)
        _held["users"] += 1
    try:
        yield
    finally:
        with _lock:
            _held["users"] -= 1
            if _held["users"] == 0:
                put(_held["threads"])


@cache
def _openblas():
    """The functions (get, set) of the number of threads in numpy's own OpenBLAS, or None."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            try:
                library = ctypes.CDLL(str(path))
            except OSError:
                continue
            for name in _NAMES:
                if hasattr(library, name.format("set")):
                    return getattr(library, name.format("get")), getattr(
                        library, name.format("set")
                    )
    return None


def can_hold() -> bool:
    """Whether numpy's BLAS is one that `one_thread` can hold."""
    return _openblas() is not None
