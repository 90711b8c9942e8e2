"""Find the source files of a run, and name their targets."""

import errno
import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import formats

PIPE = "-"  # standard input as a source, standard output as a target


def walk(folder: str, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the paths of all files below a folder, by name. Follow links to folders, but no cycles.

    above: the folders on the way here. Raises OSError for a folder that cannot be read.
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


def target_suffix(rate: int) -> str:
    """Suffix of a default target's name after the source's stem: ``_48k`` for 48,000 Hz."""
    return f"_{rate // 1000}k"


def expand(names: Iterable[str]) -> Iterator[str]:
    """Expand patterns, which shells leave as they are in quotes or on Windows; pass other names on.

    Raises FileNotFoundError for a pattern that nothing matches.
    """
    for name in names:
        if os.path.lexists(name) or not glob.has_magic(name):
            yield name
            continue
        found = sorted(glob.glob(name, recursive=True))
        if not found:
            raise FileNotFoundError(errno.ENOENT, "no file matches", name)
        yield from found


def find(inputs: Iterable[str], recursive: bool, rate_out: int) -> Iterator[tuple[str, str]]:
    """Yield (source, its folder relative to the input) for every file, folders walked in order.

    In folders only files with a known suffix count, except outputs of earlier runs (``_48k``).
    Raises IsADirectoryError for a folder if not recursive, OSError for one that cannot be read.
    """
    suffixes = formats.suffixes()
    for name in inputs:
        if name == PIPE or not os.path.isdir(name):
            yield name, ""
            continue
        if not recursive:
            raise IsADirectoryError(f"{name} is a folder: add -r to take all audio below it")
        for path in map(Path, walk(name)):
            is_target = path.stem.endswith(target_suffix(rate_out))
            known = path.suffix.lower() in suffixes and not is_target
            if known and not path.name.startswith(".") and path.is_file():
                yield str(path), str(path.parent.relative_to(name))


def passed_over(folder: str, rate_out: int | None = None) -> Counter[str]:
    """Count the files in a folder that are not taken, by kind, as ``.txt`` or ``*_48k``.

    rate_out: of outputs in Hz, which `find` passes over; None where they are taken.
    """
    kinds: Counter[str] = Counter()
    suffixes, own = formats.suffixes(), target_suffix(rate_out) if rate_out else None
    for path in map(Path, walk(folder)):
        if path.name.startswith(".") or not path.is_file():
            continue
        suffix = path.suffix.lower()
        if suffix not in suffixes:
            kinds[suffix or path.name] += 1
        elif own and path.stem.endswith(own):
            kinds[f"*{own}"] += 1
    return kinds


def targets(
    sources: Iterable[tuple[str, str]], folder: str | None, format: str, rate_out: int
) -> Iterator[str]:
    """Yield the default target of each source: beside it, or below `folder` in the same tree."""
    ending = target_suffix(rate_out) + formats.FORMATS[format][0][0]
    for source, below in sources:
        if source == PIPE:
            yield PIPE if folder is None else str(Path(folder, f"stdin{ending}"))
            continue
        parent = Path(source).parent if folder is None else Path(folder, below)
        yield str(parent / f"{Path(source).stem}{ending}")
