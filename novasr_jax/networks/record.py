"""The record of a network in JAX: what `batches` has to know beside `novasr_np.networks.record`."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax


class Network(NamedTuple):
    """The functions of a network, under the name that it has in `novasr_np`."""

    name: str
    # (params, x [..., T], length, precision=) -> y, for padded batches of any lengths
    forward: Callable[..., jax.Array]
    # the same arguments -> each stage's (name, activation), channels last
    stages: Callable[..., Iterator[tuple[str, jax.Array]]]
    # (params, dtype) -> the weights as interior takes them, on the host
    fold: Callable[..., Any]
    # (folded, x [B, n + context], precision=) -> y [B, factor n], by programs compiled once
    interior: Callable[..., jax.Array]
