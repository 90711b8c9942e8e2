"""Activations that look at one step of time only."""

from typing import Any

import jax
import jax.numpy as jnp


def prelu(x: Any, slope: Any) -> jax.Array:
    """``max(x, 0) + slope[c] min(x, 0)`` (arXiv 1502.01852): x [..., T, C], slope [C]."""
    return jnp.maximum(x, 0) + slope * jnp.minimum(x, 0)


def elu(x: Any) -> jax.Array:
    """x where it is positive, else ``exp(x) - 1`` (arXiv 1511.07289)."""
    return jnp.maximum(x, 0) + jnp.expm1(jnp.minimum(x, 0))
