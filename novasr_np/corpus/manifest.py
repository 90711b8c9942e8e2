"""Read the rows of a corpus from a folder, a manifest, or the URI of a folder."""

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TextIO

from ..errors import missing_extra
from ..files.find import walk
from ..files.formats import FORMATS, suffixes
from .ledger import STATE

LISTS = (".csv", ".jsonl", ".parquet")
_COLUMNS = ("id", "source", "target")
_BATCH = 1024  # rows of a parquet file that are read at once


class Row(NamedTuple):
    """One recording of a corpus."""

    id: str  # unique in a corpus
    source: str  # path or URI
    target: str  # below the target folder, with /
    bytes: int = 0  # of the source, if known
    version: str = ""  # of the source, for example its time of modification; changes with it


class Rows:
    """The rows of a corpus. Those of a manifest are read anew at each iteration, and not kept."""

    def __init__(self, source: str, read: Callable[[], Iterable[Row]]) -> None:
        """Take the source's name, for messages, and a function that reads its rows."""
        self.source, self._read = source, read

    def __iter__(self) -> Iterator[Row]:
        """Read the rows. Raises as `read_rows`, when it comes to a row that is wrong."""
        return iter(self._read())


def read_rows(source: str, format: str) -> Rows:
    """Read the rows of a folder, recursively, of a manifest, or of a folder at a URI.

    source: a folder, of which all files with an audio suffix are taken (links to folders are
    followed, hidden files passed over); a manifest, ``.csv``, ``.jsonl`` or ``.parquet``, with the
    columns source (relative to the manifest, or a URI) and, optionally, id and target; or a URI
    that fsspec knows, such as ``s3://bucket/folder``.
    format: of the targets, a key of formats.FORMATS. By default a target is the source's relative
    path with that format's suffix, and an id is the source as written.

    Sizes and versions of local sources are left to `measured`. Raises OSError if the source cannot
    be read, ValueError if it is no valid manifest (at the latest when its rows are read), and
    ModuleNotFoundError for a package that is not installed (fsspec, pyarrow).
    """
    if os.path.isdir(source):
        found = list(_walked(source, format))
        return Rows(source, lambda: found)
    if Path(source).suffix.lower() in LISTS:
        if os.path.isfile(source):
            return Rows(source, lambda: _of_manifest(source, Path(source), format))
        with fetched(source) as path:  # or a pipe, which cannot be read again
            found = list(_of_manifest(source, path, format))
        return Rows(source, lambda: found)
    if is_uri(source):
        try:
            found = list(_listed(source, format))
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error
        return Rows(source, lambda: found)
    os.stat(source)  # for the system's error if it is missing or forbidden
    raise NotADirectoryError(
        f"SOURCE must be a folder, a URI or a manifest ({', '.join(LISTS)}), got {source}"
    )


def measured(row: Row) -> Row:
    """Add the size and the version of a local source; those of a missing one stay unknown."""
    if row.version or is_uri(row.source):
        return row
    try:
        status = os.stat(row.source)
    except OSError:  # reported when the row's turn comes
        return row
    return row._replace(bytes=status.st_size, version=str(status.st_mtime_ns))


def is_uri(source: str) -> bool:
    """Whether a source is a URI rather than a path."""
    return "://" in source


@contextmanager
def fetched(source: str, folder: str | os.PathLike[str] | None = None) -> Iterator[Path]:
    """Yield a source as a local file: itself, or a temporary copy of a URI.

    folder: for the temporary copy. Raises OSError.
    """
    if not is_uri(source):
        yield Path(source)
        return
    import tempfile  # noqa: PLC0415

    system, path = _system(source)
    with tempfile.TemporaryDirectory(prefix="fetched-", dir=folder) as temporary:
        local = Path(temporary, PurePosixPath(path).name)
        try:
            system.get_file(path, str(local))
        except (ValueError, RuntimeError) as error:  # raised by some of fsspec's file systems
            raise OSError(f"{source}: {error}") from error
        yield local


def _walked(folder: str, format: str) -> Iterator[Row]:
    kinds = suffixes()
    for path in map(Path, walk(folder)):
        if _is_audio(path.name, kinds) and (path.is_file() or not path.exists()):
            below = path.relative_to(folder).as_posix()
            yield Row(below, str(path), _with_suffix(below, format))


def _of_manifest(source: str, path: Path, format: str) -> Iterator[Row]:
    """Read a manifest's rows from a local file. source: its name or URI."""
    folder = None if is_uri(source) else str(Path(source).parent / "_")[:-1]
    for number, entry in enumerate(_table(source, path), 1):
        try:
            row = _row(entry, folder, format)
        except ValueError as error:
            raise ValueError(f"{source}, row {number}: {error}") from error
        yield row


def _listed(uri: str, format: str) -> Iterator[Row]:
    system, folder = _system(uri)
    found, kinds = system.find(folder, detail=True), suffixes()
    for path, info in sorted(found.items()):
        below = str(PurePosixPath(path).relative_to(folder))
        if _is_audio(PurePosixPath(path).name, kinds):
            version = next((str(info[k]) for k in ("ETag", "mtime", "created") if k in info), "")
            target = _checked_target(_with_suffix(below, format))
            yield Row(below, system.unstrip_protocol(path), target, info["size"] or 0, version)


