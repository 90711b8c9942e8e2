"""Write files that appear under their name only when they are complete."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BufferedWriter
from pathlib import Path
from typing import IO

try:
    import fcntl
except ModuleNotFoundError:  # not Unix: nothing tells whose run is dead, so nothing is removed
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{8}\.novasr-part(\.[^.]*)?")


@contextmanager
def atomic_write(path: Path) -> Iterator[BufferedWriter]:
    """Give a new file to write, beside `path`; rename it to `path` at the end, or remove it.

    The file's name keeps the suffix. What was written is flushed to the disk before the rename, and
    is gone whatever interrupts the block. Only a kill leaves it behind; the next run that writes to
    that folder removes it. Raises OSError as the file system does, naming `path`.
    """
    temporary = None
    try:
        with contextlib.suppress(OSError):
            _remove_leftovers(path.parent.resolve())
        temporary, file = _new(path)
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()  # Windows does not rename a file that is open
            # Locked until it has its name, or a run that begins just now takes it for a leftover.
            os.replace(temporary, path)
    except OSError as error:
        if error.filename not in (temporary, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def _new(path: Path) -> tuple[Path, BufferedWriter]:
    """A temporary file that is locked, which says that its run lives."""
    while True:
        name = f".{path.stem[:100]}.{secrets.token_hex(4)}.novasr-part{path.suffix}"
        temporary = path.with_name(name)
        try:
            file = open(temporary, "xb")  # noqa: SIM115
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        if _lock(file) is not False and temporary.exists():
            return temporary, file
        file.close()  # another run took it for a leftover in between


@cache
def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed runs left in a folder, once a process."""
    for entry in os.scandir(folder):
        if not _TEMPORARY.fullmatch(entry.name):
            continue
        with contextlib.suppress(OSError), open(entry.path, "rb+") as file:
            if _lock(file):
                os.unlink(entry.path)


def _lock(file: IO[bytes]) -> bool | None:
    """Whether the lock was to be had; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without
        return None
    return True
