"""The record of a network in JAX: its functions that `compute` needs."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from novasr_np.networks.record import Facts
from novasr_np.samples import as_array
from novasr_np.tensors import cast

from ..layers import PRECISIONS

# (x [n, samples], the start of each in samples, the facts of each) -> inputs for the devices,
# arrays [n, ...]; and a function that brings their outputs [n, samples] to the sound's level.
Prepare = Callable[
    [np.ndarray, np.ndarray, list[Facts]], tuple[Any, Callable[[np.ndarray], np.ndarray]]
]

# Rows for each device at a time, by its kind. On a CPU a batch's activations should fit the cache;
# an accelerator needs enough work to be busy.
ROWS = {"cpu": 4, "gpu": 64, "tpu": 64}
# Input samples of each row without its context, likewise.
SEGMENTS = {"cpu": 4000, "gpu": 16_000, "tpu": 16_000}


def cast_weights(params: Any, dtype: Any, precision: str = "highest", place: Any = None) -> Any:
    """Cast the weights to `dtype`, on the host, for an interior that takes them as they are."""
    return cast(params, dtype)


class Network(NamedTuple):
    """The functions of a network, under its name in `novasr_np`.

    ``start`` [...] is the position of each x in its sound, in samples, and ``facts`` are those of
    the sounds, a `Facts` of arrays [...]. A network that does not need them ignores them.
    """

    name: str
    # (folded, x [B, n + context], *, start=, facts=, precision=) -> y [B, outputs of n], by
    # programs compiled once; x as `prepare` returns it, if there is one
    interior: Callable[..., jax.Array]
    # (params, dtype, precision, place) -> the weights for interior; place puts each on its devices,
    # and on the host by default
    fold: Callable[..., Any] = cast_weights
    # (params, x [..., T], length, *, start=, facts=, precision=) -> y, for padded batches of any
    # lengths; None for a network with windows
    forward: Callable[..., jax.Array] | None = None
    # the same arguments -> each stage's (name, activation), channels last
    stages: Callable[..., Iterator[tuple[str, jax.Array]]] | None = None
    # (params, options, dtype) -> the host's preparation of the devices' rows
    prepare: Callable[[Any, Any, Any], Prepare] | None = None
    # (params, platforms) -> an exported program, for a network without `forward`
    export: Callable[[Any, tuple[str, ...]], Any] | None = None
    rows: Mapping[str, int] = ROWS
    segments: Mapping[str, int] = SEGMENTS  # at the network's own rate


def checked(x: Any, least: int, precision: str) -> jax.Array:
    """Convert a network's input [..., T] to a JAX array, and check it.

    Raises TypeError if it is neither float32 nor float64, ValueError for fewer than `least` samples
    or an unknown precision.
    """
    # An array that JAX traces has no values for numpy.
    x = x if isinstance(x, jax.Array) else jnp.asarray(as_array("the network's input", x))
    if x.dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"the network's input must be float32 or float64, got {x.dtype}")
    if x.ndim == 0 or x.shape[-1] < least:
        raise ValueError(
            f"the input's last axis must have at least {least} samples, got shape {x.shape}"
        )
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    return x
