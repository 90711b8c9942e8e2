"""Recurrent layers, as a scan over time."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def gru(
    x: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any,
    bias_hh: Any,
    reverse: bool = False,
    steps: Any = None,
) -> jax.Array:
    """A gated recurrent unit with torch's gates, from zeros: x [..., T, I] -> states [..., T, H].

    With ``a = W_ih x + b_ih`` and ``b = W_hh h + b_hh``, thirds in the order r, z, n:
    ``r = sigmoid(a_r + b_r)``, ``z = sigmoid(a_z + b_z)``, ``n = tanh(a_n + r b_n)``,
    ``h = (1 - z) n + z h``. reverse: from the last step to the first. steps [...]: how many of a
    row are its own; the state stays zero beyond them.
    """
    size = weight_hh.shape[1]
    exact = lax.Precision.HIGHEST
    from_x = jnp.dot(x, weight_ih.T, precision=exact) + bias_ih
    count = x.shape[-2]
    own = jnp.ones(x.shape[:-1], bool)
    if steps is not None:
        own = jnp.arange(count) < jnp.asarray(steps)[..., None]

    def step(h: jax.Array, given: Any) -> tuple[jax.Array, jax.Array]:
        a, is_own = given
        b = jnp.dot(h, weight_hh.T, precision=exact) + bias_hh
        r = jax.nn.sigmoid(a[..., :size] + b[..., :size])
        z = jax.nn.sigmoid(a[..., size : 2 * size] + b[..., size : 2 * size])
        n = jnp.tanh(a[..., 2 * size :] + r * b[..., 2 * size :])
        h = jnp.where(is_own[..., None], (1 - z) * n + z * h, h)
        return h, h

    first = jnp.zeros((*x.shape[:-2], size), from_x.dtype)
    over = (jnp.moveaxis(from_x, -2, 0), jnp.moveaxis(own, -1, 0))
    _, states = lax.scan(step, first, over, reverse=reverse)
    return jnp.moveaxis(states, 0, -2)
