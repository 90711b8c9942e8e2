"""Convolution and interpolation along time."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array | np.ndarray

# Precisions of the convolutions' products, while everything else is float32 (or float64): name ->
# (lax's precision, the dtype to which operands are rounded; None: not rounded). Sums are float32 in
# each.
PRECISIONS = {
    "highest": (lax.Precision.HIGHEST, None),
    "high": (lax.Precision.HIGH, None),
    "fp16": (lax.Precision.DEFAULT, jnp.float16),
    "bf16": (lax.Precision.DEFAULT, jnp.bfloat16),
}


def conv1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    dilation: int = 1,
    *,
    precision: str = "highest",
    padded: bool = True,
    stride: int = 1,
) -> jax.Array:
    """Correlate with a bank of kernels, zeros beyond both ends (torch's ``conv1d``).

    ``y[t, o] = bias[o] + sum_ik weight[o, i, k] x[s t + d (k - K//2), i]``, d the dilation, s the
    stride

    x [..., T, I], weight [O, I, K] with K odd, bias [O]  ->  [..., T, O]
    precision: a key of `PRECISIONS`. padded: False for no zeros; then there are T - d (K - 1)
    steps, and K may be even. stride: keep only every s-th of these steps.
    """
    half = weight.shape[-1] // 2 * dilation if padded else 0
    pads = ((half, half),)
    y = correlate(x, weight.transpose(2, 1, 0), precision, dilation, stride, pads)
    return y if bias is None else y + bias


def depthwise1d(x: Array, weight: Array, bias: Array, dilation: int = 1) -> jax.Array:
    """Correlate each channel with a separate kernel, without padding.

    ``y[t, c] = bias[c] + sum_k weight[c, k] x[t + d k, c]``, d the dilation. As shifted
    multiply-adds, since a grouped convolution is slow.

    x [..., T, C], weight [C, K], bias [C]  ->  [..., T - d (K - 1), C]
    """
    taps = weight.shape[-1]
    steps = x.shape[-2] - dilation * (taps - 1)
    y = jnp.asarray(bias)
    for k in range(taps):
        part = lax.slice_in_dim(x, dilation * k, dilation * k + steps, axis=-2)
        y = y + weight[:, k] * part
    return y


def conv_transpose1d(
    x: Array,
    weight: Array,
    bias: Array,
    stride: int,
    padding: int,
    *,
    precision: str = "highest",
) -> jax.Array:
    """Spread each step over a kernel's taps, `stride` apart (torch's ``conv_transpose1d``).

    ``y[q, o] = bias[o] + sum_in weight[i, o, q + padding - n stride] x[n, i]``

    x [..., T, I], weight [I, O, K], bias [O] -> [..., (T - 1) stride + K - 2 padding, O]
    """
    *lead, steps, inputs = x.shape
    outputs, taps = weight.shape[1:]
    # Taps that are a stride apart contribute to the same output, so a convolution with these few
    # taps computes all outputs of a stride, as additional channels.
    few = -(-taps // stride)
    whole = jnp.pad(weight, [(0, 0), (0, 0), (0, few * stride - taps)])
    kernel = jnp.flip(whole.reshape(inputs, outputs, few, stride), 2)
    kernel = kernel.transpose(2, 0, 3, 1).reshape(few, inputs, stride * outputs)
    y = correlate(x, kernel, precision, pads=((few - 1, few - 1),)).reshape(*lead, -1, outputs)
    last = (steps - 1) * stride + taps - padding
    return lax.slice_in_dim(y, padding, last, axis=-2) + bias


def linear(
    x: Array, weight: Array, bias: Array | None = None, *, precision: str = "highest"
) -> jax.Array:
    """``x W^T + b``: x [..., I], weight [O, I], bias [O] -> [..., O]."""
    y = product("...i,oi->...o", x, weight, precision)
    return y if bias is None else y + bias


def interpolate3(x: Array) -> jax.Array:
    """Interpolate linearly to three times the samples, the ends held (half-pixel centres).

    ``y[3j] = (x[j-1] + 2 x[j]) / 3``, ``y[3j+1] = x[j]``, ``y[3j+2] = (2 x[j] + x[j+1]) / 3``

    x [..., T, C]  ->  [..., 3T, C]
    """
    before = jnp.concatenate([x[..., :1, :], x[..., :-1, :]], axis=-2)
    after = jnp.concatenate([x[..., 1:, :], x[..., -1:, :]], axis=-2)
    return interleave((before + 2 * x) / 3, x, (2 * x + after) / 3)


def interpolate(x: Array, steps: int) -> jax.Array:
    """Interpolate linearly to any number of steps, the ends held (half-pixel centres).

    Output m of M lies at input ``s = max((m + 1/2) T / M - 1/2, 0)``, and with ``j = floor(s)``
    ``y[m] = (1 - (s - j)) x[j] + (s - j) x[min(j + 1, T - 1)]``; for M = 3T, `interpolate3`.

    x [..., T, C]  ->  [..., M, C]
    """
    samples = x.shape[-2]
    # In integers, which are exact at any length: 2 M s = (2 m + 1) T - M.
    place = np.maximum((2 * np.arange(steps, dtype=np.int64) + 1) * samples - steps, 0)
    j = place // (2 * steps)
    share = jnp.asarray(place % (2 * steps) / (2 * steps), x.dtype)[:, None]
    before, after = jnp.take(x, j, axis=-2), jnp.take(x, np.minimum(j + 1, samples - 1), axis=-2)
    return (1 - share) * before + share * after


def product(subscripts: str, x: Array, y: Array, precision: str) -> jax.Array:
    """``einsum(subscripts, x, y)``; precision: a key of `PRECISIONS`."""
    level, operands = PRECISIONS[precision]
    dtype = jnp.result_type(x, y)
    if operands:
        x, y = x.astype(operands), y.astype(operands)
    return jnp.einsum(subscripts, x, y, precision=level, preferred_element_type=dtype)


def correlate(
    x: Array,
    kernel: Array,
    precision: str,
    dilation: int = 1,
    stride: int = 1,
    pads: Sequence[tuple[int, int]] = (),
) -> jax.Array:
    """Convolve without bias: x [..., T, I], kernel [K, I, O] -> [..., T - d (K - 1), O].

    For images likewise: x [..., H, W, I], kernel [K, K, I, O]. A stride s keeps only every s-th
    step, or row and column. pads: zeros before and after, for each axis; none if (). The gradients
    of half-precision products are those of float32.
    """
    level, operands = PRECISIONS[precision]
    windows = dilation, stride, tuple(pads)
    axes = kernel.ndim - 1  # of one signal or image
    rows = x.reshape(-1, *x.shape[-axes:])
    if operands:
        y = _half(rows, kernel, operands, windows)
    else:
        y = _convolve(rows, kernel, level, windows)
    return y.reshape(*x.shape[:-axes], *y.shape[1:])


def _convolve(x, kernel, level, windows, dtype=None):
    axes = kernel.ndim - 2
    dilation, stride, pads = windows
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=[stride] * axes,
        padding=pads or [(0, 0)] * axes,
        rhs_dilation=[dilation] * axes,
        dimension_numbers=("NWC", "WIO", "NWC") if axes == 1 else ("NHWC", "HWIO", "NHWC"),
        precision=level,
        preferred_element_type=dtype,
    )


# JAX 0.6 cannot differentiate a convolution whose sums are wider than its operands.
@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _half(x, kernel, operands, windows):
    return _convolve(x.astype(operands), kernel.astype(operands), None, windows, x.dtype)


def _half_forward(x, kernel, operands, windows):
    return _half(x, kernel, operands, windows), (x, kernel)


def _half_backward(operands, windows, given, dy):
    exact = partial(_convolve, level=lax.Precision.HIGHEST, windows=windows)
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


def pad_time(x: Array, before: int, after: int, pad: str = "zeros") -> jax.Array:
    """Pad along time with zeros before and after, or by "edge" with the end samples."""
    widths = [(0, 0)] * (x.ndim - 2) + [(before, after), (0, 0)]
    return jnp.pad(x, widths, mode={"zeros": "constant", "edge": "edge"}[pad])


def zero_from(x: Any, steps: Any) -> jax.Array:
    """x [..., T, C] with zeros from step `steps` [...] on; None for none."""
    if steps is None:
        return x
    return jnp.where(jnp.arange(x.shape[-2])[:, None] < jnp.asarray(steps)[..., None, None], x, 0)


def hold_from(x: Any, steps: Any) -> jax.Array:
    """x [..., T, C] with step `steps` - 1 held from there on; None for nothing held."""
    if steps is None:
        return x
    last = jnp.asarray(steps)[..., None, None] - 1
    return jnp.take_along_axis(x, jnp.minimum(jnp.arange(x.shape[-2])[:, None], last), axis=-2)


def interleave(*phases: Array) -> jax.Array:
    """Interleave P arrays [..., T, C] to [..., P T, C], one sample of each in turn."""
    *lead, steps, channels = phases[0].shape
    return jnp.stack(phases, axis=-2).reshape(*lead, len(phases) * steps, channels)
