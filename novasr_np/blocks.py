"""A signal of any length in pieces, exactly: the plan of the cuts, and threads over the pieces.

Outputs 3n .. 3n+2 look at the inputs n-11 .. n+13 and at no others, so a piece that brings this
context along gives the same samples as the whole: there is nothing to cross-fade. Only at the
true ends of a signal do the layers see zeros; there `forward`, the plain network, runs on the 24
samples that matter, and everything between goes through `fused.interior`.
"""

import os
import queue
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from . import blas
from .fused import Prepared, Scratch, interior, prepare, scratch
from .model import forward
from .spec import CONTEXT, CONTEXT_LEFT, CONTEXT_RIGHT, EDGE_LOSS, UPSAMPLING

# Input samples at a time. Smaller blocks stay in a core's own cache, but let the threads wait for
# Python's lock more often.
BLOCK = 4000


class Network(NamedTuple):
    """Weights in both forms: as they are, for the ends of a signal, and folded, for the rest."""

    params: dict
    prepared: Prepared


def network(params, dtype) -> Network:
    """Ready a tree of weights (`load_weights`) to run in `dtype`.

    Raises TypeError if that is neither float32 nor float64.
    """
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"the network runs in float32 or float64, got {np.dtype(dtype)}")
    return Network(params, prepare(params, dtype))


class Workers:
    """Threads with working memory of their own. A context manager; leaving it ends the threads.

    threads: how many, None for one on each core this process may use.
    Raises ValueError if it is less than 1, TypeError if it is no whole number.
    """

    def __init__(self, threads: int | None = None, block: int = BLOCK) -> None:
        if threads is None:
            threads = available_cores()
        if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)):
            raise TypeError(f"threads is a whole number, got {threads!r}")
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        if block < 1:
            raise ValueError(f"a block has at least 1 sample, got {block}")
        self.threads, self.block = threads, block
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._memory: queue.SimpleQueue[Scratch] = queue.SimpleQueue()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def each(self, work: Callable, pieces: Iterable[tuple], dtype) -> None:
        """Call ``work(*piece, scratch)`` for every piece, on all threads; raises what it raises."""

        def one(piece):
            try:
                memory = self._memory.get_nowait()
            except queue.Empty:
                memory = scratch(self.block, dtype)
            work(*piece, memory)
            self._memory.put(memory)

        with blas.one_thread():
            for _ in self._pool.map(one, pieces) if self._pool else map(one, pieces):
                pass


def available_cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(net: Network, x, at_start: bool, at_end: bool, workers: Workers) -> np.ndarray:
    """The outputs of a piece of signal whose ends may be the signal's own.

    x [channels, n] at 16 kHz, of the network's dtype. Where the piece begins (ends) inside the
    signal, its first 11 (last 13) samples are context and get no output. So it gives
    [channels, 3 (n - context)] at 48 kHz, less 4 at the signal's true end, as `forward` does.
    The same piece gives the same bytes whatever the number of threads.
    """
    samples = x.shape[-1]
    first = 0 if at_start else CONTEXT_LEFT
    last = samples if at_end else samples - CONTEXT_RIGHT
    loss = EDGE_LOSS if at_end else 0
    if last <= first:
        return np.zeros((len(x), 0), x.dtype)
    if (at_start or at_end) and samples <= 2 * CONTEXT:
        return forward(net.params, x)[:, UPSAMPLING * first : UPSAMPLING * last]

    y = np.empty((len(x), UPSAMPLING * (last - first) - loss), x.dtype)
    inside = range(CONTEXT_LEFT, samples - CONTEXT_RIGHT)
    if at_start:
        head = forward(net.params, x[:, :CONTEXT])
        y[:, : UPSAMPLING * CONTEXT_LEFT] = head[:, : UPSAMPLING * CONTEXT_LEFT]
    if at_end:
        tail = forward(net.params, x[:, -CONTEXT:])[:, UPSAMPLING * CONTEXT_LEFT :]
        y[:, -tail.shape[-1] :] = tail

    def block(channel, start, memory):
        stop = min(start + workers.block, inside.stop)
        window = x[channel, start - CONTEXT_LEFT : stop + CONTEXT_RIGHT]
        out = y[channel, UPSAMPLING * (start - first) : UPSAMPLING * (stop - first)]
        interior(net.prepared, window, out, memory)

    starts = range(inside.start, inside.stop, workers.block)
    pieces = ((channel, start) for channel in range(len(x)) for start in starts)
    workers.each(block, pieces, x.dtype)
    return y
