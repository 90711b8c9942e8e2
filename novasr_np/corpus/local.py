"""Workers on this machine: processes for numpy, threads for JAX."""

import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from itertools import islice
from multiprocessing import connection, get_context
from threading import Event

from ..files.signals import deferred_signals
from .ledger import Result
from .manifest import Row
from .plan import Task
from .worker import Work, failure, open_worker

MAX_ATTEMPTS = 2  # at a row whose process was killed, perhaps for another reason


def processes(task: Task, rows: Iterable[Row], jobs: int) -> Iterator[Result]:
    """Yield the results of rows, as they come, from `jobs` processes that use one core each.

    If a process dies, its row has one attempt less, and other rows are not affected. Closing the
    iterator ends the processes.
    """
    waiting = iter(rows)
    workers = [_Process(task, row) for row in islice(waiting, jobs)]
    try:
        while workers:
            for ready in connection.wait([w.connection for w in workers]):
                w = next(w for w in workers if w.connection is ready)
                result = w.receive()
                if result is None:
                    code = w.end()
                    workers.remove(w)
                    if w.attempt < MAX_ATTEMPTS:
                        workers.append(_Process(task, w.row, w.attempt + 1))
                    else:
                        yield failure(w.row, task, f"its process ended twice, with status {code}")
                        workers += [_Process(task, row) for row in islice(waiting, 1)]
                    continue
                yield result
                if (row := next(waiting, None)) is None:
                    w.end()
                    workers.remove(w)
                else:
                    w.send(row)
    finally:
        for w in workers:
            w.end()


class _Process:
    """Process that works on one row at a time, and stops if the main process is gone."""

    def __init__(self, task: Task, row: Row, attempt: int = 1) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, task), daemon=True)
        # Ctrl-C reaches every process, but only the main one handles it. A signal blocked here is
        # blocked in the new process from its start.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.send(row, attempt)

    def send(self, row: Row, attempt: int = 1) -> None:
        self.row, self.attempt = row, attempt
        with suppress(ConnectionError):  # the process is gone; `receive` reports it
            self.connection.send(row)

    def receive(self) -> Result | None:
        """Receive a result; None if the process is gone."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError):
            return None

    def end(self) -> int | None:
        self.connection.close()
        self._process.join(timeout=0.2)
        self._process.kill()
        self._process.join()
        return self._process.exitcode


def _serve(rows: connection.Connection, task: Task) -> None:
    def check(_: float) -> None:
        if rows.poll():  # no row comes before this one's result is sent, so the other end is gone
            raise _Abandoned

    work = open_worker(task)
    try:
        while True:
            rows.send(work(rows.recv(), progress=check))
    except (EOFError, ConnectionError, _Abandoned):
        return


def threads(work: Work, rows: Iterable[Row], jobs: int) -> Iterator[Result]:
    """Yield the results of rows, as they come, from `jobs` threads.

    For a backend that computes the pieces of several threads in one batch. Closing the iterator
    abandons the files in progress.
    """
    stop = Event()

    def check(_: float) -> None:
        if stop.is_set():
            raise _Abandoned

    waiting = iter(rows)
    with deferred_signals() as interrupt, ThreadPoolExecutor(jobs) as pool:
        begin: Callable[[Row], Future] = partial(pool.submit, work, progress=check)
        try:
            under_way = {begin(row) for row in islice(waiting, jobs)}
            while under_way:
                interrupt()
                done, under_way = wait(under_way, timeout=0.5, return_when=FIRST_COMPLETED)
                under_way |= {begin(row) for row in islice(waiting, len(done))}
                for future in done:
                    yield future.result()
        finally:
            stop.set()


class _Abandoned(BaseException):
    """Interruption of a file; no Exception, so that no handler takes it for a row's error."""
