"""Convolution of images, and twice their size."""

import jax
import jax.numpy as jnp

from .conv import Array, correlate, interleave


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


def upsampling_conv2d(
    x: Array, weight: Array, bias: Array, *, precision: str = "highest"
) -> jax.Array:
    """`conv2d` of `repeat2`, with 16 products for each pixel of x instead of 36.

    Taps that fall on the same pixel are one tap, their sum: even rows see x's rows r - 1 and r by
    ``w[0]`` and ``w[1] + w[2]``, odd rows r and r + 1 by ``w[0] + w[1]`` and ``w[2]``; columns
    likewise.

    x [..., H, W, I], weight [O, I, 3, 3], bias [O]  ->  [..., 2 H, 2 W, O]
    """

    def pair(taps: Array, odd: int, axis: int) -> Array:
        first, middle, last = jnp.split(taps, 3, axis)
        return jnp.concatenate([first + middle, last] if odd else [first, middle + last], axis)

    kernel = weight.transpose(2, 3, 1, 0)
    rows = []
    for i in range(2):
        columns = []
        for j in range(2):
            taps = pair(pair(kernel, i, 0), j, 1)
            pads = (1 - i, i), (1 - j, j)
            columns.append(correlate(x, taps, precision, pads=pads))
        rows.append(interleave(*columns))
    y = jnp.stack(rows, axis=-3)
    return y.reshape(*x.shape[:-3], -1, *y.shape[-2:]) + bias


def repeat2(x: Array) -> jax.Array:
    """Every pixel four times: [..., H, W, C] -> [..., 2 H, 2 W, C]."""
    return jnp.repeat(jnp.repeat(x, 2, axis=-3), 2, axis=-2)
