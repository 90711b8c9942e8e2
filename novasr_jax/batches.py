"""Cut signals of any length into batches of one shape, exactly, and run them on devices.

The outputs for an input sample look at a fixed number of samples on either side
(`novasr_np.networks.record`), so a segment that brings this context along gives the same samples as
the whole. Two programs serve every signal: the interior on [batch, segment + context], and, for
true ends and for signals hardly longer than that, `forward` on [batch, 2 context] with the length
of each row. So nothing is compiled twice, and what a device holds depends on batch and segment
alone.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import islice
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from novasr_np.networks import Network
from novasr_np.samples import ceil_div, whole_number
from novasr_np.tensors import check_finite, check_output

from .layers import PRECISIONS
from .networks import NETWORKS

# Rows for each device and input samples for each row, by the kind of device. On a CPU a batch's
# activations should stay in the cache; an accelerator wants work enough to be busy. A network
# that has more context has longer rows, `Network.block`.
SHAPES = {"cpu": (4, 4000), "gpu": (64, 16_000), "tpu": (64, 16_000)}

# Batches under way at a time: the host packs one and fetches one while a device works.
_UNDER_WAY = 2
# What rows are filled up with. It never reaches an output.
_PADDING = 0.0


class Model(NamedTuple):
    """A network with its weights on its devices, and how signals are cut for it."""

    network: Network
    params: dict[str, Any]
    folded: Any
    dtype: Any
    batch: int  # rows, over all devices
    segment: int  # input samples for each row, without its context
    precision: str
    rows: NamedSharding  # batch axis over the devices

    @property
    def edge(self) -> int:
        """Input samples of a row for true ends. A signal up to this long has no inside."""
        return 2 * self.network.context


class Piece(NamedTuple):
    """A row of a batch."""

    x: np.ndarray  # input samples, as many as the row has room for, or fewer
    start: int  # where they begin in their signal
    first: int  # where in the row's output y begins
    y: np.ndarray  # view of the signal's output: where the row's goes


def prepare(
    network: Network,
    params: dict[str, Any],
    dtype: Any = np.float32,
    *,
    batch: int | None = None,
    segment: int | None = None,
    precision: str = "highest",
    devices: str | Sequence[jax.Device] | None = None,
) -> Model:
    """Put a tree of weights (`load_weights`) on devices, ready to `run`.

    batch: rows of a batch over all devices, a multiple of their number; segment: input samples
    for each row; None for what suits the devices (`SHAPES`). precision: as for `forward`.
    devices: "cpu", "gpu" or "tpu" for all of that kind, or the devices themselves; None for all
    of JAX's default kind.

    Raises TypeError or ValueError for what does not fit these, with the value; WeightsError if the
    weights or their products are too large for the dtype.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    chosen = chosen_devices(devices)
    rows, samples = SHAPES.get(chosen[0].platform, SHAPES["gpu"])
    batch = rows_of_a_batch(batch, rows, chosen)
    suits = max(samples, network.block)
    segment = whole_number("segment", suits if segment is None else segment)
    segment = ceil_div(segment, network.step) * network.step
    everywhere, over_devices = shardings(chosen)
    with np.errstate(all="ignore"):
        folded = NETWORKS[network.name].fold(params, dtype)
    check_finite(folded, network.name, dtype)
    return Model(
        network=network,
        params=jax.device_put(params, everywhere),
        folded=jax.device_put(folded, everywhere),
        dtype=dtype,
        batch=batch,
        segment=segment,
        precision=precision,
        rows=over_devices,
    )


def run(model: Model, x: np.ndarray, start: int, at_end: bool) -> np.ndarray:
    """The outputs of a piece of signal whose ends may be the signal's own.

    x [channels, n] at the network's rate, of the model's dtype. start: where the piece begins in
    its signal, in samples, whole steps. Where it begins (ends) inside the signal, its first
    context_left (last context_right) samples are context and get no output. So it gives [channels,
    at (n - context)] (`Network.at`), less edge_loss at the signal's true end, as `forward` does. A
    whole signal has whole steps (`Network.padding`).
    """
    return run_all(model, [x], [(start, at_end)])[0]


def run_all(
    model: Model,
    xs: Sequence[np.ndarray],
    places: Sequence[tuple[int, bool]] | None = None,
) -> list[np.ndarray]:
    """`run` for several pieces at once, which share the batches.

    places: (start, at_end) of each piece; None if all are whole signals. Raises ValueError for a
    signal that does not end with a step, MemoryError if a batch does not fit a device, WeightsError
    if the weights make NaN of a piece.
    """
    network = model.network
    places = [(0, True)] * len(xs) if places is None else places
    for x, (_, at_end) in zip(xs, places, strict=True):
        if at_end and x.shape[-1] % network.step:
            raise ValueError(
                f"{network.name} takes {network.step} samples at a time in JAX, got "
                f"{x.shape[-1]}: add a zero"
            )
    xs = [x[:, : network.whole(x.shape[-1])] for x in xs]
    ys = []
    for x, (start, at_end) in zip(xs, places, strict=True):
        first, last = _determined(network, x.shape[-1], start, at_end)
        loss = network.edge_loss if at_end else 0
        size = max(0, network.at(last) - network.at(first) - loss)
        ys.append(np.empty((len(x), size), x.dtype))
    signals = [
        (x[channel], y[channel], start, at_end)
        for x, y, (start, at_end) in zip(xs, ys, places, strict=True)
        for channel in range(len(x))
    ]
    inside = (piece for signal in signals for piece in _inside(model, *signal))
    edges = (piece for signal in signals for piece in _ends(model, *signal))
    try:
        _each_batch(model, partial(_inner, model), inside, model.segment + network.context)
        _each_batch(model, partial(_outer, model), edges, model.edge)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise MemoryError(
            f"a device has no room for {model.batch} rows of {model.segment} samples: "
            "take a smaller batch or segment"
        ) from error
    return [check_output(y, network.name) for y in ys]


