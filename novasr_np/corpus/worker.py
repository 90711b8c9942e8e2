"""Do the rows of a corpus: the work on one, and the run over all."""

import errno
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

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
    "read_seconds",
    "compute_seconds",
    "write_seconds",
    "peak",
    "saturated",
)

_STAGED = "staged"  # status of a result whose file waits for `finish`; and the key of its path
_SYNCS = 8  # files that are made safe at once
_MOST_WAITING = 64  # results that wait to be kept

# Distributes the rows of a run to workers.
Engine = Callable[[Task, Iterable[Row]], Iterator[Result]]


def run_rows(
    rows: Iterable[Row],
    task: Task,
    ledger: Ledger,
    engine: Engine,
    progress: Callable[[Result], object],
) -> None:
    """Do the rows, and keep each result in the ledger. Raises OSError if the target folder's file
    system is full or fails; results so far are kept.

    progress: called with each result once it is kept, on a thread. A result is ``done`` in the
    ledger only if its target is there and its content on the disk: a crash loses those of the last
    moments, and leaves nothing half-written.
    """
    results = engine(task, _logged(rows, task, ledger))
    with _Keeper(task, ledger, progress) as keep, closing(results):  # type: ignore[type-var]
        for result in results:
            if result["errno"] in _FATAL:
                raise OSError(result["errno"], os.strerror(result["errno"]))
            keep(result)


class _Keeper:
    """Keep results in groups, on a thread: a group is what came while the one before was kept.

    So neither the workers nor the run wait for the disk.
    """

    def __init__(self, task: Task, ledger: Ledger, progress: Callable[[Result], object]) -> None:
        self._task, self._ledger, self._progress = task, ledger, progress
        self._waiting: SimpleQueue[Result | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="keeper")
        self._error: Exception | None = None

    def __enter__(self) -> "_Keeper":
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Keep all that is waiting. Raises the error of keeping it, but in place of no other."""
        self._waiting.put(None)
        self._thread.join()
        if self._error and kind is None:
            raise self._error

    def __call__(self, result: Result) -> None:
        """Take a result. Raises the error of keeping those before."""
        while self._waiting.qsize() >= _MOST_WAITING:
            time.sleep(0.01)
        if self._error:
            raise self._error
        self._waiting.put(result)

    def _run(self) -> None:
        is_over = False
        while not is_over:
            group = [self._waiting.get()]
            while not self._waiting.empty():
                group.append(self._waiting.get())
            is_over = group[-1] is None
            if self._error:
                continue
            try:
                self._keep([result for result in group if result])
            except Exception as error:
                self._error = error

    def _keep(self, group: list[Result]) -> None:
        finish(group, self._task)
        for result in group:
            if result["errno"] in _FATAL:
                raise OSError(result["errno"], os.strerror(result["errno"]))
            self._ledger.add(result)
            self._progress(result)


def _logged(rows: Iterable[Row], task: Task, ledger: Ledger) -> Iterator[Row]:
    """Yield the rows, each logged as begun before an engine takes it."""
    for row in rows:
        ledger.add(new_result(row, task, "begun"))
        yield row


def job_of(task: Task) -> Job:
    """Create the job of a task's rows.

    The file is exactly that of `convert` for the source; it has no name yet, and may not be on the
    disk, until `finish`. Errors are reported in the result.
    """
    return Job(partial(_work, task), partial(_lost, task), task.backend, task.weights, task.variant)


def _work(task: Task, runner: Runner, row: Row, progress: Callable[[float], object]) -> Result:
    suffix = formats.FORMATS[task.options.format][0][0]
    staged = Path(task.staging, secrets.token_hex(8) + suffix)
    target = Path(task.folder, row.target)
    result = new_result(row, task, "failed")
    try:
        with fetched(row.source, task.staging) as path:
            outcome = convert(str(path), str(staged), task.options, runner, progress, sync=False)
        result |= {name: getattr(outcome, name) for name in _MEASURED}
        if result["error"]:
            result["error"] = result["error"].replace(str(staged), str(target))
        if outcome.status == "done":
            result |= {"status": _STAGED, _STAGED: str(staged)}
    except Exception as error:  # whatever the error, the other rows go on
        result |= {"error": message(error), "errno": getattr(error, "errno", None)}
    return result


def finish(results: Iterable[Result], task: Task) -> None:
    """Make the targets of results that workers return safe, and give them their names.

    In place; what fails becomes an error in the result. A group takes the disk little longer than a
    single result.
    """
    staged = [result for result in results if result["status"] == _STAGED]
    if staged:
        with ThreadPoolExecutor(min(len(staged), _SYNCS)) as pool:
            list(pool.map(partial(_finish, task), staged))


def _finish(task: Task, result: Result) -> None:
    staged, target = Path(result.pop(_STAGED)), Path(task.folder, result["target"])
    try:
        with open(staged, "rb+") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged, target)
        result |= {"status": "done", "target_bytes": size}
    except OSError as error:
        said = message(error).replace(str(staged), str(target))
        result |= {"status": "failed", "error": said, "errno": error.errno}
        staged.unlink(missing_ok=True)


def _lost(task: Task, row: Row, error: str) -> Result:
    """Create the result of a row whose worker is gone."""
    return new_result(row, task, "failed", error)
