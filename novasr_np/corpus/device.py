"""Compute the pieces of many processes in one process, which owns the devices.

A client copies the samples of its pieces to memory that it shares with the device's process, says
where they lie, and waits until the outputs are there. Each client waits for one request at a time,
so a device's process holds no more than one request of each.
"""

import mmap
import os
import queue
import selectors
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from multiprocessing import Pipe, reduction
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from ..errors import message
from ..networks import NETWORKS
from ..networks.record import Facts
from ..pipeline.feed import Int16, Piece
from ..pipeline.runner import Runner
from ..samples import Int16Rule
from ..weights import Weights, load_weights
from .spawned import Parcel, start, unnamed_file

# Memory that a client shares; more only for a piece that does not fit.
SHARED_BYTES = 16 << 20
# While one batch is fetched and handed out, the next is packed and computed.
_BATCHES_AT_ONCE = 2
# Of a runner, at a time: ends and insides of sounds have batches of their own, the last of each not
# full; but nobody should wait for more than a few.
_CHUNKS = 4
_ALIGNMENT = 64  # bytes, of rows in shared memory


class Gone(BaseException):
    """The device's process has ended; no Exception, so that no handler takes it for a file's."""


class _Described(NamedTuple):
    """What clients are told of the device's runner; fields as of `Runner`."""

    network: str  # its name
    options: Any
    dtype: Any
    block: int
    chunk: int
    multiple: int
    int16: bool


class _Row(NamedTuple):
    """Piece whose samples and outputs are in shared memory, at these offsets in bytes."""

    at_end: bool
    x: int
    samples: int
    start: int
    facts: Facts
    skip: int
    y: int
    outputs: int
    rule: Int16Rule | None  # None: the outputs are floats


class Device:
    """Process that opens a backend and computes for its clients. A context manager; leaving it
    ends the process.

    backend, weights, variant: as for `worker.Job`. It ends by itself when the process that started
    it is gone.
    """

    def __init__(self, backend: Any, weights: Weights | str, variant: str | None) -> None:
        self.connection, theirs = Pipe()
        parcel = Parcel((backend, weights, variant))
        self._process = start("device", _serve, theirs, parcel)
        parcel.close()
        theirs.close()

    def connect(self) -> Connection:
        """Create a client's end of a connection, for `open_client` in any process."""
        ours, theirs = Pipe()
        with theirs, suppress(ConnectionError):  # it has ended, which `check` tells
            reduction.send_handle(self.connection, theirs.fileno(), self._process.pid)
        return ours

    def check(self) -> None:
        """Look at the process when `connection` is ready.

        Raises the error of opening the backend, or ChildProcessError if the process has ended.
        """
        try:
            raise self.connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            raise ChildProcessError(
                f"the device's process ended, with status {self._process.exitcode}: start again "
                "to do what is left"
            ) from None

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def open_client(connections: Sequence[Connection]) -> Runner:
    """Create a runner whose pieces a device's process computes, for a thread per connection.

    Raises `Gone`, as its function `run` does, if that process has ended.
    """
    clients = [_Client(connection) for connection in connections]
    free: queue.SimpleQueue[_Client] = queue.SimpleQueue()
    for client in clients:
        free.put(client)

    def run(pieces: list[Piece]) -> None:
        client = free.get()
        try:
            client.run(pieces)
        finally:
            free.put(client)

    told = clients[0].described
    return Runner(
        *(NETWORKS[told.network], told.options, told.dtype, run),
        *(told.block, told.chunk),
        multiple=told.multiple,
        int16=told.int16,
    )


