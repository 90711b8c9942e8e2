"""Make batches ahead of the training steps, in a thread or in several processes."""

import itertools
import multiprocessing
import queue
import tempfile
import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .data import Recording
from .state import Recipe, TrainingPlan

_WAITING = 4  # batches of each maker
_PATIENCE = 5  # seconds of waiting before a check that the makers are alive


def batches(
    recipe: Recipe,
    recordings: Sequence[Recording],
    plan: TrainingPlan,
    start: int,
    workers: int = 1,
) -> Generator[Any, None, None]:
    """Yield the run's batches from number `start` to its end, the same for any number of workers.

    More than one worker are processes; the recordings are in a file that all of them map.

    Raises RuntimeError if one of them dies.
    """
    if workers > 1:
        yield from _by_processes(recipe, recordings, plan, start, workers)
        return
    waiting: queue.Queue = queue.Queue(_WAITING)
    numbers = range(start, plan.steps)
    arguments = (recipe.batches, recordings, plan, numbers, waiting)
    threading.Thread(target=_make, args=arguments, daemon=True).start()
    for _ in numbers:
        yield waiting.get()


def _by_processes(recipe, recordings, plan, start, workers) -> Generator[Any, None, None]:
    # Not forked, as JAX has started threads by now.
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recordings"
        with open(path, "wb") as file:
            for r in recordings:
                file.write(r.samples.astype(np.float32).tobytes())
        rows = [r._replace(samples=len(r.samples)) for r in recordings]
        makers = []
        for worker in range(workers):
            waiting = context.Queue(_WAITING)
            numbers = range(start + worker, plan.steps, workers)
            arguments = (recipe.batches, path, rows, plan, numbers, waiting)
            process = context.Process(target=_make_from_file, args=arguments, daemon=True)
            process.start()
            makers.append((process, waiting))
        turns = itertools.cycle(makers)
        try:
            for _ in range(start, plan.steps):
                yield _next(*next(turns))
        finally:
            for process, _ in makers:
                process.terminate()
                process.join()


def _next(process, waiting) -> Any:
    while True:
        try:
            return waiting.get(timeout=_PATIENCE)
        except queue.Empty:
            if not process.is_alive():
                raise RuntimeError(
                    f"a process that makes batches ended with exit code {process.exitcode}"
                ) from None


def _make(make: Callable, recordings, plan: TrainingPlan, numbers: range, waiting: Any) -> None:
    for batch in make(recordings, plan, numbers):
        waiting.put(batch)


def _make_from_file(make: Callable, path: Path, rows, plan, numbers, waiting) -> None:
    samples = np.memmap(path, np.float32, "r")
    ends = itertools.accumulate(row.samples for row in rows)
    recordings = [
        row._replace(samples=samples[end - row.samples : end])
        for row, end in zip(rows, ends, strict=True)
    ]
    _make(make, recordings, plan, numbers, waiting)
