"""The activation of BigVGAN (arXiv 2206.04658), as NovaSR has it."""

import jax
import jax.numpy as jnp

from .conv import Array, fir, interleave, pad_time


def upsample2_swapped(x: Array, filter: Array) -> jax.Array:
    """NovaSR's doubling of the rate: pairs of samples swapped, two samples lost at each end.

    With ``w = 2 filter`` and ``xp`` = x after 2 zeros and before 3:
    ``y[2n] = sum_k w[2k] xp[n + k]``, ``y[2n+1] = sum_k w[2k+1] xp[n + k]``, k = 0 .. 5,
    then the first two and the last two samples are dropped.

    x [..., T, C], filter [12]  ->  [..., 2T - 4, C]
    The two sums stand the other way round than in BigVGAN's upsampler; the weights were trained so
    (`novasr_np.layers`).
    """
    steps = x.shape[-2]
    xp, w = pad_time(x, 2, 3), 2 * filter
    even, odd = fir(xp, w[0::2], steps), fir(xp, w[1::2], steps)
    return interleave(even, odd)[..., 2:-2, :]


def snake_beta(x: Array, alpha: Array, beta: Array) -> Array:
    """The periodic activation, one frequency and one depth for each channel.

    ``y = x + (1 - cos(2 a x)) / (2 b + 1e-9)``, ``a = exp(alpha)``, ``b = exp(beta)``

    x [..., T, C], alpha [C], beta [C]  ->  [..., T, C]
    """
    a, b = jnp.exp(alpha), jnp.exp(beta)
    return x + (1 - jnp.cos(2 * a * x)) / (2 * b + 1e-9)


def downsample2(x: Array, filter: Array) -> jax.Array:
    """Halve the rate with a 12-tap filter, zeros beyond both ends.

    ``y[n] = sum_k filter[k] x[2n + k - 5]``, k = 0 .. 11

    x [..., T, C] with T even, filter [12]  ->  [..., T / 2, C]
    """
    return fir(pad_time(x, 5, 5), filter, x.shape[-2] // 2, hop=2)
