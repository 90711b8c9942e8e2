"""Convolution of images, and twice their size."""

import numpy as np

from ..blas import one_thread

_BLOCK = 1024  # places that a product makes at a time: they stay in a core's own cache


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
    *lead, channels, height, width = x.shape
    out, _, taps, _ = weight.shape
    before, after = pads or (taps // 2, taps // 2)
    rows, columns = ((n + before + after - taps) // stride + 1 for n in (height, width))
    # With every s-th row and column as an image of its own, s^2 of them, the tap (k, m) takes image
    # (k mod s, m mod s), from row k // s and column m // s on. With the rows one after the other
    # that is one offset, and a product takes places as they lie; those that run over the end of a
    # row are dropped in the end.
    spare = (taps - 1) // stride
    tall, wide = rows + spare, columns + spare
    image = np.zeros((*lead, channels, tall * stride, wide * stride), x.dtype)
    inside = image[..., before : before + height, before : before + width]
    inside[...] = x[..., : inside.shape[-2], : inside.shape[-1]]
    image = image.reshape(*lead, channels, tall, stride, wide, stride)
    images = np.moveaxis(image, (-3, -1), (0, 1)).reshape(
        stride, stride, *lead, channels, tall * wide
    )
    kernel = np.ascontiguousarray(np.moveaxis(weight, (-2, -1), (0, 1)))
    places = (rows - 1) * wide + columns
    y = np.empty((*lead, out, rows * wide), x.dtype)
    with one_thread():
        for first in range(0, places, _BLOCK):
            size = min(_BLOCK, places - first)
            total = bias[:, np.newaxis]
            for k in range(taps):
                for m in range(taps):
                    start = first + k // stride * wide + m // stride
                    part = images[k % stride, m % stride][..., start : start + size]
                    total = total + kernel[k, m] @ part
            y[..., first : first + size] = total
    return y.reshape(*lead, out, rows, wide)[..., :columns]


def repeat2(x: np.ndarray) -> np.ndarray:
    """Every pixel four times: [..., H, W] -> [..., 2 H, 2 W]."""
    return x.repeat(2, axis=-2).repeat(2, axis=-1)
