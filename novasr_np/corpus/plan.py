"""Sort the rows of a corpus: done, to do, failed before, or refused."""

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
    """What every worker has to know. It can be pickled."""

    folder: str  # where targets go
    staging: str  # where unfinished files go, on the same file system
    options: Options
    weights: Weights | str  # or where they are
    backend: Any  # opens a runner: (weights) -> `Runner`, in the worker
    weights_sha256: str  # of the weights' file
    settings: str  # hash of all else that makes a difference to the samples
    variant: str | None = None  # of weights of which there are several


class Plan(NamedTuple):
    """The rows of a corpus by what is to become of them in a run."""

    left: list[Row]
    done: int  # complete, by the same weights and options, from a source that did not change
    failed: list[Result]  # before, likewise, and not to be tried again
    refused: list[Result]  # their targets are other files, or other rows' targets


def settings_hash(options: Options, choices: dict[str, Any], **others: str) -> str:
    """Hash everything but the weights that makes a difference to the samples in a target.

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

    resume: leave out what is done; retry_failed: do not leave out what failed.
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
            error = f"{row.target} is the target of {owners[row.target]} already"
        elif os.path.join(folder, row.target) in sources:
            error = f"{row.target} would replace a source"
        elif row.target not in made and os.path.lexists(Path(folder, row.target)):
            error = f"{row.target} exists, and by the results no corpus job made it: move it away"
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
    """A result with nothing but what is known before the work."""
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
    """Target -> the id whose it is: of the row that may have made it, else of the first."""
    owners: dict[str, str] = {}
    for may_be_made in (True, False):
        for row in rows:
            if _may_be_made(results.get((row.id, row.target))) == may_be_made:
                owners.setdefault(row.target, row.id)
    return owners


def _may_be_made(result: Result | None) -> bool:
    """Whether a job made the target, or was killed when it had perhaps done so."""
    return result is not None and (
        result["target_bytes"] is not None or result["status"] == "begun"
    )


def _key(row: Row, task: Task) -> list[tuple[str, Any]]:
    """What has to be as it was for a result to hold."""
    new = new_result(row, task, "")
    # Where a source has a version, it may be called by another path.
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
