"""Compute the pieces that many threads wait for in common batches."""

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Any

import numpy as np


class Batcher:
    """What `batches.run` computes, with the pieces that other threads wait for in the same batch.

    run_all: several pieces and their places -> what becomes of each (`batches.run_all`).

    While one batch is computed the next gathers, so that batches are full when enough threads
    have work, whatever the lengths of their signals. A context manager; leaving it ends the one
    thread that computes.
    """

    def __init__(self, run_all: Callable[[Sequence, Sequence], list[np.ndarray]]) -> None:
        self._run_all = run_all
        self._waiting: queue.SimpleQueue[tuple | None] = queue.SimpleQueue()
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def run(self, x: np.ndarray, *place: Any) -> np.ndarray:
        """As `batches.run`; called by any thread, and raises what the common batch raised."""
        future: Future = Future()
        self._waiting.put((x, place, future))
        return future.result()

    def close(self) -> None:
        """End the thread, after what waits."""
        self._waiting.put(None)
        self._thread.join()

    def __enter__(self) -> "Batcher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        while first := self._waiting.get():
            batch = [first]
            while not self._waiting.empty():
                if (item := self._waiting.get()) is None:
                    self._waiting.put(None)
                    break
                batch.append(item)
            xs, places, futures = zip(*batch, strict=True)
            try:
                ys = self._run_all(xs, places)
            except Exception as error:
                for future in futures:
                    future.set_exception(error)
                continue
            for future, y in zip(futures, ys, strict=True):
                future.set_result(y)
