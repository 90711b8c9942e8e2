"""Compute pieces on devices, in batches of one shape.

Two programs serve every sound of one rate: `interior` on rows of one width, and, for the ends of a
sound and for very short sounds, `forward` on rows of twice the context, with the length of each. So
nothing is compiled twice, and a device's memory depends only on batch and segment. A network that
takes several rates has two programs for each; where a sound ends is an argument of both.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from novasr_np.networks.record import Facts
from novasr_np.networks.record import Network as InNumpy
from novasr_np.pipeline.feed import Piece
from novasr_np.samples import Int16Rule, whole_number
from novasr_np.tensors import check_finite, check_output
from novasr_np.weights import Weights

from .layers import PRECISIONS
from .networks import NETWORKS
from .samples import as_int16

# Batches in progress at a time: the host packs one and fetches one while a device works.
_UNDER_WAY = 2
# Padding of rows. It never affects an output.
_PADDING = 0.0

# (the network as it takes the rows, rows [n, width], their lengths, starts and facts) -> outputs in
# progress, and a function that finishes them
Program = Callable[
    [InNumpy, np.ndarray, np.ndarray, np.ndarray, list[Facts]],
    tuple[jax.Array, Callable[[np.ndarray], np.ndarray]],
]


class Model(NamedTuple):
    """Network with its weights on its devices, and the shape of its batches."""

    weights: Weights
    params: Any  # on the devices, for `forward`
    folded: Any  # likewise, for `interior`
    prepare: Any  # the host's preparation of rows, or None
    dtype: Any
    batch: int  # rows, over all devices
    segment: int  # input samples for each row, without its context, at the network's `rate_in`
    precision: str
    sharding: NamedSharding  # batch axis over the devices

    def width(self, network: InNumpy) -> int:
        """Input samples of a row with its context, at the rate at which a sound is taken."""
        return network.cut.width(self.segment * network.rate_in // self.weights.network.rate_in)


def make_model(
    weights: Weights,
    dtype: Any = np.float32,
    *,
    options: Any = None,
    batch: int | None = None,
    segment: int | None = None,
    precision: str = "highest",
    devices: str | Sequence[jax.Device] | None = None,
) -> Model:
    """Put weights on devices, ready to `run`.

    options: as `Network.choose` returns them. batch: rows over all devices, a multiple of their
    number; segment: input samples for each row at the network's own rate, as long at others, always
    None for a network with windows; None for a choice by the devices. precision: as for `forward`.
    devices: "cpu", "gpu" or "tpu" for all of that kind, or a list of devices; None for all of JAX's
    default kind.

    Raises TypeError or ValueError for an invalid argument, with its value; WeightsError if the
    weights or their products are too large for the dtype.
    """
    network, ours = weights.network, NETWORKS[weights.network.name]
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    chosen = chosen_devices(devices)
    kind = chosen[0].platform if chosen[0].platform in ours.segments else "gpu"
    segment = network.cut.segment(segment, ours.segments[kind])
    batch = whole_number("batch", ours.rows[kind] * len(chosen) if batch is None else batch)
    if batch % len(chosen):
        raise ValueError(f"batch must be a multiple of the {len(chosen)} devices, got {batch}")
    mesh = Mesh(np.array(chosen), ("batch",))
    place = partial(jax.device_put, device=NamedSharding(mesh, PartitionSpec()))
    with np.errstate(all="ignore"):
        folded = ours.fold(weights.params, dtype, precision, place)
    check_finite(folded, network.name, dtype)
    return Model(
        weights=weights,
        params=place(weights.params) if ours.forward else None,
        folded=place(folded),
        prepare=ours.prepare(weights.params, options, dtype) if ours.prepare else None,
        dtype=dtype,
        batch=batch,
        segment=segment,
        precision=precision,
        sharding=NamedSharding(mesh, PartitionSpec("batch")),
    )


def run(model: Model, pieces: list[Piece]) -> None:
    """Write the outputs of every piece. Pieces of several sounds share the batches.

    Those that are to be int16 become so on the devices, by a program behind the network's: its
    floats are the same with and without.

    Raises ValueError for a piece at an end of its sound that is no whole number of steps,
    MemoryError if a batch does not fit a device, WeightsError if a piece's outputs have NaN.
    """
    alike: dict[tuple[bool, int, Int16Rule | None], list[Piece]] = defaultdict(list)
    for piece in pieces:
        network = piece.network
        if piece.at_end and len(piece.x) % network.cut.step:
            raise ValueError(
                f"{network.name} in JAX must have a multiple of {network.cut.step} samples, got "
                f"{len(piece.x)}: add zeros"
            )
        rule = piece.int16.rule if piece.int16 else None
        alike[piece.at_end, network.rate_in, rule].append(piece)
    levels: list[tuple[Piece, Any, Any]] = []
    try:
        for (at_end, _, rule), some in alike.items():
            program = partial(_end if at_end else _inside, model)
            levels += _each_batch(model, program, some, rule)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise MemoryError(
            f"a device has too little memory for {model.batch} rows of {model.segment} samples: "
            "choose a smaller batch or segment"
        ) from error
    for piece in pieces:
        check_output(piece.y, piece.network.name)
    for piece, peak, _ in levels:
        check_output(peak, piece.network.name)
    for piece, peak, saturated in levels:  # of none yet, if there is an error
        assert piece.int16
        piece.int16.add(float(peak), int(saturated))


def _each_batch(
    model: Model, program: Program, pieces: list[Piece], rule: Int16Rule | None
) -> list[tuple[Piece, Any, Any]]:
    """Run a program on pieces of one kind, rate and rule, a batch at a time; store its outputs.

    Returns the pieces that are int16, each with its peak and its count of saturated samples.
    """
    levels = []
    network = pieces[0].network
    width = 2 * network.cut.context if pieces[0].at_end else model.width(network)
    under_way: deque = deque()
    for first in range(0, len(pieces), model.batch):
        batch = pieces[first : first + model.batch]
        rows = np.full((len(batch), width), _PADDING, batch[0].x.dtype)
        for row, piece in zip(rows, batch, strict=True):
            row[: len(piece.x)] = piece.x
        lengths = np.array([len(piece.x) for piece in batch], np.int32)
        # 74 hours at 16 kHz; numpy raises OverflowError for more.
        starts = np.array([piece.start for piece in batch], np.uint32)
        y, finish = program(network, rows, lengths, starts, [piece.facts for piece in batch])
        outputs: tuple[jax.Array, ...] = (y,)
        if rule:
            wanted = [(piece.skip, piece.skip + len(piece.y)) for piece in batch]
            outputs = as_int16(y, *_on_devices(model, *np.array(wanted, np.int32).T), rule=rule)
        for part in outputs:
            part.copy_to_host_async()  # as soon as it is computed, not when it is asked for
        under_way.append((batch, outputs, finish))
        if len(under_way) == _UNDER_WAY:
            levels += _fetch(*under_way.popleft())
    while under_way:
        levels += _fetch(*under_way.popleft())
    return levels


def _fetch(
    batch: list[Piece],
    outputs: tuple[jax.Array, ...],
    finish: Callable[[np.ndarray], np.ndarray],
) -> list[tuple[Piece, Any, Any]]:
    rows, *levels = (np.asarray(part)[: len(batch)] for part in outputs)
    for piece, y in zip(batch, finish(rows), strict=True):
        piece.y[:] = y[piece.skip : piece.skip + len(piece.y)]
    return list(zip(batch, *levels, strict=True)) if levels else []


def _inside(
    model: Model,
    network: InNumpy,
    x: np.ndarray,
    lengths: np.ndarray,
    starts: np.ndarray,
    facts: list[Facts],
) -> tuple[jax.Array, Callable[[np.ndarray], np.ndarray]]:
    prepared, finish = model.prepare(x, starts, facts) if model.prepare else (x, _as_it_is)
    rows, start, known = _on_devices(model, prepared, starts, _stacked(facts))
    interior = NETWORKS[network.name].interior
    y = interior(model.folded, rows, **network.place(start, known), precision=model.precision)
    return y, finish


def _end(
    model: Model,
    network: InNumpy,
    x: np.ndarray,
    lengths: np.ndarray,
    starts: np.ndarray,
    facts: list[Facts],
) -> tuple[jax.Array, Callable[[np.ndarray], np.ndarray]]:
    rows, length, start, known = _on_devices(model, x, lengths, starts, _stacked(facts))
    forward = _forward(network.name, network.takes is not None)
    return forward(model.params, rows, length, **network.place(start, known)), _as_it_is


@cache
def _forward(name: str, takes_rates: bool) -> Callable[..., jax.Array]:
    forward = NETWORKS[name].forward
    assert forward is not None
    return jax.jit(forward, static_argnames=("rate",) if takes_rates else ())


def _as_it_is(y: np.ndarray) -> np.ndarray:
    return y


def _stacked(facts: Iterable[Facts]) -> Facts:
    """Stack the facts of rows to arrays [rows]; an edge that is not known is NaN."""
    rates, channels, edges = zip(*((f.sample_rate, f.channels, f.edge) for f in facts), strict=True)
    return Facts(
        np.array(rates, np.int32),  # type: ignore[arg-type]
        np.array(channels, np.int32),  # type: ignore[arg-type]
        np.array([np.nan if edge is None else edge for edge in edges], np.float32),  # type: ignore[arg-type]
        follow=None,  # type: ignore[arg-type]
    )


def _on_devices(model: Model, *parts: Any) -> Any:
    """Fill arrays [n, ...] up to a batch, and put them on the devices."""

    def filled(x: np.ndarray) -> np.ndarray:
        if len(x) == model.batch:
            return x
        more = [(0, model.batch - len(x)), *[(0, 0)] * (x.ndim - 1)]
        value = _PADDING if x.dtype.kind == "f" else x.dtype.type(1)
        return np.pad(x, more, constant_values=value)

    return jax.device_put(jax.tree.map(filled, parts), model.sharding)


def chosen_devices(devices: str | Sequence[jax.Device] | None) -> list[jax.Device]:
    """Resolve the devices given by kind, or as a list, as for `make_model`."""
    if devices is None or isinstance(devices, str):
        try:
            return jax.local_devices(backend=devices)
        except RuntimeError as error:
            kinds = sorted({device.platform for device in jax.local_devices()})
            raise ValueError(
                f"devices must be one of {', '.join(kinds)}, those that JAX has, got {devices!r}"
            ) from error
    chosen = list(devices)
    if not chosen or not all(isinstance(device, jax.Device) for device in chosen):
        raise TypeError(f"devices must be a kind or some of jax.devices(), got {devices!r}")
    return chosen
