"""Sort the rows of a corpus into done, to do, failed before, and refused."""

import dataclasses
import hashlib
import json
import os
from array import array
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..files.convert import Options
from ..version import __version__
from ..weights import Weights
from .ledger import COLUMNS, Result, Results
from .manifest import Row, Rows, is_uri, measured


@dataclasses.dataclass(frozen=True)
class Task:
    """Settings of a corpus run for every worker. It can be pickled."""

    folder: str  # of the targets
    staging: str  # folder of unfinished files, on the same file system
    options: Options
    weights: Weights | str  # or their path
    backend: Any  # opens a runner in the worker: (weights) -> `Runner`
    weights_sha256: str  # of the weights' file
    settings: str  # hash of all other settings that change the samples
    variant: str | None = None  # of the weights, in a folder of several


class Plan(NamedTuple):
    """The rows of a corpus, sorted for a run."""

    left: list[Row]  # the first of these, up to the limit
    n_left: int  # all of them
    n_done: int  # complete, by the same weights and options, from an unchanged source
    n_failed: int  # failed before, likewise, and not to be tried again
    refused: list[Result]  # rows whose target is another file, or another row's target


def settings_hash(options: Options, choices: dict[str, Any], **others: str) -> str:
    """Hash all settings that change the samples in a target, except the weights.

    choices: the network's own options.
    """
    names = ("resampler", "keep_lowband", "edge", "channels", "format", "subtype")
    values = {name: getattr(options, name) for name in names} | choices | others
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def make_plan(
    rows: Rows,
    results: Results,
    task: Task,
    *,
    resume: bool = True,
    retry_failed: bool = False,
    limit: int | None = None,
) -> Plan:
    """Sort rows by their former results (`load_results`) and what is in the target folder.

    resume: leave out rows that are done. retry_failed: include rows that failed. limit: largest
    number of rows to keep as left. Only of these, and of rows with former results, files are looked
    at, and nothing else is kept of a row but hashes, so that long lists cost little.

    Raises ValueError if two rows have the same id, FileNotFoundError if there are no rows, and as
    `read_rows`.
    """
    left: list[Row] = []
    refused: list[Result] = []
    n_done = n_failed = 0
    folder = os.path.abspath(task.folder)
    made = {result["target"] for result in results.values() if _may_be_made(result)}
    n_rows, owners, replaced = _clashes(rows, results, folder)
    for row in rows:
        wanted = limit is None or len(left) < limit
        if not (wanted or results or owners or replaced):
            break  # all others are left
        before = results.get((row.id, row.target))
        if before:
            row = measured(row)  # noqa: PLW2901
        holds = before and all(before[name] == value for name, value in _key(row, task))
        same = before if holds and resume else None
        error = None
        if owners.get(row.target, row.id) != row.id:
            error = f"{row.target} is already the target of {owners[row.target]}"
        elif row.target in replaced:
            error = f"{row.target} would replace a source"
        elif (
            wanted and row.target not in made and os.path.lexists(os.path.join(folder, row.target))
        ):
            error = f"{row.target} exists, but was not made by a corpus job: move it away"
        if error:
            refused.append(new_result(measured(row), task, "refused", error))
        elif same and _is_done(same, task):
            n_done += 1
        elif same and same["status"] == "failed" and not retry_failed:
            n_failed += 1
        elif wanted:
            left.append(measured(row))
    n_left = n_rows - n_done - n_failed - len(refused)
    return Plan(left, n_left, n_done, n_failed, refused)


def new_result(row: Row, task: Task, status: str, error: str | None = None) -> Result:
    """Create a result with the fields known before the work."""
    return dict.fromkeys(COLUMNS) | {
        "id": row.id,
        "source": row.source,
        "target": row.target,
        "status": status,
        "error": error,
        "audio_seconds": 0.0,
        "work_seconds": 0.0,
        "read_seconds": 0.0,
        "compute_seconds": 0.0,
        "write_seconds": 0.0,
        "peak": 0.0,
        "saturated": 0,
        "source_bytes": row.bytes,
        "source_version": row.version,
        "weights": task.weights_sha256,
        "options": task.settings,
        "novasr": __version__,
    }


class _Clashes(NamedTuple):
    rows: int  # number of all
    owners: dict[str, str]  # targets of several rows -> the id of the one that may have it
    replaced: set[str]  # targets that are sources, too


def _clashes(rows: Rows, results: Results, folder: str) -> _Clashes:
    """Find what rows would take from each other. folder: of the targets, an absolute path.

    The row that may have made a target owns it, else the first one. Raises as `make_plan`.
    """
    here, name, prefix = os.getcwd(), os.path.basename(folder), os.path.join(folder, "")
    is_inside = f"{here}/".startswith(prefix)  # if not, paths below the folder hold its name
    ids, targets, sources = array("q"), array("q"), array("q")
    for id, source, target, _, _ in rows:
        ids.append(hash(id))
        targets.append(hash(target))
        if (is_inside or name in source) and (below := _below(prefix, source, here)):
            sources.append(hash(below))
    if not ids:
        raise FileNotFoundError(f"{rows.source} must hold recordings, got none")
    same_ids, same_targets = _repeated(ids), _repeated(targets)
    may_be_replaced = set(np.intersect1d(_sorted(targets), _sorted(sources)).tolist())
    seen: set[str] = set()
    makers: dict[str, str] = {}
    firsts: dict[str, str] = {}
    replaced: set[str] = set()
    # Equal hashes are only likely to be of equal texts.
    for row in rows if same_ids or same_targets or may_be_replaced else ():
        if hash(row.id) in same_ids:
            if row.id in seen:
                raise ValueError(f"{rows.source}: ids must be unique, got {row.id!r} twice")
            seen.add(row.id)
        if hash(row.target) in same_targets:
            firsts.setdefault(row.target, row.id)
            if _may_be_made(results.get((row.id, row.target))):
                makers.setdefault(row.target, row.id)
        if may_be_replaced and hash(below := _below(prefix, row.source, here)) in may_be_replaced:
            replaced.add(below)
    return _Clashes(len(ids), firsts | makers, replaced)


def _below(folder: str, source: str, here: str) -> str:
    """Path of a source below a folder, whose absolute path ends in "/"; else empty."""
    path = source if source[0] == "/" else f"{here}/{source}"
    if "/." in path or "//" in path:
        if is_uri(source):
            return ""
        path = os.path.abspath(path)
    return path.removeprefix(folder) if path.startswith(folder) else ""


def _repeated(hashes: array) -> set[int]:
    values = _sorted(hashes)
    return set(values[1:][values[1:] == values[:-1]].tolist())


def _sorted(hashes: array) -> np.ndarray:
    return np.sort(np.frombuffer(hashes, np.int64)) if hashes else np.zeros(0, np.int64)


def _may_be_made(result: Result | None) -> bool:
    """Whether a job made the target, or was killed and may have made it."""
    return result is not None and (
        result["target_bytes"] is not None or result["status"] == "begun"
    )


def _key(row: Row, task: Task) -> list[tuple[str, Any]]:
    """Fields that must be unchanged for a result to be valid."""
    new = new_result(row, task, "")
    # A source with a version may have moved to another path.
    source = ("source_bytes", "source_version") if row.version else ("source",)
    return [(name, new[name]) for name in ("target", "weights", "options", *source)]


def _is_done(before: Result, task: Task) -> bool:
    if before["status"] != "done":
        return False
    try:
        size = os.stat(Path(task.folder, before["target"])).st_size
    except OSError:
        return False
    return size == before["target_bytes"]
