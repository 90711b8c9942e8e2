"""Convolution and doubling of images."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..blas import one_thread
from ..threads import each

_PLACES = 512  # pixels that a product computes at a time, or one row


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    stride: int = 1,
    pads: tuple[int, int] | None = None,
) -> np.ndarray:
    """Correlate with a bank of square kernels, zeros beyond the edges (torch's ``conv2d``).

    ``y[o, r, c] = bias[o] + sum_ikm weight[o, i, k, m] x[i, s r + k - before, s c + m - before]``,
    s the stride

    x [..., I, H, W], weight [O, I, K, K], bias [O] -> [..., O, (H + before + after - K) // s + 1,
    and likewise for W]. pads: rows and columns of zeros (before, after); K // 2 of them if None.
    """
    out, _, *taps = weight.shape
    around = pads or (taps[0] // 2, taps[0] // 2)
    xp = np.pad(x, [(0, 0)] * (x.ndim - 2) + [around, around])
    windows = sliding_window_view(xp, taps, (-2, -1))[..., ::stride, ::stride, :, :]
    windows = np.moveaxis(windows, (-2, -1), (-4, -3))  # [..., I, K, K, rows, columns]
    *lead, _, _, _, rows, columns = windows.shape
    y = np.empty((*lead, out, rows, columns), x.dtype)
    height = max(1, _PLACES // columns)

    def block(first: int) -> None:
        # Only here windows are copied: those of a few rows, side by side for one product.
        part = windows[..., first : first + height, :].reshape(*lead, weight[0].size, -1)
        part = weight.reshape(out, -1) @ part
        part += bias[:, np.newaxis]
        y[..., first : first + height, :] = part.reshape(*lead, out, -1, columns)

    with one_thread():
        each(block, range(0, rows, height))
    return y


def repeat2(x: np.ndarray) -> np.ndarray:
    """Repeat every pixel four times: [..., H, W] -> [..., 2 H, 2 W]."""
    return x.repeat(2, axis=-2).repeat(2, axis=-1)
