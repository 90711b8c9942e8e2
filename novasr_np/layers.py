"""The five layers of the network in plain numpy, as the formulas have them.

Activations are ``[..., channel, time]``. Every layer keeps the dtype of its input, float32 or
float64, and any leading batch dimensions. Loops run over taps, never over samples. This is the
text to audit; `fused` computes the same faster and is tested against it.
"""

import numpy as np


def conv1d(x, weight, bias=None):
    """Correlate with a bank of kernels, zeros beyond both ends (torch's ``conv1d``).

    ``y[o, t] = bias[o] + sum_ik weight[o, i, k] x[i, t + k - K//2]``

    x [..., I, T], weight [O, I, K] with K odd, bias [O]  ->  [..., O, T]
    Stages ``conv_pre``, ``conv1``, ``conv2`` and ``conv_post``.
    """
    steps, taps = x.shape[-1], weight.shape[-1]
    xp = _pad(x, taps // 2, taps // 2)
    y = sum(weight[:, :, k] @ xp[..., k : k + steps] for k in range(taps))
    return y if bias is None else y + bias[:, np.newaxis]


def interpolate3(x):
    """Three samples for each one, on straight lines, the ends held (half-pixel centres).

    ``y[3j] = (x[j-1] + 2 x[j]) / 3``, ``y[3j+1] = x[j]``, ``y[3j+2] = (2 x[j] + x[j+1]) / 3``

    x [..., C, T]  ->  [..., C, 3T]
    Stage ``interpolate``. Output t lies at input time (t + 1/2) / 3 - 1/2 = j + (t - 3j - 1) / 3;
    in integers, so that it is as exact after an hour as in the first second.
    """
    held = np.concatenate([x[..., :1], x, x[..., -1:]], axis=-1)
    before, after = held[..., :-2], held[..., 2:]
    return _interleave((before + 2 * x) / 3, x, (2 * x + after) / 3)


def upsample2(x, filter):
    """Double the rate with a 12-tap filter, two samples lost at each end.

    With ``w = 2 filter`` and ``xp`` = x after 2 zeros and before 3:
    ``y[2n] = sum_k w[2k] xp[n + k]``, ``y[2n+1] = sum_k w[2k+1] xp[n + k]``, k = 0 .. 5,
    then the first two and the last two samples are dropped.

    x [..., C, T], filter [12]  ->  [..., C, 2T - 4]
    Stages ``activation0.upsample`` and ``activation1.upsample``. In BigVGAN's upsampler, where
    this one comes from, the two sums stand the other way round. The released weights were
    trained with the pairs swapped, so the swap is part of the network: undoing it moves the
    output by one to three samples.
    """
    steps, w = x.shape[-1], 2 * filter
    xp = _pad(x, 2, 3)
    even = sum(w[2 * k] * xp[..., k : k + steps] for k in range(6))
    odd = sum(w[2 * k + 1] * xp[..., k : k + steps] for k in range(6))
    return _interleave(even, odd)[..., 2:-2]


def snake_beta(x, alpha, beta):
    """The periodic activation, one frequency and one depth for each channel.

    ``y = x + (1 - cos(2 a x)) / (2 b + 1e-9)``, ``a = exp(alpha)``, ``b = exp(beta)``;
    the fraction is ``sin(a x)^2 / b``.

    x [..., C, T], alpha [C], beta [C]  ->  [..., C, T]
    Stages ``activation0.snakebeta`` and ``activation1.snakebeta``.
    """
    a, b = np.exp(alpha)[:, np.newaxis], np.exp(beta)[:, np.newaxis]
    return x + (1 - np.cos(2 * a * x)) / (2 * b + 1e-9)


def downsample2(x, filter):
    """Halve the rate with a 12-tap filter, zeros beyond both ends.

    ``y[n] = sum_k filter[k] x[2n + k - 5]``, k = 0 .. 11

    x [..., C, T] with T even, filter [12]  ->  [..., C, T / 2]
    Stages ``activation0.downsample`` and ``activation1.downsample``.
    """
    steps = x.shape[-1]
    xp = _pad(x, 5, 5)
    return sum(filter[k] * xp[..., k : k + steps : 2] for k in range(12))


def _pad(x, before, after):
    """Zeros before and after along time."""
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, after)])


def _interleave(*phases):
    """P arrays [..., T] -> [..., P T], taking one sample of each in turn."""
    *lead, steps = phases[0].shape
    return np.stack(phases, axis=-1).reshape(*lead, len(phases) * steps)
