"""Wide layers in blocks that fit a core's cache, shared between threads (`threads`).

Each equals the layer of the same name in `layers`, or the layers that it names, except for
rounding. A block includes the steps that it needs of its neighbours. The bytes are the same for any
number of threads.
"""

from itertools import product
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..blas import one_thread
from ..layers import conv2d
from ..threads import each

_STEPS = 512  # least steps of a product: with fewer it is slow
_PRODUCT = 2**20  # numbers in a product's larger matrix, if they are more steps than that
_ROW, _BLOCK = 4096, 2**16  # steps, and total numbers, of a block of the activation
_REACH = 5  # steps on either side that the activation depends on


def conv1d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    dilation: int = 1,
    padded: bool = True,
    stride: int = 1,
) -> np.ndarray:
    """``y[o, t] = bias[o] + sum_ik weight[o, i, k] x[i, s t + d (k - K//2)]``.

    x [..., I, T], weight [O, I, K], bias [O] -> [..., O, T]; d the dilation, s the stride, zeros
    beyond the ends. padded: False for none; then the first step begins at x's first sample.
    """
    *lead, channels, length = x.shape
    out, _, taps = weight.shape
    span = dilation * (taps - 1) + 1
    half = taps // 2 * dilation if padded else 0
    y = np.empty((*lead, out, (length + 2 * half - span) // stride + 1), x.dtype)
    size = max(_STEPS, _PRODUCT // (channels * taps))

    def block(first: int) -> None:
        place = y[..., first : first + size]
        begin = first * stride - half
        part = _beyond(x, begin, begin + (place.shape[-1] - 1) * stride + span, "constant")
        windows = sliding_window_view(part, span, -1)[..., ::stride, ::dilation]
        windows = np.swapaxes(windows, -1, -2).reshape(*lead, channels * taps, -1)  # written out
        np.matmul(weight.reshape(out, -1), windows, out=place)
        place += bias[:, np.newaxis]

    with one_thread():
        each(block, range(0, y.shape[-1], size))
    return y


def conv_transpose1d(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int, padding: int
) -> np.ndarray:
    """``y[o, q] = bias[o] + sum_in weight[i, o, q + padding - n stride] x[i, n]``.

    x [..., I, T], weight [I, O, K], K a multiple of the stride, bias [O]
    -> [..., O, (T - 1) stride + K - 2 padding]
    """
    *lead, channels, length = x.shape
    _, out, taps = weight.shape
    turns = taps // stride  # steps of x on which each step of y depends
    y = np.empty((*lead, out, length + turns - 1, stride), x.dtype)
    size = max(_STEPS, _PRODUCT // (out * taps))

    def block(first: int) -> None:
        place = y[..., first : first + size, :]
        steps = place.shape[-2]
        part = _beyond(x, first - turns + 1, first + steps, "constant")
        spread = (weight.reshape(channels, -1).T @ part).reshape(*lead, out, turns, stride, -1)
        spread = np.swapaxes(spread, -1, -2)
        place[...] = bias[:, np.newaxis, np.newaxis]
        for turn in range(turns):  # the taps from turn * stride on, the step of x so many before
            place += spread[..., turn, turns - 1 - turn :, :][..., :steps, :]

    with one_thread():
        each(block, range(0, y.shape[-2], size))
    y = y.reshape(*lead, out, -1)
    return y[..., padding : y.shape[-1] - padding]


def snake_beta_at_twice(
    x: np.ndarray,
    upsample: np.ndarray,
    downsample: np.ndarray,
    alpha: np.ndarray,
    beta: np.ndarray,
    epsilon: float,
) -> np.ndarray:
    """Apply `upsample2`, `snake_beta` and `downsample2`, all ends held.

    x [..., C, T], alpha and beta [C], upsample and downsample [12] -> [..., C, T]
    """
    length = x.shape[-1]
    rows = x.reshape(-1, length)
    y = np.empty_like(rows)
    often = len(rows) // len(alpha)
    twice = np.tile(2 * np.exp(alpha), often)[:, np.newaxis]
    depth = np.tile(1 / (2 * np.exp(beta) + x.dtype.type(epsilon)), often)[:, np.newaxis]
    height = max(1, _BLOCK // min(_ROW, length))
    w = 2 * upsample[::-1]

    def snake(u: np.ndarray, some: slice) -> np.ndarray:
        wave = twice[some] * u
        np.cos(wave, out=wave)
        np.subtract(1, wave, out=wave)
        wave *= depth[some]
        wave += u
        return wave

    def block(at: tuple[int, int]) -> None:
        some, first = slice(at[0], at[0] + height), at[1]
        place = y[some, first : first + _ROW]
        steps = place.shape[-1]
        part = _beyond(rows[some], first - _REACH, first + steps + _REACH, "edge")
        # u, at twice the rate, as even[m] = u[2 m] and odd[m] = u[2 m - 1]: both depend on
        # x[m - 3] .. x[m + 2], and y[m - 1] on both at m - 3 .. m + 2. m = first is column _REACH.
        even = snake(_correlate(part, w[::2]), some)
        odd = snake(_correlate(part, w[1::2]), some)
        begin, end = max(0, _REACH - first), length - first + _REACH  # where m is 0 and T
        odd[:, : begin + 1] = even[:, :begin] = even[:, begin : begin + 1]
        even[:, end:] = odd[:, end + 1 :] = odd[:, end : end + 1]
        total = _correlate(odd, downsample[::2])
        total += _correlate(even, downsample[1::2])
        place[...] = total[:, _REACH + 1 : _REACH + 1 + steps]

    each(block, product(range(0, len(rows), height), range(0, length, _ROW)))
    return y.reshape(x.shape)


def upsampling_conv2d(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Apply `repeat2`, then `conv2d`, at 4/9 of the work, without repeating pixels.

    x [..., I, H, W], weight [O, I, 3, 3], bias [O] -> [..., O, 2 H, 2 W]
    """
    *lead, _, height, width = x.shape
    out, channels = weight.shape[:2]
    y = np.empty((*lead, out, 2 * height, 2 * width), x.dtype)
    # Of three neighbouring rows two are the same row of x: the last two if the middle one is even,
    # else the first two. So they need two taps, one of which is a sum; columns likewise.
    taps = np.array([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], x.dtype)
    for r, c in np.ndindex(2, 2):
        kernel = (weight.reshape(-1, 9) @ np.kron(taps[r], taps[c]).T).reshape(out, channels, 2, 2)
        part = conv2d(x, kernel, bias, pads=(1, 1))
        y[..., r::2, c::2] = part[..., r : r + height, c : c + width]
    return y


def _correlate(x: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """``y[c, t] = sum_k taps[k] x[c, t + k - 3]``, k = 0 .. 5: [C, T], with meaningless ends.

    They run into the next row: numpy computes all rows as one, in a single pass.
    """
    return np.correlate(x.reshape(-1), taps, "same").reshape(x.shape)


def _beyond(x: np.ndarray, first: int, last: int, mode: Literal["constant", "edge"]) -> np.ndarray:
    """x[..., first:last], continued beyond the ends of x as in that mode of np.pad."""
    before, after = max(0, -first), max(0, last - x.shape[-1])
    part = x[..., max(0, first) : last]
    if not before and not after:
        return part
    return np.pad(part, [(0, 0)] * (x.ndim - 1) + [(before, after)], mode)
