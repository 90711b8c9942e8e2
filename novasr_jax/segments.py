"""Signals of any length as batches of one shape: the plan of the cuts, and the devices.

Outputs 3n .. 3n+2 look at the inputs n-11 .. n+13 and at no others, so a segment that brings this
context along gives the same samples as the whole. Two programs serve every signal: the steps of
`fused` on [batch, segment + 24], and, for true ends and for signals hardly longer than that,
`forward` on [batch, 48] with the length of each row. So nothing is compiled twice, and what a
device holds depends on batch and segment alone.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from novasr_np.spec import CONTEXT, CONTEXT_LEFT, CONTEXT_RIGHT, EDGE_LOSS, UPSAMPLING

from . import fused
from .layers import PRECISIONS
from .model import forward

# Rows for each device and input samples for each row, by the kind of device. On a CPU a batch's
# activations should stay in the cache; an accelerator wants work enough to be busy.
SHAPES = {"cpu": (4, 4000), "gpu": (64, 16_000), "tpu": (64, 16_000)}

# Input samples of a row for true ends. A signal up to this long has no inside.
_EDGE = 2 * CONTEXT
# Batches under way at a time: the host packs one and fetches one while a device works.
_UNDER_WAY = 2
# What rows are filled up with. It never reaches an output.
_PADDING = 0.0


class Network(NamedTuple):
    """A set of weights on its devices, and how signals are cut for them. Made by `network`."""

    params: dict
    prepared: fused.Prepared
    batch: int  # rows, over all devices
    segment: int  # input samples for each row, without its context
    precision: str
    rows: NamedSharding  # batch axis over the devices


class Piece(NamedTuple):
    """A row of a batch."""

    x: np.ndarray  # input samples, as many as the row has room for, or fewer
    first: int  # where in the row's output y begins
    y: np.ndarray  # view of the signal's output: where the row's goes


def network(
    params,
    dtype=np.float32,
    *,
    batch: int | None = None,
    segment: int | None = None,
    precision: str = "highest",
    devices: str | Sequence[jax.Device] | None = None,
) -> Network:
    """Put a tree of weights (`load_weights`) on devices, ready to `run`.

    batch: rows of a batch over all devices, a multiple of their number; segment: input samples
    for each row; None for what suits the devices (`SHAPES`). precision: as for `forward`.
    devices: "cpu", "gpu" or "tpu" for all of that kind, or the devices themselves; None for all
    of JAX's default kind.

    Raises TypeError or ValueError for what does not fit these, with the value.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)}; got {precision!r}")
    chosen = _devices(devices)
    rows, samples = SHAPES.get(chosen[0].platform, SHAPES["gpu"])
    batch = _count("batch", batch, rows * len(chosen))
    segment = _count("segment", segment, samples)
    if batch % len(chosen):
        raise ValueError(f"batch is a multiple of the {len(chosen)} devices, got {batch}")
    mesh = Mesh(np.array(chosen), ("batch",))
    everywhere = NamedSharding(mesh, PartitionSpec())
    return Network(
        params=jax.device_put(params, everywhere),
        prepared=jax.device_put(fused.prepare(params, dtype), everywhere),
        batch=batch,
        segment=segment,
        precision=precision,
        rows=NamedSharding(mesh, PartitionSpec("batch")),
    )


def run(net: Network, x, at_start: bool, at_end: bool) -> np.ndarray:
    """The outputs of a piece of signal whose ends may be the signal's own.

    x [channels, n] at 16 kHz, of the network's dtype. Where the piece begins (ends) inside the
    signal, its first 11 (last 13) samples are context and get no output. So it gives
    [channels, 3 (n - context)] at 48 kHz, less 4 at the signal's true end, as `forward` does.
    """
    return run_all(net, [x], [(at_start, at_end)])[0]


def run_all(net: Network, xs: Sequence, ends: Sequence[tuple[bool, bool]] | None = None) -> list:
    """`run` for several pieces at once, which share the batches.

    ends: (at_start, at_end) of each piece; None if all are whole signals. Raises MemoryError if a
    batch does not fit a device.
    """
    ends = [(True, True)] * len(xs) if ends is None else ends
    ys = []
    for x, (at_start, at_end) in zip(xs, ends, strict=True):
        first, last = _settled(x.shape[-1], at_start, at_end)
        loss = EDGE_LOSS if at_end else 0
        ys.append(np.empty((len(x), max(0, UPSAMPLING * (last - first) - loss)), x.dtype))
    signals = [
        (x[c], y[c], *true) for x, y, true in zip(xs, ys, ends, strict=True) for c in range(len(x))
    ]
    inside = (p for signal in signals for p in _inside(net.segment, *signal))
    edges = (p for signal in signals for p in _ends(*signal))
    try:
        _each_batch(net, partial(_inner, net), inside, net.segment + CONTEXT)
        _each_batch(net, partial(_outer, net), edges, _EDGE)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise MemoryError(
            f"a device has no room for {net.batch} rows of {net.segment} samples: "
            "take a smaller batch or segment"
        ) from error
    return ys


