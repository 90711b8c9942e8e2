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
except ModuleNotFoundError:  # not Unix: nothing shows that a run is dead, so nothing is removed
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{8}\.novasr-part(\.[^.]*)?")


@contextmanager
def atomic_write(path: Path, sync: bool = True) -> Iterator[BufferedWriter]:
    """Yield a new file beside `path`, and rename it to `path` at the end of the block.

    The file's name keeps the suffix. sync: flush its content to disk before the rename, without
    which a power cut may leave less of it. If anything interrupts the block, the file is removed;
    only a kill leaves it behind, until the next run that writes to that folder removes it. Raises
    OSError as the file system does, naming `path`.
    """
    temporary = None
    try:
        with contextlib.suppress(OSError):
            _remove_leftovers_once(path.parent.resolve())
        temporary, file = _new(path)
        with file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
            if fcntl is None:
                file.close()  # Windows does not rename a file that is open
            # Locked until it is renamed, or a run that begins now would take it for a leftover.
            os.replace(temporary, path)
    except OSError as error:
        if error.filename not in (temporary, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def _new(path: Path) -> tuple[Path, BufferedWriter]:
    """Open a temporary file and lock it, as a sign that its run is alive."""
    while True:
        name = f".{path.stem[:100]}.{secrets.token_hex(4)}.novasr-part{path.suffix}"
        temporary = path.with_name(name)
        try:
            file = open(temporary, "xb")  # noqa: SIM115
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        if _lock(file) is not False and temporary.exists():
            return temporary, file
        file.close()  # another run took it for a leftover before it was locked


@cache
def _remove_leftovers_once(folder: Path) -> None:
    """Remove leftovers before the first file that this process writes to a folder."""
    remove_leftovers(folder)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed processes have left in a folder. Raises OSError."""
    for entry in os.scandir(folder):
        if not _TEMPORARY.fullmatch(entry.name):
            continue
        with contextlib.suppress(OSError), open(entry.path, "rb+") as file:
            if _lock(file):
                os.unlink(entry.path)


def _lock(file: IO[bytes]) -> bool | None:
    """Take the lock: True if it was free; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True
