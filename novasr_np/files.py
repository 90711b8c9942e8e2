"""Folders walked, and outputs that appear under their name only when they are complete."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` at the end, or remove it on error.

    The temporary file keeps the suffix, is flushed to the disk before the rename, and is gone
    whatever interrupts the block. Raises OSError as the file system does, naming `path`.
    """
    temporary = path.with_name(f".{path.stem[:100]}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.filename not in (temporary, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def walk(folder: str, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """The paths of all files below a folder, by name. Links to folders are followed, but not back.

    above: the folders that led here. Raises OSError for a folder that cannot be read.
    """
    real = os.path.realpath(folder)
    if real in above:
        return
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if os.path.isdir(entry.path):
            yield from walk(entry.path, above | {real})
        else:
            yield entry.path
