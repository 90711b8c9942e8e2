"""Activations that look at one step of time only."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


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


def cos_turns(turns: Any) -> jax.Array:
    """``cos(2 pi turns)``: within 2e-7 in float32, XLA's own in float64.

    By a polynomial, which XLA runs as fast as it can multiply; its own cosine is many times slower
    on a CPU.
    """
    r = turns - jnp.round(turns)
    if turns.dtype == jnp.float64:
        return jnp.cos(2 * np.pi * r)
    q = 0.25 - jnp.abs(r)
    square = q * q
    p = jnp.full_like(q, _QUARTER_WAVE[-1])
    for coefficient in _QUARTER_WAVE[-2::-1]:
        p = p * square + np.float32(coefficient)
    return q * p


def _fit_quarter_wave() -> np.ndarray:
    """Coefficients P with ``q P(q^2) = sin(2 pi q)`` for 0 <= q <= 1/4, to 4e-9."""
    q = (1 + np.cos(np.linspace(0, np.pi, 401))) / 8  # Chebyshev's points: all but minimax
    powers = q[:, np.newaxis] ** np.arange(1, 11, 2)
    return np.linalg.lstsq(powers, np.sin(2 * np.pi * q), rcond=None)[0]


_QUARTER_WAVE = _fit_quarter_wave()
