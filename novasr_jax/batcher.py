"""Compute the pieces of several threads in common batches."""

import queue
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread

from novasr_np.pipeline.feed import Piece


class Batcher:
    """Run pieces of several threads together.

    run: computes pieces (`compute.run`).

    While one batch is computed, pieces for the next are collected, so batches are full when enough
    threads have work, whatever the lengths of their sounds. One thread computes, until `close`.
    """

    def __init__(self, run: Callable[[list[Piece]], None]) -> None:
        self._run = run
        self._waiting: queue.SimpleQueue[tuple[list[Piece], Future] | None] = queue.SimpleQueue()
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def run(self, pieces: list[Piece]) -> None:
        """Run pieces as `compute.run`, from any thread. Raises the error of the common batch."""
        future: Future = Future()
        self._waiting.put((pieces, future))
        future.result()

    def close(self) -> None:
        """End the thread, after the waiting pieces."""
        self._waiting.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while first := self._waiting.get():
            batch = [first]
            while not self._waiting.empty():
                if (item := self._waiting.get()) is None:
                    self._waiting.put(None)
                    break
                batch.append(item)
            try:
                self._run([piece for pieces, _ in batch for piece in pieces])
            except Exception as error:
                for _, future in batch:
                    future.set_exception(error)
                continue
            for _, future in batch:
                future.set_result(None)
