"""A crash-safe log of per-file results, kept in the target folder.

Each run has a folder of its own, ``.novasr/<run>``, with its log and its unfinished files, and
holds a lock on the log as long as it lives. When a run ends, its log goes into ``results.jsonl``
(and ``results.parquet``); what a killed run leaves is found by the next one, by its free lock.
"""

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ..atomic import atomic_write

RESULTS = "results.jsonl"
STATE = ".novasr"
_LOG = "log.jsonl"

# A result's columns, and their types in parquet. status: see `_merge`. Times are in seconds, peak
# has full scale 1, saturated counts samples, weights and options are hashes. target_bytes is of the
# file that a job made there, be it a former one, and empty where none did.
COLUMNS = {
    "id": "string",
    "source": "string",
    "target": "string",
    "status": "string",
    "error": "string",
    "errno": "int64",
    "sample_rate": "int64",
    "channels": "int64",
    "audio_seconds": "float64",
    "work_seconds": "float64",
    "peak": "float64",
    "saturated": "int64",
    "target_bytes": "int64",
    "source_bytes": "int64",
    "source_version": "string",
    "weights": "string",
    "options": "string",
    "novasr": "string",
}
Result = dict[str, Any]
Results = dict[tuple[str, str], Result]


def load_results(folder: str | os.PathLike[str]) -> Results:
    """(id, target) -> the latest result, of all runs on a target folder, those under way too.

    Only reads. Raises OSError.
    """
    results: Results = {}
    for path in (Path(folder, RESULTS), *sorted(Path(folder, STATE).glob(f"*/{_LOG}"))):
        _merge(results, _lines(path))
    return results


class Ledger:
    """A run's place in a target folder. A context manager; leaving it puts the results together.

    Raises OSError if the folder cannot be written to, or the system has no file locks.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.staging = self.folder / STATE / secrets.token_hex(6)  # of unfinished files
        with self._alone():
            self._clear()
            self.staging.mkdir(parents=True)
            self._log = open(self.staging / _LOG, "a", encoding="utf-8")  # noqa: SIM115
            _lock(self._log)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_) -> None:
        self._log.close()
        with self._alone():
            self._clear()

    def add(self, result: Result) -> None:
        """Keep a result; it is in the file system's hands when this returns. Raises OSError."""
        self._log.write(json.dumps(result) + "\n")
        self._log.flush()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other run begins or ends."""
        state = self.folder / STATE
        state.mkdir(parents=True, exist_ok=True)
        with open(state / "lock", "a") as lock:
            _lock(lock)
            yield

    def _clear(self) -> None:
        """Put what ended runs have logged with the results, and remove the rest of them."""
        ended = [log.parent for log in (self.folder / STATE).glob(f"*/{_LOG}") if _is_free(log)]
        if not ended:
            return
        results: Results = {}
        for path in (self.folder / RESULTS, *(run / _LOG for run in ended)):
            _merge(results, _lines(path))
        self._write([results[key] for key in sorted(results)])
        for run in ended:
            shutil.rmtree(run, ignore_errors=True)

    def _write(self, results: list[Result]) -> None:
        with atomic_write(self.folder / RESULTS) as file:
            file.writelines(json.dumps(result).encode() + b"\n" for result in results)
        with suppress(ModuleNotFoundError):
            import pyarrow.parquet  # noqa: PLC0415

            schema = pyarrow.schema(list(COLUMNS.items()))
            rows = [{k: _utf8(v) for k, v in result.items()} for result in results]
            with atomic_write((self.folder / RESULTS).with_suffix(".parquet")) as file:
                pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), file)


def _merge(results: Results, later: Iterable[Result]) -> None:
    """Let later results of a row take the place of earlier ones, by status:

    - ``refused``: before any work, so it says nothing of the target; anything replaces it, and it
      replaces nothing else
    - ``begun``: and never ended; leaves a ``done`` of the same samples as it is
    - ``done``, ``failed``: replace what was before

    What a job made at the target stays known until another job makes something there.
    """
    for result in later:
        key = result["id"], result["target"]
        before, status = results.get(key), result["status"]
        if before is None or before["status"] == "refused":
            results[key] = result
            continue
        still_done = status == "begun" and before["status"] == "done" and _alike(before, result)
        if status == "refused" or still_done:
            continue
        made = result["target_bytes"]
        results[key] = result | {"target_bytes": before["target_bytes"] if made is None else made}


def _alike(a: Result, b: Result) -> bool:
    """Whether they give the same samples."""
    names = ("weights", "options", "source", "source_bytes", "source_version")
    return all(a[name] == b[name] for name in names)


def _utf8(value: Any) -> Any:
    """Text as parquet takes it, with no halves of characters, as odd file names have."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _lines(path: Path) -> Iterator[Result]:
    try:
        file: IO = open(path, "rb")  # noqa: SIM115
    except FileNotFoundError:
        return
    with file:
        for line in file:
            with suppress(ValueError, RecursionError):  # such as half a line, when power was lost
                result = json.loads(line)
                if isinstance(result, dict) and all(
                    isinstance(result.get(key), str) for key in ("id", "target", "status")
                ):
                    yield {key: result.get(key) for key in COLUMNS}


def _is_free(log: Path) -> bool:
    """Whether the run that wrote a log has ended."""
    with open(log, "rb") as file:
        try:
            _lock(file, wait=False)
        except BlockingIOError:
            return False
        return True


def _lock(file: IO, wait: bool = True) -> None:
    """Hold a file's lock until it is closed, or the process dies.

    Raises BlockingIOError where another holds it and this is not to wait.
    """
    try:
        import fcntl  # noqa: PLC0415  (so that the rest of the command works without)
    except ModuleNotFoundError as error:
        raise OSError("a corpus job needs the file locks of Unix") from error
    fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
