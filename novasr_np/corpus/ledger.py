"""A crash-safe log of per-file results, kept in the target folder.

Each run has a separate folder, ``.novasr/<run>``, with its log and its unfinished files, and locks
the log until it ends. Then its log is merged into ``results.jsonl`` (and ``results.parquet``). A
killed run leaves its folder behind, with no lock; the next run finds it and merges its log.
"""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import IO, Any

from ..atomic import atomic_write

RESULTS = "results.jsonl"
STATE = ".novasr"
_LOG = "log.jsonl"
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}  # as of NFS and SMB

# A result's columns, and their types in parquet. status: see `_merge`. Times are in seconds, peak
# has full scale 1, saturated counts samples, weights and options are hashes. target_bytes is the
# size of the target that a job, perhaps an earlier one, made; empty if none did.
COLUMNS = {
    "id": "string",
    "source": "string",
    "target": "string",
    "status": "string",
    "error": "string",
    "notes": "string",
    "errno": "int64",
    "sample_rate": "int64",
    "channels": "int64",
    "audio_seconds": "float64",
    "work_seconds": "float64",
    "read_seconds": "float64",
    "compute_seconds": "float64",
    "write_seconds": "float64",
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
    """Read the latest result of each (id, target), of all runs on a folder, also of running ones.

    Changes nothing. Raises OSError.
    """
    results: Results = {}
    for path in (Path(folder, RESULTS), *sorted(Path(folder, STATE).glob(f"*/{_LOG}"))):
        _merge(results, _lines(path))
    return results


class Ledger:
    """A run's log in a target folder. A context manager; leaving it merges the results.

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
        self._adding = Lock()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_) -> None:
        self._log.close()
        with self._alone():
            self._clear()

    def add(self, result: Result) -> None:
        """Log a result; on return it is handed over to the file system. Raises OSError.

        Any thread may call it.
        """
        line = json.dumps(result) + "\n"
        with self._adding:
            self._log.write(line)
            self._log.flush()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other runs from beginning or ending inside the block."""
        state = self.folder / STATE
        state.mkdir(parents=True, exist_ok=True)
        with open(state / "lock", "a") as lock:
            _lock(lock)
            yield

    def _clear(self) -> None:
        """Merge the logs of ended runs into the results, and remove the runs' folders."""
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
    """Replace earlier results of a row by later ones, depending on the later one's status.

    - ``refused``: before any work, so it says nothing about the target; replaces only another
      ``refused``, and every other status replaces it
    - ``begun``: the work never ended; does not replace a ``done`` of the same samples
    - ``done``, ``failed``: replace any earlier status

    The size of the target that a job made is kept until another job makes that target.
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
    """Whether two results are of the same samples."""
    names = ("weights", "options", "source", "source_bytes", "source_version")
    return all(a[name] == b[name] for name in names)


def _utf8(value: Any) -> Any:
    """Make text valid for parquet: replace the surrogates of file names that are not Unicode."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _lines(path: Path) -> Iterator[Result]:
    try:
        file: IO = open(path, "rb")  # noqa: SIM115
    except FileNotFoundError:
        return
    with file:
        for line in file:
            with suppress(ValueError, RecursionError):  # for example half a line, after a power cut
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

    Raises BlockingIOError if another process holds it and `wait` is False.
    """
    try:
        import fcntl  # noqa: PLC0415  (the other commands work without it)
    except ModuleNotFoundError as error:
        raise OSError("a corpus job needs the file locks of Unix") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        way_out = "a corpus job needs file locks: choose a target on a local disk"
        raise OSError(error.errno, f"{error.strerror}; {way_out}") from error
