"""The five layers of the network in plain numpy.

Activations are ``[..., time, channel]``: one time step's channels lie side by side in memory,
so that the products below run on views, without copies. Every layer keeps the dtype of its
input, float32 or float64, and any leading batch dimensions.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# Time steps that one product of `polyphase` covers; it decides speed, not the result.
_STEPS = 16


def conv1d(x, weight, bias=None):
    """Correlate with a bank of kernels, zeros beyond both ends (torch's ``conv1d``).

    ``y[t, o] = bias[o] + sum_ik weight[o, i, k] x[t + k - K//2, i]``

    x [..., T, I], weight [O, I, K] with K odd, bias [O]  ->  [..., T, O]
    Stages ``conv_pre``, ``conv1``, ``conv2`` and ``conv_post``.
    """
    channels_out, channels_in, taps = weight.shape
    *batch, steps, _ = x.shape
    # K consecutive time steps are K * I consecutive numbers. So the padded input, read from
    # time o on as rows of K * I numbers, has the windows of outputs o, o + K, o + 2 K, ... as
    # its rows: one matrix product per offset o = 0 .. K-1 makes every K-th output.
    rows = -(-steps // taps)
    padded = _pad(x, taps // 2, (rows + 1) * taps - 1 - steps - taps // 2)
    matrix = weight.transpose(2, 1, 0).reshape(taps * channels_in, channels_out)
    y = np.empty((*batch, rows, taps, channels_out), x.dtype)
    for offset in range(taps):
        windows = padded[..., offset : offset + rows * taps, :]
        windows = windows.reshape(*batch, rows, taps * channels_in)
        np.matmul(windows, matrix, out=y[..., offset, :])
    y = y.reshape(*batch, rows * taps, channels_out)[..., :steps, :]
    if bias is not None:
        y += bias
    return y


def interpolate3(x):
    """Three samples for each one, on straight lines, the ends held (half-pixel centres).

    ``y[3j] = (x[j-1] + 2 x[j]) / 3``, ``y[3j+1] = x[j]``, ``y[3j+2] = (2 x[j] + x[j+1]) / 3``

    x [..., T, C]  ->  [..., 3T, C]
    Stage ``interpolate``. Output t lies at input time (t + 1/2) / 3 - 1/2 = j + (t - 3j - 1) / 3;
    in integers, so that it is as exact after an hour as in the first second.
    """
    *batch, steps, channels = x.shape
    held = np.concatenate([x[..., :1, :], x, x[..., -1:, :]], axis=-2)
    y = np.empty((*batch, steps, 3, channels), x.dtype)
    y[..., 0, :] = (held[..., :-2, :] + 2 * x) / 3
    y[..., 1, :] = x
    y[..., 2, :] = (2 * x + held[..., 2:, :]) / 3
    return y.reshape(*batch, 3 * steps, channels)


def upsample2(x, filter):
    """Double the rate with a 12-tap filter, two samples lost at each end.

    With ``w = 2 filter`` and ``xp`` = x after 2 zeros and before 3:
    ``y[2n] = sum_k w[2k] xp[n + k]``, ``y[2n+1] = sum_k w[2k+1] xp[n + k]``, k = 0 .. 5,
    then the first two and the last two samples are dropped.

    x [..., T, C], filter [12]  ->  [..., 2T - 4, C]
    Stages ``activation0.upsample`` and ``activation1.upsample``. In BigVGAN's upsampler, where
    this one comes from, the two sums stand the other way round. The released weights were
    trained with the pairs swapped, so the swap is part of the network: undoing it moves the
    output by one to three samples.
    """
    bank = 2 * np.stack([filter[0::2], filter[1::2]])
    return polyphase(_pad(x, 2, 3), bank, 1)[..., 2:-2, :]


def snake_beta(x, alpha, beta):
    """The periodic activation, one frequency and one depth for each channel.

    ``y = x + (1 - cos(2 a x)) / (2 b + 1e-9)``, ``a = exp(alpha)``, ``b = exp(beta)``;
    the fraction is ``sin(a x)^2 / b``.

    x [..., T, C], alpha [C], beta [C]  ->  [..., T, C]
    Stages ``activation0.snakebeta`` and ``activation1.snakebeta``.
    """
    y = x * (2 * np.exp(alpha))
    np.cos(y, out=y)
    np.subtract(1, y, out=y)
    y /= 2 * np.exp(beta) + x.dtype.type(1e-9)
    y += x
    return y


def downsample2(x, filter):
    """Halve the rate with a 12-tap filter, zeros beyond both ends.

    ``y[n] = sum_k filter[k] x[2n + k - 5]``, k = 0 .. 11

    x [..., T, C], filter [12]  ->  [..., T // 2, C]
    Stages ``activation0.downsample`` and ``activation1.downsample``.
    """
    return polyphase(_pad(x, 5, 5), filter[np.newaxis], 2)


def polyphase(x, bank, step):
    """Filter along time: for every `step` samples in, one sample out of each filter.

    ``y[P n + p] = sum_k bank[p, k] x[step n + k]``, for every n whose K samples are all in x

    x [..., T, C], bank [P, K]  ->  [..., P N, C], N = (T - K) // step + 1
    """
    phases, taps = bank.shape
    *batch, steps, channels = x.shape
    count = (steps - taps) // step + 1
    # _STEPS values of n at a time: the bank, repeated down a diagonal, is one small matrix
    # that takes all the samples those values of n look at to all the samples they give.
    blocks = -(-count // _STEPS)
    width = (_STEPS - 1) * step + taps
    band = np.zeros((_STEPS, phases, width), x.dtype)
    for n in range(_STEPS):
        band[n, :, n * step : n * step + taps] = bank
    x = _pad(x, 0, max(0, ((blocks - 1) * _STEPS * step + width) - steps))
    windows = sliding_window_view(x, width, axis=-2)[..., :: _STEPS * step, :, :]
    windows = windows[..., :blocks, :, :].swapaxes(-1, -2)
    y = band.reshape(_STEPS * phases, width) @ windows
    return y.reshape(*batch, blocks * _STEPS * phases, channels)[..., : count * phases, :]


def _pad(x, before, after):
    """Zeros before and after along time: [..., T, C] -> [..., before + T + after, C]."""
    *batch, steps, channels = x.shape
    y = np.zeros((*batch, before + steps + after, channels), x.dtype)
    y[..., before : before + steps, :] = x
    return y
