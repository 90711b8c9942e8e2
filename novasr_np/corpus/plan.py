"""Sort the rows of a corpus into done, to do, failed before, and refused."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..files.convert import Options
from ..version import __version__
from ..weights import Weights
from .ledger import COLUMNS, Result, Results
from .manifest import Row


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

    left: list[Row]
    done: int  # complete, by the same weights and options, from an unchanged source
    failed: list[Result]  # failed before, likewise, and not to be tried again
    refused: list[Result]  # rows whose target is another file, or another row's target


def settings_hash(options: Options, choices: dict[str, Any], **others: str) -> str:
    """Hash all settings that change the samples in a target, except the weights.

    choices: the network's own options.
    """
    names = ("resampler", "keep_lowband", "channels", "format", "subtype")
    values = {name: getattr(options, name) for name in names} | choices | others
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def make_plan(
    rows: Sequence[Row],
    results: Results,
    task: Task,
    *,
    resume: bool = True,
    retry_failed: bool = False,
) -> Plan:
    """Sort rows by their former results (`load_results`) and what is in the target folder.

    resume: leave out rows that are done. retry_failed: include rows that failed.
    """
    left, done, failed, refused = [], 0, [], []
    folder = os.path.abspath(task.folder)
    sources = {os.path.abspath(row.source) for row in rows}
    made = {result["target"] for result in results.values() if _may_be_made(result)}
    owners = _owners(rows, results)
    for row in rows:
        before = results.get((row.id, row.target))
        holds = before and all(before[name] == value for name, value in _key(row, task))
        same = before if holds and resume else None
        error = None
        if owners[row.target] != row.id:
            error = f"{row.target} is already the target of {owners[row.target]}"
        elif os.path.join(folder, row.target) in sources:
            error = f"{row.target} would replace a source"
        elif row.target not in made and os.path.lexists(Path(folder, row.target)):
            error = f"{row.target} exists, but was not made by a corpus job: move it away"
        if error:
            refused.append(new_result(row, task, "refused", error))
        elif same and _is_done(same, task):
            done += 1
        elif same and same["status"] == "failed" and not retry_failed:
            failed.append(same)
        else:
            left.append(row)
    return Plan(left, done, failed, refused)


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
        "peak": 0.0,
        "saturated": 0,
        "source_bytes": row.bytes,
        "source_version": row.version,
        "weights": task.weights_sha256,
        "options": task.settings,
        "novasr": __version__,
    }


def _owners(rows: Sequence[Row], results: Results) -> dict[str, str]:
    """Assign each target to an id: that of the row that may have made it, else of the first."""
    owners: dict[str, str] = {}
    for may_be_made in (True, False):
        for row in rows:
            if _may_be_made(results.get((row.id, row.target))) == may_be_made:
                owners.setdefault(row.target, row.id)
    return owners


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
