"""Convolution and interpolation along time."""

import numpy as np

from ..blas import one_thread


def conv1d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    dilation: int = 1,
    padded: bool = True,
    stride: int = 1,
) -> np.ndarray:
    """Correlate with a bank of kernels, zeros beyond both ends (torch's ``conv1d``).

    ``y[o, t] = bias[o] + sum_ik weight[o, i, k] x[i, s t + d (k - K//2)]``, d the dilation, s the
    stride

    x [..., I, T], weight [O, I, K] with K odd, bias [O]  ->  [..., O, T]
    padded: False for no zeros; then there are T - d (K - 1) steps, and K may be even. stride: keep
    only every s-th of these steps.
    """
    taps = weight.shape[-1]
    half = taps // 2 * dilation if padded else 0
    xp = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)]) if half else x
    steps = xp.shape[-1] - dilation * (taps - 1)
    with one_thread():  # the products are small, so more threads cost more than they gain
        y = sum(
            weight[:, :, k] @ xp[..., dilation * k : dilation * k + steps : stride]
            for k in range(taps)
        )
    return y if bias is None else y + bias[:, np.newaxis]


def depthwise1d(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, dilation: int = 1
) -> np.ndarray:
    """Correlate each channel with a separate kernel, without padding.

    ``y[c, t] = bias[c] + sum_k weight[c, k] x[c, t + d k]``, d the dilation

    x [..., C, T], weight [C, K], bias [C]  ->  [..., C, T - d (K - 1)]
    """
    taps = weight.shape[-1]
    steps = x.shape[-1] - dilation * (taps - 1)
    y = sum(
        weight[:, k, np.newaxis] * x[..., dilation * k : dilation * k + steps] for k in range(taps)
    )
    return y + bias[:, np.newaxis]


def conv_transpose1d(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int, padding: int
) -> np.ndarray:
    """Spread each step over a kernel's taps, `stride` apart (torch's ``conv_transpose1d``).

    ``y[o, q] = bias[o] + sum_in weight[i, o, q + padding - n stride] x[i, n]``

    x [..., I, T], weight [I, O, K], bias [O] -> [..., O, (T - 1) stride + K - 2 padding]
    """
    steps, (_, channels, taps) = x.shape[-1], weight.shape
    y = np.zeros((*x.shape[:-2], channels, (steps - 1) * stride + taps), x.dtype)
    with one_thread():
        for k in range(taps):
            y[..., k : k + (steps - 1) * stride + 1 : stride] += weight[:, :, k].T @ x
    return y[..., padding : y.shape[-1] - padding] + bias[:, np.newaxis]


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """``x W^T + b``: x [..., I], weight [O, I], bias [O] -> [..., O]."""
    with one_thread():
        y = x @ weight.T
    return y if bias is None else y + bias


def interpolate3(x: np.ndarray) -> np.ndarray:
    """Interpolate linearly to three times the samples, the ends held (half-pixel centres).

    ``y[3j] = (x[j-1] + 2 x[j]) / 3``, ``y[3j+1] = x[j]``, ``y[3j+2] = (2 x[j] + x[j+1]) / 3``

    x [..., C, T]  ->  [..., C, 3T]
    Output t lies at input time (t + 1/2) / 3 - 1/2 = j + (t - 3j - 1) / 3; in integers, so that it
    is as exact after an hour as in the first second.
    """
    held = np.concatenate([x[..., :1], x, x[..., -1:]], axis=-1)
    before, after = held[..., :-2], held[..., 2:]
    return interleave((before + 2 * x) / 3, x, (2 * x + after) / 3)


def interpolate(x: np.ndarray, steps: int) -> np.ndarray:
    """Interpolate linearly to any number of steps, the ends held (half-pixel centres).

    Output m of M lies at input ``s = max((m + 1/2) T / M - 1/2, 0)``, and with ``j = floor(s)``
    ``y[m] = (1 - (s - j)) x[j] + (s - j) x[min(j + 1, T - 1)]``; for M = 3T, `interpolate3`.

    x [..., C, T]  ->  [..., C, M]
    """
    samples = x.shape[-1]
    # In integers, which are exact at any length: 2 M s = (2 m + 1) T - M.
    place = np.maximum((2 * np.arange(steps, dtype=np.int64) + 1) * samples - steps, 0)
    j, share = place // (2 * steps), (place % (2 * steps) / (2 * steps)).astype(x.dtype)
    return (1 - share) * x[..., j] + share * x[..., np.minimum(j + 1, samples - 1)]


def interleave(*phases: np.ndarray) -> np.ndarray:
    """Interleave P arrays [..., T] to [..., P T], one sample of each in turn."""
    *lead, steps = phases[0].shape
    return np.stack(phases, axis=-1).reshape(*lead, len(phases) * steps)