class _Client:
    """Client of a device's process, with memory that the two share."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.described: _Described = self._receive()
        self._share(SHARED_BYTES)

    def run(self, pieces: Iterable[Piece]) -> None:
        """Write the outputs of every piece, as many at a time as there is memory for."""
        some: list[Piece] = []
        used = 0
        for piece in pieces:
            needed = _aligned(piece.x.nbytes) + _aligned(piece.y.nbytes)
            if some and used + needed > len(self._memory):
                self._compute(some)
                some, used = [], 0
            if needed > len(self._memory):
                self._share(needed)
            some.append(piece)
            used += needed
        if some:
            self._compute(some)

    def _share(self, size: int) -> None:
        """Replace the shared memory by one of `size` bytes."""
        descriptor = unnamed_file(size)
        self._memory = mmap.mmap(descriptor, size)
        self._send(size)
        reduction.send_handle(self._connection, descriptor, None)
        os.close(descriptor)

    def _compute(self, pieces: list[Piece]) -> None:
        rows, outputs, used = [], [], 0
        for piece in pieces:
            at = used, used + _aligned(piece.x.nbytes)
            used = at[1] + _aligned(piece.y.nbytes)
            x, y = (
                _samples(self._memory, offset, len(part), part.dtype)
                for offset, part in zip(at, (piece.x, piece.y), strict=True)
            )
            x[:] = piece.x
            outputs.append(y)
            where = piece.start, piece.facts, piece.skip
            rule = piece.int16.rule if piece.int16 else None
            rows.append(_Row(piece.at_end, at[0], len(x), *where, at[1], len(y), rule))
        self._send(rows)
        answer = self._receive()
        if isinstance(answer, Exception):
            raise answer
        for piece, y, told in zip(pieces, outputs, answer, strict=True):
            piece.y[:] = y
            if piece.int16:
                piece.int16.add(told.peak, told.saturated)

    def _send(self, value: Any) -> None:
        try:
            self._connection.send(value)
        except OSError as error:
            raise Gone from error

    def _receive(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, OSError) as error:
            raise Gone from error


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _samples(memory: mmap.mmap, offset: int, count: int, dtype: Any) -> np.ndarray:
    return np.frombuffer(memory, dtype, count, offset)


class _Request(NamedTuple):
    """Pieces of a client, who waits for them."""

    connection: Connection
    pieces: list[Piece]

    def answer(self, error: Exception | None = None) -> None:
        if error and type(error).__module__ not in ("builtins", "novasr_np.errors"):
            # A client need not be able to import what the backend has imported.
            error = RuntimeError(f"{type(error).__name__}: {message(error)}")
        with suppress(OSError):  # the client has ended
            self.connection.send(error or [piece.int16 for piece in self.pieces])


def _serve(control: Connection, opening: tuple[Any, Weights | str, str | None]) -> None:
    """Compute for the clients whose connections come through `control`, until it is closed.

    opening: the backend, the weights and their variant.
    """
    backend, weights, variant = opening
    try:
        runner = backend.open(load_weights(weights, variant))
    except Exception as error:
        control.send(error)
        return
    requests: queue.SimpleQueue[_Request] = queue.SimpleQueue()
    for _ in range(_BATCHES_AT_ONCE):
        threading.Thread(target=_compute, args=(runner, requests), daemon=True).start()
    described = _Described(
        *(runner.network.name, runner.options, runner.dtype),
        *(runner.block, runner.chunk, runner.multiple, runner.int16),
    )
    memories: dict[Connection, mmap.mmap] = {}
    with selectors.DefaultSelector() as ready:
        ready.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                connection: Any = key.fileobj
                try:
                    if connection is control:
                        client = Connection(reduction.recv_handle(control))
                        client.send(described)
                        ready.register(client, selectors.EVENT_READ)
                        continue
                    received = connection.recv()
                    if isinstance(received, int):
                        descriptor = reduction.recv_handle(connection)
                        memories[connection] = mmap.mmap(descriptor, received)
                        os.close(descriptor)
                        continue
                except (EOFError, OSError):
                    if connection is control:
                        os._exit(0)  # threads may be in the middle of a batch
                    ready.unregister(connection)
                    memories.pop(connection, None)
                    connection.close()
                    continue
                pieces = [_piece(runner, memories[connection], row) for row in received]
                requests.put(_Request(connection, pieces))


def _piece(runner: Runner, memory: mmap.mmap, row: _Row) -> Piece:
    x = _samples(memory, row.x, row.samples, runner.dtype)
    int16 = Int16(row.rule) if row.rule else None
    y = _samples(memory, row.y, row.outputs, np.int16 if int16 else runner.dtype)
    network = runner.network.for_rate(row.facts.sample_rate)
    return Piece(row.at_end, x, row.start, row.facts, network, row.skip, y, int16)


def _compute(runner: Runner, requests: "queue.SimpleQueue[_Request]") -> None:
    """Compute what waits, no more than fills a few batches, again and again."""
    while True:
        some = [requests.get()]
        samples = sum(len(piece.x) for piece in some[0].pieces)
        while samples < _CHUNKS * runner.chunk:
            try:
                some.append(requests.get_nowait())
            except queue.Empty:
                break
            samples += sum(len(piece.x) for piece in some[-1].pieces)
        try:
            runner.run([piece for request in some for piece in request.pieces])
        except Exception as error:
            if len(some) == 1:
                some[0].answer(error)
                continue
            for request in some:  # the error is of one of them alone
                request.answer(_error(runner, request.pieces))
        else:
            for request in some:
                request.answer()


def _error(runner: Runner, pieces: list[Piece]) -> Exception | None:
    try:
        runner.run(pieces)
    except Exception as error:
        return error
    return None
