"""A corpus, recording by recording: what is left to do, the work on one, and the run over all."""

import dataclasses
import errno
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import __version__, audio, blocks, job, manifest
from .ledger import Known, Ledger, Result
from .manifest import Row

# After these nothing more can be written.
_FATAL = {errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}


@dataclasses.dataclass(frozen=True)
class Task:
    """What every worker has to know. It can be pickled as long as options.run is None."""

    folder: str  # where targets go
    staging: str  # where unfinished files go, on the same file system
    options: job.Options
    weights: str  # sha256 of the weights' file
    settings: str  # hash of all else that makes a difference to the samples
    # Gives the options of a backend other than numpy, from the weights.
    backend: Callable[[Any], dict[str, Any]] | None = None


class Plan(NamedTuple):
    """The rows of a corpus by what is to become of them in a run."""

    left: list[Row]
    done: int  # complete, by the same weights and options, from a source that did not change
    failed: list[Result]  # before, likewise, and not to be tried again
    refused: list[Result]  # their targets are other files, or other rows' targets


# What a worker does with one row; and how the rows of a run get to workers.
Work = Callable[..., Result]
Engine = Callable[[Task, Iterable[Row]], Iterator[Result]]


def settings_hash(options: job.Options, **others: str) -> str:
    """Of everything but the weights that makes a difference to the samples in a target."""
    names = ("resampler", "keep_lowband", "channels", "format", "subtype")
    values = {name: getattr(options, name) for name in names} | others
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def plan(
    rows: Sequence[Row],
    known: Known,
    task: Task,
    *,
    resume: bool = True,
    retry_failed: bool = False,
) -> Plan:
    """Sort rows by what is known of them (`ledger.known`) and what is in the target folder.

    resume: leave out what is done; retry_failed: do not leave out what failed.
    """
    result = Plan([], 0, [], [])
    done = 0
    folder = os.path.abspath(task.folder)
    sources = {os.path.abspath(row.source) for row in rows}
    made = {r["target"] for r in known.values() if _may_be_made(r)}
    owners: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: not _may_be_made(known.get((row.id, row.target)))):
        owners.setdefault(row.target, row.id)
    for row in rows:
        before = known.get((row.id, row.target))
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
            result.refused.append(_blank(row, task, "refused", error))
        elif same and _is_done(same, task):
            done += 1
        elif same and same["status"] == "failed" and not retry_failed:
            result.failed.append(same)
        else:
            result.left.append(row)
    return result._replace(done=done)


def _may_be_made(result: Result | None) -> bool:
    """Whether a job made the target, or was killed when it had perhaps done so."""
    return result is not None and (
        result["target_bytes"] is not None or result["status"] == "begun"
    )


def _key(row: Row, task: Task) -> list[tuple[str, Any]]:
    """What has to be as it was for a result to hold."""
    blank = _blank(row, task, "")
    # Where a source has a version, it may be called by another path.
    source = ("source_bytes", "source_version") if row.version else ("source",)
    return [(name, blank[name]) for name in ("target", "weights", "options", *source)]


def _is_done(before: Result, task: Task) -> bool:
    if before["status"] != "done":
        return False
    try:
        size = os.stat(Path(task.folder, before["target"])).st_size
    except OSError:
        return False
    return size == before["target_bytes"]


def run(
    left: Iterable[Row],
    task: Task,
    ledger: Ledger,
    engine: Engine,
    progress: Callable[[Result], object],
) -> None:
    """Do what is left, and keep each result in the ledger. progress is called with each.

    Raises OSError if the target folder's file system takes no more: what is done stays done.
    """

    def begun() -> Iterator[Row]:
        for row in left:
            ledger.add(_blank(row, task, "begun"))
            yield row

    results = engine(task, begun())
    try:
        for result in results:
            if result["errno"] in _FATAL:
                raise OSError(result["errno"], os.strerror(result["errno"]), task.folder)
            ledger.add(result)
            progress(result)
    finally:
        results.close()  # type: ignore[attr-defined]


def worker(task: Task) -> Work:
    """What a worker does with a row, made once: weights are prepared for the whole run.

    The file is exactly what `job.run` writes for that source. What goes wrong is told in the
    result.
    """
    if task.backend is None:
        net = blocks.network(task.options.weights, np.float32)
        computing: dict[str, Any] = {
            "run": partial(blocks.run, net, workers=blocks.Workers(task.options.threads))
        }
    else:
        computing = task.backend(task.options.weights)
    options = dataclasses.replace(task.options, **computing)
    return partial(_work, dataclasses.replace(task, options=options))


def _work(task: Task, row: Row, progress: Callable[[float], object] = lambda _: None) -> Result:
    suffix = audio.FORMATS[task.options.format][0][0]
    staged = Path(task.staging, secrets.token_hex(8) + suffix)
    target = Path(task.folder, row.target)
    result = _blank(row, task, "failed")
    try:
        with manifest.fetched(row.source, task.staging) as path:
            outcome = dataclasses.asdict(job.run(str(path), str(staged), task.options, progress))
        result |= {key: outcome[key] for key in result.keys() & outcome.keys() - _OURS}
        if result["error"]:
            result["error"] = result["error"].replace(str(staged), str(target))
        if outcome["status"] == "done":
            target.parent.mkdir(parents=True, exist_ok=True)
            size = staged.stat().st_size
            os.replace(staged, target)
            result |= {"status": "done", "target_bytes": size}
    except Exception as error:  # whatever it is, the other rows go on
        result |= {"error": job.words(error), "errno": getattr(error, "errno", None)}
    finally:
        staged.unlink(missing_ok=True)
    return result


def lost(row: Row, task: Task, error: str) -> Result:
    """The result of a row whose worker is gone."""
    return _blank(row, task, "failed", error)


_OURS = {"source", "target", "status"}  # not taken from a job's own result


def _blank(row: Row, task: Task, status: str, error: str | None = None) -> Result:
    """A result with nothing but what is known before the work."""
    return {
        "id": row.id,
        "source": row.source,
        "target": row.target,
        "status": status,
        "error": error,
        "errno": None,
        "sample_rate": None,
        "channels": None,
        "audio_seconds": 0.0,
        "work_seconds": 0.0,
        "peak": 0.0,
        "saturated": 0,
        "target_bytes": None,
        "source_bytes": row.bytes,
        "source_version": row.version,
        "weights": task.weights,
        "options": task.settings,
        "novasr": __version__,
    }
