"""Compute pieces with numpy, on threads."""

import queue
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from .. import blas
from ..networks.record import Facts, LayerStream, Network
from ..samples import float_type, whole_number
from ..tensors import check_finite, check_output
from ..threads import Threads
from ..weights import Weights
from .feed import SEGMENT, Piece
from .runner import Runner

_CHUNK_SECONDS = 4  # of a file or stream at a time, enough blocks to keep the threads busy


@dataclass(frozen=True)
class Backend:
    """Backend that computes with numpy.

    threads: number of threads; None for one on each core this process may use. The output's bytes
    do not depend on it. options: the network's, by name. block: input samples of a piece, None for
    the network's default.
    """

    exclusive: ClassVar[bool] = False  # each process of a run opens it

    threads: int | None = None
    options: Mapping[str, Any] | None = None
    block: int | None = None

    def open(self, weights: Weights, dtype: Any = np.float32) -> Runner:
        """Create a runner for weights.

        Raises TypeError unless the dtype is float32 or float64, WeightsError if the weights or
        their products are too large for it, TypeError or ValueError for invalid threads, block or
        options.
        """
        network, compute = weights.network, weights.network.compute
        options, dtype = network.choose(self.options), float_type(dtype)
        hop = network.cut.hop(options)
        block = hop if self.block is None else whole_number("block", self.block)
        threads = Threads(self.threads)
        with np.errstate(all="ignore"):
            folded = compute.fold(weights.params, dtype, options)
        check_finite(folded, network.name, dtype)
        live = partial(_CheckedLive, folded, dtype) if compute.open_live else None
        chunk = max(hop, _CHUNK_SECONDS * network.rate_in)
        if live:  # a segment for each thread
            chunk = threads.count * SEGMENT * block
        return Runner(
            network,
            options,
            dtype,
            _Pieces(weights, folded, threads, block, dtype).run,
            block,
            chunk,
            open_live=live,
            close=threads.close,
        )


class _Pieces:
    """Run pieces, each on a thread; or one by one, where all threads share its layers."""

    def __init__(
        self, weights: Weights, folded: Any, threads: Threads, block: int, dtype: Any
    ) -> None:
        self._weights, self._folded, self._threads = weights, folded, threads
        self._dtype = dtype
        self._new_memory = partial(weights.network.compute.scratch, block, dtype)
        self._memory: queue.SimpleQueue[Any] = queue.SimpleQueue()

    @blas.one_thread()
    @np.errstate(all="ignore")  # a NaN is found in the outputs
    def run(self, pieces: list[Piece]) -> None:
        if not self._weights.network.compute.shares_layers:
            self._threads.each(self._one, pieces)
            return
        with self._threads.shared():
            for piece in pieces:
                self._one(piece)

    def _one(self, piece: Piece) -> None:
        network, compute = piece.network, piece.network.compute
        place = network.place(piece.start, piece.facts)
        if compute.open_live:
            facts = piece.facts._replace(channels=1)
            live = compute.open_live(self._folded, self._dtype, facts, network.rate_in)
            (y,) = live.push(piece.x[np.newaxis], last=piece.at_end)
            piece.y[:] = y[piece.skip : piece.skip + len(piece.y)]
        elif piece.at_end:
            y = compute.forward(self._weights.params, piece.x, **place)
            piece.y[:] = y[piece.skip : piece.skip + len(piece.y)]
        else:
            assert compute.interior is not None
            try:
                memory = self._memory.get_nowait()
            except queue.Empty:
                memory = self._new_memory()
            compute.interior(self._folded, piece.x, piece.y, memory, **place)
            self._memory.put(memory)
        check_output(piece.y, network.name)


class _CheckedLive:
    """A network's own stream, whose outputs are checked."""

    def __init__(self, folded: Any, dtype: Any, network: Network, facts: Facts) -> None:
        assert network.compute.open_live is not None
        self._name = network.name
        self._live: LayerStream = network.compute.open_live(folded, dtype, facts, network.rate_in)

    @blas.one_thread()
    @np.errstate(all="ignore")
    def push(self, x: np.ndarray, last: bool = False) -> np.ndarray:
        return check_output(self._live.push(x, last), self._name)
