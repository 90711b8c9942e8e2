"""Read the rows of a corpus from a folder, a manifest, or the URI of a folder."""

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ..errors import missing_extra
from ..files.find import walk
from ..files.formats import FORMATS, format_of, suffixes
from .ledger import STATE

LISTS = (".csv", ".jsonl", ".parquet")


class Row(NamedTuple):
    """One recording of a corpus."""

    id: str  # unique in a corpus
    source: str  # path or URI
    target: str  # below the target folder, with /
    bytes: int = 0  # of the source, if known
    version: str = ""  # of the source, for example its time of modification; changes with it


def read_rows(source: str, format: str) -> list[Row]:
    """Read the rows of a folder, recursively, of a manifest, or of a folder at a URI.

    source: a folder, of which all files with an audio suffix are taken (links to folders are
    followed, hidden files passed over); a manifest, ``.csv``, ``.jsonl`` or ``.parquet``, with the
    columns source (relative to the manifest, or a URI) and, optionally, id and target; or a URI
    that fsspec knows, such as ``s3://bucket/folder``.
    format: of the targets, a key of formats.FORMATS. By default a target is the source's relative
    path with that format's suffix, and an id is the source as written.

    Raises OSError if the source cannot be read or has no recordings, ValueError if it is no valid
    manifest or has an id twice, ModuleNotFoundError for a package that is not installed (fsspec,
    pyarrow).
    """
    if os.path.isdir(source):
        rows, kinds = [], suffixes()
        for path in map(Path, walk(source)):
            if _is_audio(path.name, kinds) and (path.is_file() or not path.exists()):
                below = path.relative_to(source).as_posix()
                rows.append(_local(below, str(path), _with_suffix(below, format)))
    elif Path(source).suffix.lower() in LISTS:
        with fetched(source) as path:
            try:
                table = list(_table(path))
            except (ValueError, csv.Error, RecursionError) as error:
                raise ValueError(f"{source}: {error}") from error
        base = None if is_uri(source) else Path(source).parent
        rows = []
        for number, entry in enumerate(table, 1):
            try:
                rows.append(_row(entry, base, format))
            except ValueError as error:
                raise ValueError(f"{source}, row {number}: {error}") from error
    elif is_uri(source):
        try:
            rows = list(_listed(source, format))
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error
    else:
        os.stat(source)  # for the system's error if it is missing or forbidden
        raise NotADirectoryError(
            f"SOURCE must be a folder, a URI or a manifest ({', '.join(LISTS)}), got {source}"
        )
    if not rows:
        raise FileNotFoundError(f"{source} must hold recordings, got none")
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise ValueError(f"{source}: ids must be unique, got {row.id!r} twice")
        seen.add(row.id)
    return rows


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


def _table(path: Path) -> Iterator[dict[str, Any]]:
    """Read the rows of a manifest, a local file. Raises ValueError, csv.Error, RecursionError."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        try:
            from pyarrow import ArrowInvalid, parquet  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise missing_extra(f"{path} needs pyarrow", "corpus") from error
        os.stat(path)
        try:
            yield from parquet.read_table(path).to_pylist()
        except (ArrowInvalid, OSError) as error:
            raise ValueError(f"not a parquet file: {str(error).splitlines()[0]}") from error
        return
    with open(path, encoding="utf-8-sig", newline="") as file:
        try:
            if suffix == ".csv":
                # Strict, so that a quote that is never closed does not swallow the rest.
                yield from csv.DictReader(file, strict=True)
                return
            for line in file:
                if line.strip():
                    yield json.loads(line)
        except UnicodeDecodeError as error:
            raise ValueError(f"not text: {error}") from error
        except json.JSONDecodeError as error:
            raise ValueError(f"a line must be JSON, got {line[:80]!r}: {error}") from error


def _row(entry: Any, base: Path | None, format: str) -> Row:
    """Check a manifest's row. base: folder of relative sources. Raises ValueError."""
    if not isinstance(entry, dict):
        raise ValueError(f"a row must be an object, got {entry!r}")
    values = {key: entry.get(key) or None for key in ("id", "source", "target")}
    for key, value in values.items():
        if value is not None and (type(value) not in (str, int) or "\0" in str(value)):
            raise ValueError(f"{key} must be text, got {value!r}")
    if values["source"] is None:
        raise ValueError(f"a row must have a source, got {entry!r}")
    source, id = str(values["source"]), str(values["id"] or values["source"])
    absolute = is_uri(source) or os.path.isabs(source)
    if values["target"] is not None:
        target = str(values["target"])
        if format_of(Path(target)) != format:
            raise ValueError(f"the target must be a name for --format {format}, got {target!r}")
    elif absolute:
        raise ValueError(f"a source that is not relative needs a target, got {source!r} without")
    else:
        target = _with_suffix(source, format)
    target = _checked_target(target)
    if is_uri(source):
        return Row(id, source, target)
    if base is None and not absolute:
        raise ValueError(
            f"sources must be absolute in a manifest that is no local file, got {source!r}"
        )
    path = source if absolute else str(Path(base or "", source))
    return _local(id, path, target)


def _checked_target(target: str) -> str:
    """Normalise a target's path. Raises ValueError if it is not below the target folder."""
    parts = PurePosixPath(target).parts
    if os.path.isabs(target) or ".." in parts:
        raise ValueError(f"the target must be below the target folder, got {target!r}")
    if target.endswith("/") or parts[0] == STATE:
        raise ValueError(f"the target must be a file outside {STATE}, got {target!r}")
    return str(PurePosixPath(target))


def _local(id: str, path: str, target: str) -> Row:
    try:
        status = os.stat(path)
    except OSError:  # reported when the row's turn comes
        return Row(id, path, target)
    return Row(id, path, target, status.st_size, str(status.st_mtime_ns))


def _with_suffix(path: str, format: str) -> str:
    return str(PurePosixPath(path).with_suffix(FORMATS[format][0][0]))


def _is_audio(name: str, kinds: tuple[str, ...]) -> bool:
    return name.lower().endswith(kinds) and not name.startswith(".")
