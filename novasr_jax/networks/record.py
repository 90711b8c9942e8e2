"""The record of a network in JAX: what `batches` has to know beside `novasr_np.networks.record`."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..layers import PRECISIONS


class Network(NamedTuple):
    """The functions of a network, under the name that it has in `novasr_np`."""

    name: str
    # (params, x [..., T], length, start=, precision=) -> y, for padded batches of any lengths;
    # start [...]: where each x begins in its signal, in steps
    forward: Callable[..., jax.Array]
    # the same arguments -> each stage's (name, activation), channels last
    stages: Callable[..., Iterator[tuple[str, jax.Array]]]
    # (params, dtype) -> the weights as interior takes them, on the host
    fold: Callable[..., Any]
    # (folded, x [B, n + context], start=, precision=) -> y [B, factor n], by programs compiled once
    interior: Callable[..., jax.Array]


class Windowed(NamedTuple):
    """The functions of a network that hears windows, under the name that it has in `novasr_np`."""

    name: str
    # (params, dtype, precision, place) -> the weights as forward takes them; place: what puts each
    # on its devices, to be left out for the host
    fold: Callable[..., Any]
    # what the host gives (`Windowed.prepare` of novasr_np) -> arrays [B, ...], of which each row is
    # a window's
    inputs: Callable[[Any], Any]
    # (folded, inputs, precision) -> windows, normalised, by a program compiled once for each shape
    forward: Callable[..., jax.Array]


def checked(x: Any, least: int, precision: str) -> jax.Array:
    """A network's input [..., T] as an array of JAX's.

    Raises TypeError if it is neither float32 nor float64, ValueError for fewer than `least` samples
    or an unknown precision.
    """
    x = jnp.asarray(x)
    if x.dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"the network takes float32 or float64, got {x.dtype}")
    if x.ndim == 0 or x.shape[-1] < least:
        raise ValueError(
            f"the network needs at least {least} samples in the last axis, got shape {x.shape}"
        )
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    return x