def interior_steps(net: Network, x: jax.Array) -> jax.Array:
    """`fused.interior` of x [batch, n + 24] on the devices, as four programs."""
    wave = _wave0(net.prepared, x, precision=net.precision)
    h = _hidden(net.prepared, x, wave, precision=net.precision)
    wave = _wave1(net.prepared, h, precision=net.precision)
    return _output(net.prepared, x, h, wave)


def compile(net: Network) -> None:
    """Compile both programs now rather than with the first signal."""
    dtype = net.prepared.bias.dtype
    run(net, np.zeros((1, _EDGE + 1), dtype), True, True)


def _settled(samples: int, at_start: bool, at_end: bool) -> tuple[int, int]:
    """The input samples first .. last - 1 of a piece have their outputs in it."""
    first = 0 if at_start else CONTEXT_LEFT
    return first, samples if at_end else samples - CONTEXT_RIGHT


def _is_short(x, at_start: bool, at_end: bool) -> bool:
    return len(x) <= _EDGE and (at_start or at_end)


def _inside(segment, x, y, at_start, at_end) -> Iterator[Piece]:
    """A signal's inside, `segment` samples at a time."""
    if _is_short(x, at_start, at_end):
        return
    first, _ = _settled(len(x), at_start, at_end)
    stop = len(x) - CONTEXT_RIGHT
    for start in range(CONTEXT_LEFT, stop, segment):
        last = min(start + segment, stop)
        out = y[UPSAMPLING * (start - first) : UPSAMPLING * (last - first)]
        yield Piece(x[start - CONTEXT_LEFT : last + CONTEXT_RIGHT], 0, out)


def _ends(x, y, at_start, at_end) -> Iterator[Piece]:
    """A signal's true ends, or the whole of a short one."""
    edge = UPSAMPLING * CONTEXT_LEFT
    if _is_short(x, at_start, at_end):
        if y.size:
            yield Piece(x, 0 if at_start else edge, y)
        return
    if at_start:
        yield Piece(x[:CONTEXT], 0, y[:edge])
    if at_end:
        tail = UPSAMPLING * CONTEXT_RIGHT - EDGE_LOSS
        yield Piece(x[-CONTEXT:], edge, y[-tail:])


def _each_batch(net: Network, program, pieces: Iterator[Piece], width: int) -> None:
    """Run a program on the pieces, a batch at a time, and put its outputs where they go."""
    under_way: deque = deque()
    while batch := list(islice(pieces, net.batch)):
        rows = np.full((net.batch, width), _PADDING, batch[0].x.dtype)
        lengths = np.full(net.batch, width, np.int32)
        for row, piece in enumerate(batch):
            rows[row, : len(piece.x)] = piece.x
            lengths[row] = len(piece.x)
        under_way.append((batch, program(rows, lengths)))
        if len(under_way) == _UNDER_WAY:
            _fetch(*under_way.popleft())
    while under_way:
        _fetch(*under_way.popleft())


def _fetch(batch: Iterable[Piece], outputs: jax.Array) -> None:
    for piece, y in zip(batch, np.asarray(outputs), strict=False):
        piece.y[:] = y[piece.first : piece.first + len(piece.y)]


def _inner(net: Network, rows, lengths) -> jax.Array:
    return interior_steps(net, jax.device_put(rows, net.rows))


def _outer(net: Network, rows, lengths) -> jax.Array:
    x, lengths = jax.device_put((rows, lengths), net.rows)
    return _forward(net.params, x, lengths)


# Each step is compiled by itself: within one program XLA would merge them, and take every cosine
# six times over, once for each tap that looks at it.
_wave0 = jax.jit(fused.wave0, static_argnames="precision")
_hidden = jax.jit(fused.hidden, static_argnames="precision")
_wave1 = jax.jit(fused.wave1, static_argnames="precision")
_output = jax.jit(fused.output)
_forward = jax.jit(forward)


def _devices(devices) -> list[jax.Device]:
    if devices is None or isinstance(devices, str):
        try:
            return jax.local_devices(backend=devices)
        except RuntimeError as error:
            kinds = sorted({device.platform for device in jax.local_devices()})
            raise ValueError(
                f"no device of kind {devices!r} here; JAX has {', '.join(kinds)}"
            ) from error
    chosen = list(devices)
    if not chosen or not all(isinstance(device, jax.Device) for device in chosen):
        raise TypeError(f"devices are a kind or some of jax.devices(), got {devices!r}")
    return chosen


def _count(name: str, value, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is a whole number, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} is at least 1, got {value}")
    return int(value)
