"""Convolution and doubling of images."""

import jax
import jax.numpy as jnp

from .conv import Array, correlate


def conv2d(
    x: Array,
    weight: Array,
    bias: Array,
    stride: int = 1,
    pads: tuple[int, int] | None = None,
    *,
    precision: str = "highest",
) -> jax.Array:
    """Correlate with a bank of square kernels, zeros beyond the edges (torch's ``conv2d``).

    ``y[r, c, o] = bias[o] + sum_ikm weight[o, i, k, m] x[s r + k - before, s c + m - before, i]``,
    s the stride

    x [..., H, W, I], weight [O, I, K, K], bias [O] -> [..., (H + before + after - K) // s + 1, and
    likewise for W, O]. pads: rows and columns of zeros (before, after); K // 2 of them if None.
    precision: a key of `PRECISIONS`.
    """
    half = weight.shape[-1] // 2
    pads = pads or (half, half)
    y = correlate(x, weight.transpose(2, 3, 1, 0), precision, stride=stride, pads=(pads, pads))
    return y + bias


def repeat2(x: Array) -> jax.Array:
    """Repeat every pixel four times: [..., H, W, C] -> [..., 2 H, 2 W, C]."""
    return jnp.repeat(jnp.repeat(x, 2, axis=-3), 2, axis=-2)
