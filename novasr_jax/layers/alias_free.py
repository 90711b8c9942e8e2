"""The activation of BigVGAN (arXiv 2206.04658): up to twice the rate, snake, and back down."""

import jax
import jax.numpy as jnp

from .conv import Array, fir, interleave, pad_time


def upsample2_swapped(x: Array, filter: Array) -> jax.Array:
    """NovaSR's doubling of the rate: pairs of samples swapped, two samples lost at each end.

    With ``w = 2 filter`` and ``xp`` = x after 2 zeros and before 3:
    ``y[2n] = sum_k w[2k] xp[n + k]``, ``y[2n+1] = sum_k w[2k+1] xp[n + k]``, k = 0 .. 5,
    then the first two and the last two samples are dropped.

    x [..., T, C], filter [12]  ->  [..., 2T - 4, C]
    The two sums are swapped compared with BigVGAN's upsampler; the weights were trained with that
    (`novasr_np.layers`).
    """
    steps = x.shape[-2]
    xp, w = pad_time(x, 2, 3), 2 * filter
    even, odd = fir(xp, w[0::2], steps), fir(xp, w[1::2], steps)
    return interleave(even, odd)[..., 2:-2, :]


def upsample2(x: Array, filter: Array, pad: str = "edge") -> jax.Array:
    """Double the rate with a 12-tap filter, by a transposed convolution.

    ``y[2n] = sum_k w[2k] x[n + k - 3]``, ``y[2n+1] = sum_k w[2k+1] x[n + k - 2]``,
    k = 0 .. 5, ``w[k] = 2 filter[11 - k]``; pad: values beyond the ends, "zeros" or "edge"

    x [..., T, C], filter [12]  ->  [..., 2T, C]
    """
    steps = x.shape[-2]
    xp, w = pad_time(x, 3, 3, pad), 2 * filter[::-1]
    return interleave(fir(xp, w[0::2], steps), fir(xp, w[1::2], steps, start=1))


def snake_beta(x: Array, alpha: Array, beta: Array, epsilon: float = 1e-9) -> Array:
    """The periodic activation, one frequency and one depth for each channel.

    ``y = x + (1 - cos(2 a x)) / (2 b + epsilon)``, ``a = exp(alpha)``, ``b = exp(beta)``

    x [..., T, C], alpha [C], beta [C]  ->  [..., T, C]
    """
    a, b = jnp.exp(alpha), jnp.exp(beta)
    return x + (1 - jnp.cos(2 * a * x)) / (2 * b + epsilon)


def downsample2(x: Array, filter: Array, pad: str = "zeros") -> jax.Array:
    """Halve the rate with a 12-tap filter; pad: values beyond the ends, "zeros" or "edge".

    ``y[n] = sum_k filter[k] x[2n + k - 5]``, k = 0 .. 11

    x [..., T, C] with T even, filter [12]  ->  [..., T / 2, C]
    """
    return fir(pad_time(x, 5, 5, pad), filter, x.shape[-2] // 2, hop=2)
