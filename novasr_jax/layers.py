"""The five layers of the network on `jax.lax`, as the formulas have them.

Activations are ``[..., time, channel]``, channels last as accelerators like them. The layers of
`novasr_np` have the same names and parameters, channels first. Every layer keeps the dtype of its
input and any leading dimensions, and works under ``jit``, ``vmap`` and ``grad``. This is the text
to audit; `fused` computes the same faster and is tested against it.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

# How the products of the convolutions are made, everything else being float32 (or float64):
# name -> (lax's precision, the dtype their operands are rounded to before; None: as they come).
# Sums are float32 in each.
PRECISIONS = {
    "highest": (lax.Precision.HIGHEST, None),
    "high": (lax.Precision.HIGH, None),
    "fp16": (lax.Precision.DEFAULT, jnp.float16),
    "bf16": (lax.Precision.DEFAULT, jnp.bfloat16),
}


def conv1d(x, weight, bias=None, *, precision="highest"):
    """Correlate with a bank of kernels, zeros beyond both ends (torch's ``conv1d``).

    ``y[t, o] = bias[o] + sum_ik weight[o, i, k] x[t + k - K//2, i]``

    x [..., T, I], weight [O, I, K] with K odd, bias [O]  ->  [..., T, O]
    Stages ``conv_pre``, ``conv1``, ``conv2`` and ``conv_post``. precision: a key of `PRECISIONS`.
    """
    half = weight.shape[-1] // 2
    y = correlate(_pad(x, half, half), weight.transpose(2, 1, 0), precision)
    return y if bias is None else y + bias


def interpolate3(x):
    """Three samples for each one, on straight lines, the ends held (half-pixel centres).

    ``y[3j] = (x[j-1] + 2 x[j]) / 3``, ``y[3j+1] = x[j]``, ``y[3j+2] = (2 x[j] + x[j+1]) / 3``

    x [..., T, C]  ->  [..., 3T, C]
    Stage ``interpolate``.
    """
    before = jnp.concatenate([x[..., :1, :], x[..., :-1, :]], axis=-2)
    after = jnp.concatenate([x[..., 1:, :], x[..., -1:, :]], axis=-2)
    return _interleave((before + 2 * x) / 3, x, (2 * x + after) / 3)


def upsample2(x, filter):
    """Double the rate with a 12-tap filter, two samples lost at each end.

    With ``w = 2 filter`` and ``xp`` = x after 2 zeros and before 3:
    ``y[2n] = sum_k w[2k] xp[n + k]``, ``y[2n+1] = sum_k w[2k+1] xp[n + k]``, k = 0 .. 5,
    then the first two and the last two samples are dropped.

    x [..., T, C], filter [12]  ->  [..., 2T - 4, C]
    Stages ``activation0.upsample`` and ``activation1.upsample``. The two sums stand the other way
    round than in BigVGAN's upsampler; the weights were trained so (`novasr_np.layers`).
    """
    steps = x.shape[-2]
    xp, w = _pad(x, 2, 3), 2 * filter
    even, odd = fir(xp, w[0::2], steps), fir(xp, w[1::2], steps)
    return _interleave(even, odd)[..., 2:-2, :]


def snake_beta(x, alpha, beta):
    """The periodic activation, one frequency and one depth for each channel.

    ``y = x + (1 - cos(2 a x)) / (2 b + 1e-9)``, ``a = exp(alpha)``, ``b = exp(beta)``

    x [..., T, C], alpha [C], beta [C]  ->  [..., T, C]
    Stages ``activation0.snakebeta`` and ``activation1.snakebeta``.
    """
    a, b = jnp.exp(alpha), jnp.exp(beta)
    return x + (1 - jnp.cos(2 * a * x)) / (2 * b + 1e-9)


def downsample2(x, filter):
    """Halve the rate with a 12-tap filter, zeros beyond both ends.

    ``y[n] = sum_k filter[k] x[2n + k - 5]``, k = 0 .. 11

    x [..., T, C] with T even, filter [12]  ->  [..., T / 2, C]
    Stages ``activation0.downsample`` and ``activation1.downsample``.
    """
    return fir(_pad(x, 5, 5), filter, x.shape[-2] // 2, hop=2)


def correlate(x, kernel, precision):
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


def fir(x, taps, count, start=0, hop=1):
    """Filter each channel: ``y[n] = sum_k taps[k] x[start + hop n + k]`` for n < count.

    As shifted multiply-adds, since a grouped convolution is slow: x [..., T, C] -> [..., count, C].
    """
    last = start + hop * (count - 1)
    return sum(
        taps[k] * lax.slice_in_dim(x, start + k, last + k + 1, hop, axis=-2)
        for k in range(len(taps))
    )


def _pad(x, before, after):
    """Zeros before and after along time."""
    return jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(before, after), (0, 0)])


def _interleave(*phases):
    """P arrays [..., T, C] -> [..., P T, C], taking one sample of each in turn."""
    *lead, steps, channels = phases[0].shape
    return jnp.stack(phases, axis=-2).reshape(*lead, len(phases) * steps, channels)
