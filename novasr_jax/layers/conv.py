"""Convolution and interpolation along time."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array | np.ndarray

# How the products of the convolutions are made, everything else being float32 (or float64):
# name -> (lax's precision, the dtype their operands are rounded to before; None: as they come).
# Sums are float32 in each.
PRECISIONS = {
    "highest": (lax.Precision.HIGHEST, None),
    "high": (lax.Precision.HIGH, None),
    "fp16": (lax.Precision.DEFAULT, jnp.float16),
    "bf16": (lax.Precision.DEFAULT, jnp.bfloat16),
}


def conv1d(
    x: Array, weight: Array, bias: Array | None = None, *, precision: str = "highest"
) -> jax.Array:
    """Correlate with a bank of kernels, zeros beyond both ends (torch's ``conv1d``).

    ``y[t, o] = bias[o] + sum_ik weight[o, i, k] x[t + k - K//2, i]``

    x [..., T, I], weight [O, I, K] with K odd, bias [O]  ->  [..., T, O]
    precision: a key of `PRECISIONS`.
    """
    half = weight.shape[-1] // 2
    y = correlate(pad_time(x, half, half), weight.transpose(2, 1, 0), precision)
    return y if bias is None else y + bias


def interpolate3(x: Array) -> jax.Array:
    """Three samples for each one, on straight lines, the ends held (half-pixel centres).

    ``y[3j] = (x[j-1] + 2 x[j]) / 3``, ``y[3j+1] = x[j]``, ``y[3j+2] = (2 x[j] + x[j+1]) / 3``

    x [..., T, C]  ->  [..., 3T, C]
    """
    before = jnp.concatenate([x[..., :1, :], x[..., :-1, :]], axis=-2)
    after = jnp.concatenate([x[..., 1:, :], x[..., -1:, :]], axis=-2)
    return interleave((before + 2 * x) / 3, x, (2 * x + after) / 3)


def correlate(x: Array, kernel: Array, precision: str) -> jax.Array:
    """A convolution without padding: x [..., T, I], kernel [K, I, O] -> [..., T - K + 1, O].

    Gradients of half precision's products are float32's.
    """
    level, operands = PRECISIONS[precision]
    rows = x.reshape(-1, *x.shape[-2:])
    y = _half(rows, kernel, operands) if operands else _convolve(rows, kernel, level)
    return y.reshape(*x.shape[:-2], *y.shape[-2:])


def _convolve(x, kernel, level, dtype=None):
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1,),
        padding="VALID",
        dimension_numbers=("NWC", "WIO", "NWC"),
        precision=level,
        preferred_element_type=dtype,
    )


# JAX 0.6 cannot differentiate a convolution whose sums are wider than its operands.
@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _half(x, kernel, operands):
    return _convolve(x.astype(operands), kernel.astype(operands), None, x.dtype)


def _half_forward(x, kernel, operands):
    return _half(x, kernel, operands), (x, kernel)


def _half_backward(operands, given, dy):
    exact = partial(_convolve, level=lax.Precision.HIGHEST)
    return jax.vjp(exact, *given)[1](dy)


_half.defvjp(_half_forward, _half_backward)


def fir(x: Array, taps: Any, count: int, start: int = 0, hop: int = 1) -> jax.Array:
    """Filter each channel: ``y[n] = sum_k taps[k] x[start + hop n + k]`` for n < count.

    As shifted multiply-adds, since a grouped convolution is slow: x [..., T, C] -> [..., count, C].
    """
    last = start + hop * (count - 1)
    return sum(
        taps[k] * lax.slice_in_dim(x, start + k, last + k + 1, hop, axis=-2)
        for k in range(len(taps))
    )


def pad_time(x: Array, before: int, after: int) -> jax.Array:
    """Zeros before and after along time."""
    return jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(before, after), (0, 0)])


def interleave(*phases: Array) -> jax.Array:
    """P arrays [..., T, C] -> [..., P T, C], taking one sample of each in turn."""
    *lead, steps, channels = phases[0].shape
    return jnp.stack(phases, axis=-2).reshape(*lead, len(phases) * steps, channels)
