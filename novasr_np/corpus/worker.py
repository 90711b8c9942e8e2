"""Do the rows of a corpus: the work on one, and the run over all."""

import errno
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from ..errors import message
from ..files import formats
from ..files.convert import convert
from ..pipeline.runner import Runner
from .feeding import Job
from .ledger import Ledger, Result
from .manifest import Row, fetched
from .plan import Task, new_result

# After these errors nothing more can be written.
_FATAL = {errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}
# The measurements of a conversion, which have the same names in both kinds of results.
_MEASURED = (
    "error",
    "errno",
    "notes",
    "sample_rate",
    "channels",
    "audio_seconds",
    "work_seconds",
    "peak",
    "saturated",
)

# Distributes the rows of a run to workers.
Engine = Callable[[Task, Iterable[Row]], Iterator[Result]]


def run_rows(
    rows: Iterable[Row],
    task: Task,
    ledger: Ledger,
    engine: Engine,
    progress: Callable[[Result], object],
) -> None:
    """Do the rows, and keep each result in the ledger. progress: called with each result.

    Raises OSError if the target folder's file system is full or fails; results so far are kept.
    """
    results = engine(task, _logged(rows, task, ledger))
    try:
        for result in results:
            if result["errno"] in _FATAL:
                raise OSError(result["errno"], os.strerror(result["errno"]))
            ledger.add(result)
            progress(result)
    finally:
        results.close()  # type: ignore[attr-defined]


def _logged(rows: Iterable[Row], task: Task, ledger: Ledger) -> Iterator[Row]:
    """Yield the rows, each logged as begun before an engine takes it."""
    for row in rows:
        ledger.add(new_result(row, task, "begun"))
        yield row


def job_of(task: Task) -> Job:
    """Create the job of a task's rows.

    The file is exactly that of `convert` for the source. Errors are reported in the result.
    """
    return Job(partial(_work, task), partial(_lost, task), task.backend, task.weights, task.variant)


def _work(task: Task, runner: Runner, row: Row, progress: Callable[[float], object]) -> Result:
    suffix = formats.FORMATS[task.options.format][0][0]
    staged = Path(task.staging, secrets.token_hex(8) + suffix)
    target = Path(task.folder, row.target)
    result = new_result(row, task, "failed")
    try:
        with fetched(row.source, task.staging) as path:
            outcome = convert(str(path), str(staged), task.options, runner, progress)
        result |= {name: getattr(outcome, name) for name in _MEASURED}
        if result["error"]:
            result["error"] = result["error"].replace(str(staged), str(target))
        if outcome.status == "done":
            target.parent.mkdir(parents=True, exist_ok=True)
            size = staged.stat().st_size
            os.replace(staged, target)
            result |= {"status": "done", "target_bytes": size}
    except Exception as error:  # whatever the error, the other rows go on
        result |= {"error": message(error), "errno": getattr(error, "errno", None)}
    finally:
        staged.unlink(missing_ok=True)
    return result


def _lost(task: Task, row: Row, error: str) -> Result:
    """Create the result of a row whose worker is gone."""
    return new_result(row, task, "failed", error)
