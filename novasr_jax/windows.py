"""Run a network that hears windows of sound on devices, in batches of one shape."""

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding

from novasr_np.networks import Windowed
from novasr_np.networks.record import Level
from novasr_np.tensors import check_output

from .batches import chosen_devices, rows_of_a_batch, shardings
from .layers import PRECISIONS
from .networks import WINDOWED

# Windows for each device at a time, by its kind.
_WINDOWS = {"cpu": 1, "gpu": 8, "tpu": 8}
# Batches under way at a time: the host makes the spectrograms of one while a device has another.
_UNDER_WAY = 2


class Model(NamedTuple):
    """A network of windows with its weights on its devices."""

    network: Windowed
    prepare: Any  # what brings windows to the networks, on the host (`Windowed.prepare`)
    folded: Any
    batch: int  # windows, over all devices
    precision: str
    rows: NamedSharding  # batch axis over the devices


def prepare(
    network: Windowed,
    params: dict[str, Any],
    options: Any,
    dtype: Any = np.float32,
    *,
    batch: int | None = None,
    segment: int | None = None,
    precision: str = "highest",
    devices: str | Sequence[jax.Device] | None = None,
) -> Model:
    """Put a tree of weights on devices, ready to `run`. Arguments and errors as `batches.prepare`;
    options: `Windowed.checked` ones. batch: windows over all devices. segment: None, or ValueError.
    """
    if segment is not None:
        raise ValueError(f"{network.name} hears windows of {network.window} samples, no segments")
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    chosen = chosen_devices(devices)
    everywhere, rows = shardings(chosen)
    suits = _WINDOWS.get(chosen[0].platform, _WINDOWS["gpu"])
    return Model(
        network=network,
        prepare=network.prepare(params, options, dtype),
        folded=WINDOWED[network.name].fold(
            params, dtype, precision, partial(jax.device_put, device=everywhere)
        ),
        batch=rows_of_a_batch(batch, suits, chosen),
        precision=precision,
        rows=rows,
    )


def run(model: Model, x: np.ndarray, rows: np.ndarray, level: Level | None) -> np.ndarray:
    """Compute windows as `novasr_np.windows.Run` has it."""
    return run_all(model, [x], [(rows, level)])[0]


def run_all(
    model: Model,
    xs: Sequence[np.ndarray],
    places: Sequence[tuple[np.ndarray, Level | None]],
) -> list[np.ndarray]:
    """`run` for several sounds at once, which share the batches.

    Raises MemoryError if a batch does not fit a device, WeightsError if the weights make NaN of a
    window.
    """
    if not xs:
        return []
    x = np.concatenate(xs)
    rows = np.concatenate([rows for rows, _ in places])
    levels = [level for _, level in places if level is not None]
    level = Level(*map(np.concatenate, zip(*levels, strict=True))) if levels else None
    y = np.empty_like(x)
    under_way: deque = deque()
    try:
        for first in range(0, len(x), model.batch):
            batch = slice(first, min(first + model.batch, len(x)))
            own = None if level is None else Level(*(part[batch] for part in level))
            under_way.append((y[batch], *_begin(model, x[batch], rows[batch], own)))
            if len(under_way) == _UNDER_WAY:
                _fetch(model, *under_way.popleft())
        while under_way:
            _fetch(model, *under_way.popleft())
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise MemoryError(
            f"a device has no room for {model.batch} windows at once: take a smaller batch"
        ) from error
    check_output(y, model.network.name)
    return np.split(y, np.cumsum([len(x) for x in xs[:-1]]))


def _begin(
    model: Model, x: np.ndarray, rows: np.ndarray, level: Level | None
) -> tuple[jax.Array, Level]:
    """Hand windows to the devices; what is missing of a batch is silence."""
    given, level = model.prepare(x, rows, level)
    missing = model.batch - len(x)
    filled = jax.tree.map(partial(_filled, missing), WINDOWED[model.network.name].inputs(given))
    forward = WINDOWED[model.network.name].forward
    return forward(model.folded, jax.device_put(filled, model.rows), model.precision), level


def _filled(missing: int, part: np.ndarray) -> np.ndarray:
    return np.pad(part, [(0, missing), *[(0, 0)] * (part.ndim - 1)])


def _fetch(model: Model, y: np.ndarray, made: jax.Array, level: Level) -> None:
    y[:] = model.network.finish(np.asarray(made)[: len(y)], level)
