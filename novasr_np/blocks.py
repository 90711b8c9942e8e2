"""Cut a signal of any length into pieces, exactly, and run them on threads.

The outputs for an input sample look at a fixed number of samples on either side (`Network`), so a
piece that brings this context along gives the same samples as the whole: there is nothing to
cross-fade. Only at the true ends of a signal do the layers see zeros; there `forward`, the plain
network, runs on the samples that matter, and everything between goes through `interior`.
"""

import queue
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from . import blas, windows
from .networks.record import Level, Live, Network, Params, Windowed
from .samples import ceil_div, whole_number
from .tensors import check_finite, check_output
from .threads import available_cores

_CHANNELS = 64  # whose true ends are computed at a time
_CHUNK_SECONDS = 4  # of a file or stream at a time: enough blocks to keep the threads busy

# What computes a piece of a signal, (x, start, at_end) -> y, as `run` defines it.
Run = Callable[[np.ndarray, int, bool], np.ndarray]


class Model(NamedTuple):
    """A network with its weights: as they are, for the ends of a signal, and folded, for the rest.

    Made by `prepare`.
    """

    network: Network
    params: Params
    folded: Any


def prepare(network: Network, params: Params, dtype: Any) -> Model:
    """Ready a tree of weights (`load_weights`) to run in `dtype`.

    Raises TypeError if that is neither float32 nor float64, WeightsError if the weights or their
    products are too large for it.
    """
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"the network runs in float32 or float64, got {np.dtype(dtype)}")
    with np.errstate(all="ignore"):
        folded = network.fold(params, dtype)
    check_finite(folded, network.name, dtype)
    return Model(network, params, folded)


@dataclass(frozen=True)
class Runner:
    """What computes pieces of signals: a model and the cores or devices behind it.

    A context manager; leaving it ends its threads.
    """

    network: Network | Windowed
    dtype: Any  # of the pieces and their outputs
    run: Run
    chunk: int  # input samples, over all channels, that keep it busy
    multiple: int = 1  # each channel best gets a multiple of this many samples
    close: Callable[[], None] = lambda: None
    live: Callable[[int], Live] | None = None  # channels -> a stream of its own kind
    # For networks that hear windows: blocks of a whole sound -> its level; and a stream of that.
    measure: Callable[[Iterable[np.ndarray]], Level] | None = None
    at_level: Callable[[int, Level], Live] | None = None

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Backend:
    """Compute with numpy. threads: how many; None for one on each core this process may use.

    options: of a network that has some, by name.
    """

    threads: int | None = None
    options: Mapping[str, Any] | None = None

    def open(self, network: Network | Windowed, params: Params, dtype: Any = np.float32) -> Runner:
        """A runner for weights. Raises as `Workers` and `prepare` do, TypeError or ValueError for
        options that the network does not have.
        """
        if isinstance(network, Windowed):
            options = network.checked(self.options, network.window)
            compute = windows.runner(network, params, options, dtype, self.threads)
            return windowed_runner(network, options, compute, dtype)
        network.refuse(self.options)
        workers = Workers(self.threads)
        model = prepare(network, params, dtype)
        chunk = _CHUNK_SECONDS * network.rate_in
        live = partial(_CheckedLive, model, dtype) if network.live else None
        return Runner(
            network, dtype, partial(run, model, workers), chunk, close=workers.close, live=live
        )


def windowed_runner(
    network: Windowed, options: Any, run: windows.Run, dtype: Any, at_once: int = 1, **others: Any
) -> Runner:
    """A runner for what computes windows, best so many at once. others: fields of `Runner`."""
    return Runner(
        network,
        dtype,
        partial(windows.whole, network, options, run),
        at_once * (network.window - options.overlap),
        measure=partial(windows.measure, network),
        at_level=lambda channels, level: windows.Live(
            network, options, run, channels, dtype, level
        ),
        **others,
    )


