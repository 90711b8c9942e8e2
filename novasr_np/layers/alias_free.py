"""The activation of BigVGAN (arXiv 2206.04658): up to twice the rate, snake, and back down.

`pad` is the padding beyond the ends of a filter's input: "zeros", or "edge", the end samples held.
"""

from typing import Any

import numpy as np

from .conv import interleave

_PADS: dict[str, Any] = {"zeros": "constant", "edge": "edge"}  # in numpy's words


def upsample2(x: np.ndarray, filter: np.ndarray, pad: str = "edge") -> np.ndarray:
    """Double the rate with a 12-tap filter, by a transposed convolution.

    ``y[2n] = sum_k w[2k] x[n + k - 3]``, ``y[2n+1] = sum_k w[2k+1] x[n + k - 2]``,
    k = 0 .. 5, w twice the filter turned round, ``w[k] = 2 filter[11 - k]``

    x [..., C, T], filter [12]  ->  [..., C, 2T]
    """
    steps, w = x.shape[-1], 2 * filter[::-1]
    xp = _pad(x, 3, 3, pad)
    even = sum(w[2 * k] * xp[..., k : k + steps] for k in range(6))
    odd = sum(w[2 * k + 1] * xp[..., k + 1 : k + 1 + steps] for k in range(6))
    return interleave(even, odd)


def upsample2_swapped(x: np.ndarray, filter: np.ndarray, pad: str = "zeros") -> np.ndarray:
    """NovaSR's doubling of the rate: pairs of samples swapped, two samples lost at each end.

    With ``w = 2 filter`` and ``xp`` = x after 2 samples of padding and before 3:
    ``y[2n] = sum_k w[2k] xp[n + k]``, ``y[2n+1] = sum_k w[2k+1] xp[n + k]``, k = 0 .. 5,
    then the first two and the last two samples are dropped.

    x [..., C, T], filter [12]  ->  [..., C, 2T - 4]
    Unlike `upsample2` it does not turn the filter round. With the released filters, which are
    palindromes, these are `upsample2`'s samples from the fourth on, in pairs (2n + 1, 2n + 2) in
    swapped order. The released weights were trained with the swap, which is part of the network:
    without it the output moves by one to three samples.
    """
    steps, w = x.shape[-1], 2 * filter
    xp = _pad(x, 2, 3, pad)
    even = sum(w[2 * k] * xp[..., k : k + steps] for k in range(6))
    odd = sum(w[2 * k + 1] * xp[..., k : k + steps] for k in range(6))
    return interleave(even, odd)[..., 2:-2]


def snake_beta(
    x: np.ndarray, alpha: np.ndarray, beta: np.ndarray, epsilon: float = 1e-9
) -> np.ndarray:
    """The periodic activation, one frequency and one depth for each channel.

    ``y = x + (1 - cos(2 a x)) / (2 b + epsilon)``, ``a = exp(alpha)``, ``b = exp(beta)``;
    but for epsilon the fraction is ``sin(a x)^2 / b``.

    x [..., C, T], alpha [C], beta [C]  ->  [..., C, T]
    """
    a, b = np.exp(alpha)[:, np.newaxis], np.exp(beta)[:, np.newaxis]
    return x + (1 - np.cos(2 * a * x)) / (2 * b + epsilon)


def downsample2(x: np.ndarray, filter: np.ndarray, pad: str = "zeros") -> np.ndarray:
    """Halve the rate with a 12-tap filter.

    ``y[n] = sum_k filter[k] x[2n + k - 5]``, k = 0 .. 11

    x [..., C, T] with T even, filter [12]  ->  [..., C, T / 2]
    """
    steps = x.shape[-1]
    xp = _pad(x, 5, 5, pad)
    return sum(filter[k] * xp[..., k : k + steps : 2] for k in range(12))


def _pad(x: np.ndarray, before: int, after: int, pad: str) -> np.ndarray:
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, after)], mode=_PADS[pad])
