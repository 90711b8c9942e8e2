"""Do the files of a run in processes on this machine.

Each process does all the work on a file. What it has computed by a device goes through the one
process that owns the device (`device`), and several files are in progress in each process, so that
one is decoded or encoded while another waits for the device.
"""

import os
import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing import Pipe, connection
from typing import Any

from .. import blas
from ..files.signals import deferred_signals
from ..memory import keep_freed
from ..pipeline.runner import Runner
from ..weights import Weights, load_weights
from .device import Device, Gone, open_client
from .spawned import Parcel, start

MAX_ATTEMPTS = 2  # at an item whose process was killed, perhaps for another reason
_FILES_AT_ONCE = 4  # in each process, if a device computes: batches are full when enough wait
_SECONDS_TO_END = 2.0  # after which processes are killed
_SECONDS_TO_WAIT = 0.5  # for a message, before it is seen whether the run is interrupted
_SECONDS_BETWEEN_REPORTS = 0.2

Progress = Callable[[float], object]


@dataclass(frozen=True)
class Job:
    """Work on items in any process. It can be pickled, its functions by name."""

    # (runner, item, progress) -> result. It calls progress with the seconds of audio done since the
    # last call, often: that is where it is abandoned if the run has ended. The errors of an item
    # are part of its result.
    work: Callable[[Runner, Any, Progress], Any]
    lost: Callable[[Any, str], Any]  # (item, error) -> result of an item whose process has ended
    backend: Any
    weights: Weights | str  # or their path
    variant: str | None = None


def processes(
    job: Job, items: Iterable[Any], jobs: int, progress: Progress = lambda seconds: None
) -> Iterator[Any]:
    """Yield the results of items, as they come, from at most `jobs` processes.

    Closing the iterator ends the processes, as do signals: their handlers run between two results,
    or while it waits. progress and errors: as for `Workers`.
    """
    with deferred_signals() as interrupt, Workers(job, jobs, progress, interrupt) as workers:
        yield from workers.results(items)