class _CheckedLive:
    """A network's own stream, whose outputs are looked at."""

    def __init__(self, model: Model, dtype: Any, channels: int) -> None:
        assert model.network.live is not None
        self._name = model.network.name
        self._live = model.network.live(model.folded, channels, dtype)

    @blas.one_thread()
    @np.errstate(all="ignore")
    def push(self, x: np.ndarray, last: bool = False) -> np.ndarray:
        return check_output(self._live.push(x, last), self._name)


class Workers:
    """Threads with working memory of their own. A context manager; leaving it ends the threads.

    threads: how many, None for one on each core this process may use. block: input samples at a
    time, None for what suits the network. Raises ValueError if one is less than 1, TypeError if it
    is no whole number.
    """

    def __init__(self, threads: int | None = None, block: int | None = None) -> None:
        threads = available_cores() if threads is None else threads
        self.threads = whole_number("threads", threads)
        self.block = None if block is None else whole_number("block", block)
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._memory: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def each(self, work: Callable, pieces: Iterable[tuple], new_memory: Callable[[], Any]) -> None:
        """Call ``work(*piece, memory)`` for every piece, on all threads; raises what it raises.

        new_memory makes what a thread works in, once for each.
        """

        def one(piece: tuple) -> None:
            try:
                memory = self._memory.get_nowait()
            except queue.Empty:
                memory = new_memory()
            work(*piece, memory)
            self._memory.put(memory)

        for _ in self._pool.map(one, pieces) if self._pool else map(one, pieces):
            pass


@blas.one_thread()
@np.errstate(all="ignore")
def run(model: Model, workers: Workers, x: np.ndarray, start: int, at_end: bool) -> np.ndarray:
    """The outputs of a piece of signal whose ends may be the signal's own.

    x [channels, n] at the network's rate, of the model's dtype. start: where the piece begins in
    its signal, in samples, whole steps. Where it begins (ends) inside the signal, its first
    context_left (last context_right) samples are context and get no output. So it gives [channels,
    at (n - context)] (`Network.at`), less edge_loss at the signal's true end, as `forward` does.
    The same piece gives the same bytes whatever the number of threads.

    Raises WeightsError if the weights make NaN of it.
    """
    network, params, folded = model
    at_start = start == 0
    left, right, context, at = (
        network.context_left,
        network.context_right,
        network.context,
        network.at,
    )
    if not at_end:
        x = x[:, : network.whole(x.shape[-1])]
    samples = x.shape[-1]
    first = 0 if at_start else left
    last = samples if at_end else samples - right
    loss = network.edge_loss if at_end else 0
    if last <= first:
        return np.zeros((len(x), 0), x.dtype)
    y = np.empty((len(x), max(0, at(last) - at(first) - loss)), x.dtype)
    is_short = (at_start or at_end) and samples <= 2 * context
    is_short |= at_end and samples % network.step > 0  # a whole signal that cannot be cut
    # Every layer of `forward` holds all it is given: a few channels at a time.
    for rows in (slice(i, i + _CHANNELS) for i in range(0, len(x), _CHANNELS)):
        if is_short:
            y[rows] = network.forward(params, x[rows], start=start)[:, at(first) : at(last)]
            continue
        if at_start:
            head = network.forward(params, x[rows, :context])
            y[rows, : at(left)] = head[:, : at(left)]
        if at_end:
            tail = network.forward(params, x[rows, -context:], start=start + samples - context)
            y[rows, at(last - right) - at(first) :] = tail[:, at(left) :]
    if is_short:
        return check_output(y, network.name)

    inside = range(left, samples - right)
    size = ceil_div(workers.block or network.block, network.step) * network.step

    def block(channel: int, begin: int, memory: Any) -> None:
        stop = min(begin + size, inside.stop)
        window = x[channel, begin - left : stop + right]
        out = y[channel, at(begin) - at(first) : at(stop) - at(first)]
        with np.errstate(all="ignore"):  # a thread has its own; `check_output` tells
            network.interior(folded, window, out, memory, start=start + begin - left)

    starts = range(inside.start, inside.stop, size)
    pieces = ((channel, start) for channel in range(len(x)) for start in starts)
    workers.each(block, pieces, partial(network.scratch, size, x.dtype))
    return check_output(y, network.name)