def _system(uri: str) -> tuple[Any, str]:
    """Find fsspec's file system for a URI, and the path on it."""
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing_extra(f"{uri} needs fsspec", "corpus") from error
    try:
        return url_to_fs(uri)
    except (ValueError, ImportError) as error:  # an unknown protocol, or one that needs a package
        raise ValueError(f"{uri}: {error}") from error


def _table(source: str, path: Path) -> Iterator[Any]:
    """Read the rows of a manifest, a local file. source: its name. Raises OSError, ValueError."""
    try:
        yield from _READERS[path.suffix.lower()](path)
    except (ValueError, csv.Error, RecursionError) as error:
        raise ValueError(f"{source}: {error}") from error


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow import ArrowInvalid, parquet  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing_extra(f"{path} needs pyarrow", "corpus") from error
    os.stat(path)
    try:
        with parquet.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if name in _COLUMNS]
            for batch in file.iter_batches(_BATCH, columns=names or None):
                yield from batch.to_pylist()
    except (ArrowInvalid, OSError) as error:
        raise ValueError(f"not a parquet file: {str(error).splitlines()[0]}") from error


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    with _opened(path) as file:
        # Strict, so that a quote that is never closed does not swallow the rest.
        rows = csv.reader(file, strict=True)
        names = next(rows, [])
        for values in rows:
            if values:
                yield dict(zip(names, values, strict=False))


def _jsonl(path: Path) -> Iterator[Any]:
    with _opened(path) as file:
        for line in file:
            if line.strip():
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError as error:
                    raise ValueError(f"a line must be JSON, got {line[:80]!r}: {error}") from error
                yield entry


_READERS = dict(zip(LISTS, (_csv, _jsonl, _parquet), strict=True))


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        try:
            yield file
        except UnicodeDecodeError as error:
            raise ValueError(f"not text: {error}") from error


def _row(entry: Any, folder: str | None, format: str) -> Row:
    """Check a manifest's row. folder: prefix of relative sources. Raises ValueError."""
    if not isinstance(entry, dict):
        raise ValueError(f"a row must be an object, got {entry!r}")
    id, source, target = [_text(key, entry.get(key)) for key in _COLUMNS]
    if not source:
        raise ValueError(f"a row must have a source, got {entry!r}")
    plain = _is_plain(source)
    absolute = not plain and (is_uri(source) or os.path.isabs(source))
    if target:
        if _suffix(target).lower() not in FORMATS[format][0]:
            raise ValueError(f"the target must be a name for --format {format}, got {target!r}")
        target = _checked_target(target)
    elif absolute:
        raise ValueError(f"a source that is not relative needs a target, got {source!r} without")
    elif plain and "." in (name := source[source.rfind("/") + 1 :]):
        target = f"{source[: name.rfind('.') - len(name)]}{FORMATS[format][0][0]}"
    else:
        target = _checked_target(_with_suffix(source, format))
    path = source
    if not absolute:
        if folder is None:
            raise ValueError(
                f"sources must be absolute in a manifest that is no local file, got {source!r}"
            )
        path = folder + source if plain else str(Path(folder, source))
    return Row(id or source, path, target)


def _text(key: str, value: Any) -> str:
    """Convert a cell to text, empty if there is none. Raises ValueError for what is no text."""
    if not value:
        return ""
    if type(value) is str and value.isprintable():  # so it has no null and no surrogate
        return value
    if type(value) not in (str, int) or "\0" in (text := str(value)):
        raise ValueError(f"{key} must be text, got {value!r}")
    if not text.isascii() and key != "id":
        os.fsencode(text)  # refuses surrogates, but for those that stand for bytes of a name
    return text


def _is_plain(path: str) -> bool:
    """Whether a path is relative, and what pathlib, which is slow, would make of it."""
    return path[0] not in "./" and path[-1] not in "./" and "/." not in path and "//" not in path


def _suffix(path: str) -> str:
    if not _is_plain(path):
        return PurePosixPath(path).suffix
    name = path[path.rfind("/") + 1 :]
    return name[name.rfind(".") :] if "." in name else ""


def _checked_target(target: str) -> str:
    """Normalise a target's path. Raises ValueError if it is not below the target folder."""
    if _is_plain(target):
        return target
    parts = PurePosixPath(target).parts
    if os.path.isabs(target) or ".." in parts:
        raise ValueError(f"the target must be below the target folder, got {target!r}")
    if target.endswith("/") or parts[0] == STATE:
        raise ValueError(f"the target must be a file outside {STATE}, got {target!r}")
    return str(PurePosixPath(target))


def _with_suffix(path: str, format: str) -> str:
    return str(PurePosixPath(path).with_suffix(FORMATS[format][0][0]))


def _is_audio(name: str, kinds: tuple[str, ...]) -> bool:
    return name.lower().endswith(kinds) and not name.startswith(".")