class Workers:
    """Processes that work on items. A context manager; leaving it ends them.

    jobs: their number, at most. A backend that is `exclusive` is opened in one more process, which
    computes for all. progress: called with seconds of audio done since the last call; interrupt:
    called twice a second at least.

    If a process dies, only the items in progress in it are affected. They are tried again, each
    alone in a process, so that one that kills its process twice costs only itself.
    """

    def __init__(
        self,
        job: Job,
        jobs: int,
        progress: Progress = lambda seconds: None,
        interrupt: Callable[[], None] = lambda: None,
    ) -> None:
        self._job, self._jobs = job, jobs
        self._progress, self._interrupt = progress, interrupt
        self._processes: list[_Process] = []
        self._parcel = Parcel(job)
        self._device = None
        if job.backend.exclusive:
            self._device = Device(job.backend, job.weights, job.variant)

    def results(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the results of items, as they come.

        Raises ChildProcessError if the device's process ends, and the error of opening the backend
        there.
        """
        waiting = iter(items)
        suspects: deque[tuple[Any, int]] = deque()  # whose process has ended; and their attempts
        while True:
            while self._give(suspects, waiting):
                pass
            if not any(process.items for process in self._processes):
                return
            self._interrupt()
            for process in self._ready():
                try:
                    number, value = process.connection.recv()
                except (EOFError, ConnectionError):
                    self._processes.remove(process)
                    status = process.end()
                    for item, attempts in process.items.values():
                        if attempts < MAX_ATTEMPTS:
                            suspects.append((item, attempts))
                        else:
                            times = "its process ended twice, with status"
                            yield self._job.lost(item, f"{times} {status}")
                    continue
                if number is None:
                    self._progress(value)
                else:
                    del process.items[number]
                    yield value

    def _give(self, suspects: deque[tuple[Any, int]], waiting: Iterator[Any]) -> bool:
        """Give an item to the process with the fewest; False if there is none, or no room for it.

        A new process is started if all have some.
        """
        free = [process for process in self._processes if process.has_room(bool(suspects))]
        chosen = min(free, key=lambda process: len(process.items), default=None)
        may_start = len(self._processes) < self._jobs
        if chosen is None and not may_start:
            return False
        if suspects:
            item, attempts = suspects.popleft()
        else:
            try:
                item, attempts = next(waiting), 0
            except StopIteration:
                return False
        if may_start and (chosen is None or chosen.items):
            chosen = _Process(self._parcel, self._device)
            self._processes.append(chosen)
        assert chosen is not None
        chosen.send(item, attempts)
        return True

    def _ready(self) -> Iterator["_Process"]:
        """Wait a while for messages; yield the processes that have sent one, or have ended."""
        by_connection = {process.connection: process for process in self._processes}
        watched: list[Any] = [*by_connection]
        if self._device:
            watched.append(self._device.connection)
        ready = connection.wait(watched, _SECONDS_TO_WAIT)
        if self._device and self._device.connection in ready:
            self._device.check()
        yield from (process for key, process in by_connection.items() if key in ready)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        if self._device:
            self._device.__exit__()
        self._parcel.close()
        for process in self._processes:
            process.connection.close()
        deadline = time.monotonic() + _SECONDS_TO_END
        for process in self._processes:
            process.end(max(0.0, deadline - time.monotonic()))


class _Process:
    """Process that works on items, and abandons them if the process that started it is gone."""

    def __init__(self, job: Parcel, device: Device | None) -> None:
        self.connection, theirs = Pipe()
        self._room = _FILES_AT_ONCE if device else 1
        clients = [device.connect() for _ in range(self._room)] if device else []
        self._process = start("worker", _serve, theirs, job, clients)
        for other in (theirs, *clients):
            other.close()
        self._numbers = count()
        self.items: dict[int, tuple[Any, int]] = {}  # in progress, and the attempts at them

    def has_room(self, alone: bool) -> bool:
        """Whether it can take an item; alone: one to be worked on alone."""
        is_alone = any(attempts > 1 for _, attempts in self.items.values())
        return not self.items if alone or is_alone else len(self.items) < self._room

    def send(self, item: Any, attempts: int) -> None:
        """Give it an item; attempts: those before."""
        number = next(self._numbers)
        self.items[number] = item, attempts + 1
        with suppress(ConnectionError):  # it has ended, which `recv` tells
            self.connection.send((number, item))

    def end(self, seconds: float = 0.0) -> int | None:
        """End it, by force after so many seconds; return its exit status."""
        self.connection.close()
        self._process.join(seconds)
        self._process.kill()
        self._process.join()
        return self._process.exitcode


class _Abandoned(BaseException):
    """Interruption of an item; no Exception, so that no handler takes it for the item's error."""


def _serve(ours: connection.Connection, job: Job, clients: list[connection.Connection]) -> None:
    """Work on the items that come, until `ours` is closed: one a thread, a thread a client."""
    if not clients:  # else it would take more memory, and no less time
        keep_freed()
    items: queue.SimpleQueue[tuple[int, Any] | None] = queue.SimpleQueue()
    ended, sending = threading.Event(), threading.Lock()

    def send(number: int | None, value: Any) -> None:
        with sending:
            ours.send((number, value))

    def work(runner: Runner) -> None:
        try:
            while given := items.get():
                number, item = given
                with _Reports(send, ended) as reports:
                    result = job.work(runner, item, reports)
                send(number, result)
        except (_Abandoned, Gone, ConnectionError):
            return
        except BaseException:  # else the item would be waited for in vain
            traceback.print_exc()
            os._exit(1)

    with blas.one_thread():
        try:
            runner = (
                open_client(clients)
                if clients
                else job.backend.open(load_weights(job.weights, job.variant))
            )
        except Gone:
            return
        threads = [threading.Thread(target=work, args=(runner,)) for _ in clients or (None,)]
        for thread in threads:
            thread.start()
        with suppress(EOFError, ConnectionError):
            while True:
                items.put(ours.recv())
        ended.set()
        for _ in threads:
            items.put(None)
        for thread in threads:
            thread.join()


class _Reports:
    """The progress of an item, told now and then; raises `_Abandoned` once the run has ended."""

    def __init__(self, send: Callable[[None, float], None], ended: threading.Event) -> None:
        self._send, self._ended = send, ended
        self._seconds, self._last = 0.0, time.monotonic()

    def __call__(self, seconds: float) -> None:
        if self._ended.is_set():
            raise _Abandoned
        self._seconds += seconds
        if time.monotonic() - self._last > _SECONDS_BETWEEN_REPORTS:
            self._tell()

    def _tell(self) -> None:
        self._send(None, self._seconds)
        self._seconds, self._last = 0.0, time.monotonic()

    def __enter__(self) -> "_Reports":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._seconds:
            self._tell()
