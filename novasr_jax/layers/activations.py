"""Activations that look at one step of time only."""

from typing import Any

import jax
import jax.numpy as jnp


def prelu(x: Any, slope: Any) -> jax.Array:
    """``max(x, 0) + slope[c] min(x, 0)`` (arXiv 1502.01852): x [..., T, C], slope [C]."""
    return jnp.maximum(x, 0) + slope * jnp.minimum(x, 0)


def sigmoid(x: Any) -> jax.Array:
    """``1 / (1 + exp(-x))``."""
    return jax.nn.sigmoid(x)


def silu(x: Any) -> jax.Array:
    """``x sigmoid(x)`` (arXiv 1606.08415)."""
    return x * jax.nn.sigmoid(x)


def snake(x: Any, alpha: Any) -> jax.Array:
    """``x + sin(a x)^2 / a`` (arXiv 2006.08195): x [..., T, C], alpha [C]."""
    return x + jnp.sin(alpha * x) ** 2 / alpha


def elu(x: Any) -> jax.Array:
    """x where it is positive, else ``exp(x) - 1`` (arXiv 1511.07289)."""
    return jnp.maximum(x, 0) + jnp.expm1(jnp.minimum(x, 0))


def gelu(x: Any) -> jax.Array:
    """``x (1 + erf(x / sqrt(2))) / 2`` (arXiv 1606.08415)."""
    return jax.nn.gelu(x, approximate=False)