def warm_up(model: Model) -> None:
    """Compile both programs now rather than with the first signal."""
    run(model, np.zeros((1, model.edge + model.network.step), model.dtype), 0, True)


def _determined(network: Network, samples: int, start: int, at_end: bool) -> tuple[int, int]:
    """The input samples first .. last - 1 of a piece have their outputs in it."""
    first = 0 if start == 0 else network.context_left
    return first, samples if at_end else samples - network.context_right


def _is_short(model: Model, x: np.ndarray, start: int, at_end: bool) -> bool:
    return len(x) <= model.edge and (start == 0 or at_end)


def _inside(
    model: Model, x: np.ndarray, y: np.ndarray, start: int, at_end: bool
) -> Iterator[Piece]:
    """A signal's inside, a segment at a time."""
    if _is_short(model, x, start, at_end):
        return
    network = model.network
    left, right, at = network.context_left, network.context_right, network.at
    first, _ = _determined(network, len(x), start, at_end)
    stop = len(x) - right
    for begin in range(left, stop, model.segment):
        last = min(begin + model.segment, stop)
        out = y[at(begin) - at(first) : at(last) - at(first)]
        yield Piece(x[begin - left : last + right], start + begin - left, 0, out)


def _ends(model: Model, x: np.ndarray, y: np.ndarray, start: int, at_end: bool) -> Iterator[Piece]:
    """A signal's true ends, or the whole of a short one."""
    network = model.network
    edge = network.at(network.context_left)
    if _is_short(model, x, start, at_end):
        if y.size:
            yield Piece(x, start, 0 if start == 0 else edge, y)
        return
    if start == 0:
        yield Piece(x[: network.context], 0, 0, y[:edge])
    if at_end:
        tail = network.at(network.context_right) - network.edge_loss
        last = x[-network.context :]
        yield Piece(last, start + len(x) - len(last), edge, y[-tail:])


def _each_batch(
    model: Model,
    program: Callable[[np.ndarray, np.ndarray, np.ndarray], jax.Array],
    pieces: Iterator[Piece],
    width: int,
) -> None:
    """Run a program on the pieces, a batch at a time, and put its outputs where they go."""
    under_way: deque = deque()
    while batch := list(islice(pieces, model.batch)):
        rows = np.full((model.batch, width), _PADDING, batch[0].x.dtype)
        lengths = np.full(model.batch, width, np.int32)
        starts = np.zeros(model.batch, np.int32)
        for row, piece in enumerate(batch):
            rows[row, : len(piece.x)] = piece.x
            lengths[row], starts[row] = len(piece.x), piece.start // model.network.step
        under_way.append((batch, program(rows, lengths, starts)))
        if len(under_way) == _UNDER_WAY:
            _fetch(*under_way.popleft())
    while under_way:
        _fetch(*under_way.popleft())


def _fetch(batch: Iterable[Piece], outputs: jax.Array) -> None:
    for piece, y in zip(batch, np.asarray(outputs), strict=False):
        piece.y[:] = y[piece.first : piece.first + len(piece.y)]


def _inner(model: Model, rows: np.ndarray, lengths: np.ndarray, starts: np.ndarray) -> jax.Array:
    x, starts = jax.device_put((rows, starts), model.rows)
    interior = NETWORKS[model.network.name].interior
    return interior(model.folded, x, start=starts, precision=model.precision)


def _outer(model: Model, rows: np.ndarray, lengths: np.ndarray, starts: np.ndarray) -> jax.Array:
    x, lengths, starts = jax.device_put((rows, lengths, starts), model.rows)
    return _forward(model.network.name)(model.params, x, lengths, start=starts)


@cache
def _forward(name: str) -> Callable[..., jax.Array]:
    return jax.jit(NETWORKS[name].forward)


def rows_of_a_batch(batch: int | None, suits: int, devices: Sequence[jax.Device]) -> int:
    """How many rows over all devices; None for what suits each. Raises as `prepare`."""
    batch = whole_number("batch", suits * len(devices) if batch is None else batch)
    if batch % len(devices):
        raise ValueError(f"batch must be a multiple of the {len(devices)} devices, got {batch}")
    return batch


def shardings(devices: Sequence[jax.Device]) -> tuple[NamedSharding, NamedSharding]:
    """Of what every device has, and of rows that they share."""
    mesh = Mesh(np.array(devices), ("batch",))
    return NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))


def chosen_devices(devices: str | Sequence[jax.Device] | None) -> list[jax.Device]:
    """Those of a kind, or the given ones, as `prepare` has them."""
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
