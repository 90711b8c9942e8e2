"""The alias-free activation in one pass, with a cosine made of multiplications."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..layers.conv import Array, fir, pad_time


def snake_beta_at_twice(
    x: Array, upsample: Array, downsample: Array, alpha: Array, beta: Array, epsilon: float = 1e-9
) -> jax.Array:
    """Apply `upsample2`, `snake_beta` and `downsample2`, all ends held, without interleaving.

    With ``e[n] = u[2n]``, ``o[n] = u[2n+1]``, u the output of snake_beta,
    ``y[n] = sum_k f[2k+1] e[n + k - 2] + f[2k] o[n + k - 3]``, k = 0 .. 5, f = downsample, and
    beyond the ends e and o alike are ``u[0]`` and ``u[2T-1]``.

    x [..., T, C], upsample and downsample [12], alpha [C], beta [C]  ->  [..., T, C]
    """
    steps = x.shape[-2]
    # After a barrier, otherwise XLA recomputes the padding for each tap.
    xp, w = lax.optimization_barrier(pad_time(x, 6, 6, "edge")), 2 * upsample[::-1]
    turns, depth = jnp.exp(alpha) / np.pi, 1 / (2 * jnp.exp(beta) + epsilon)

    def phase(s: int) -> jax.Array:
        """Every second sample of u, from step -3 to 3 steps after the end."""
        u = fir(xp, w[s::2], steps + 6, start=s)
        return u + depth * (1 - cos_turns(turns * u))

    even, odd = phase(0), phase(1)
    place = jnp.arange(steps + 6)[:, None]

    def held(u: jax.Array) -> jax.Array:
        u = jnp.where(place < 3, even[..., 3:4, :], u)
        return jnp.where(place < steps + 3, u, odd[..., steps + 2 : steps + 3, :])

    return fir(held(even), downsample[1::2], steps, start=1) + fir(
        held(odd), downsample[0::2], steps
    )


def cos_turns(turns: Any) -> jax.Array:
    """``cos(2 pi turns)``, to within 2e-7 in float32, or by XLA's cosine in float64.

    By a polynomial, which XLA runs at the speed of multiplication; its own cosine is many times
    slower on a CPU.
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
