"""Run Inflect-Nano's vocoder fast: the same layers as products of matrices, for numpy.

Signals are [time, channel] with zeros around, so that what a product takes lies side by side. A
dilated convolution is a plain one on every d-th step: these are put one after the other, with zeros
between them.
"""

from typing import Any, NamedTuple

import numpy as np

from ...blas import one_thread
from ...layers.banded import correlate, toeplitz
from ...samples import ceil_div
from ...tensors import cast
from ..record import Params
from .spec import DILATIONS, RATES, TAPS
from .vocoder import alpha

# Steps that elementwise work takes as one row: numpy is slow at rows as short as 9 channels.
_ROWS = 8
_BLOCK = 1 << 14  # numbers that an activation takes at a time: they stay in a core's own cache


class Conv(NamedTuple):
    matrix: np.ndarray  # `toeplitz`
    bias: np.ndarray  # [8, O], the same in each row
    hop: int  # steps that a row of the product gives
    taps: int


class Snake(NamedTuple):
    frequency: np.ndarray  # [8, C], the same in each row
    depth: np.ndarray  # 1 over that


class Half(NamedTuple):
    snake: Snake
    conv: Conv


class Stage(NamedTuple):
    snake: Snake
    up: Conv
    residuals: tuple[tuple[tuple[Half, Half], ...], ...]  # branch, dilation


class Folded(NamedTuple):
    """The vocoder's weights as `forward` takes them. Made by `fold`."""

    pre: Conv
    stages: tuple[Stage, ...]
    snake: Snake
    post: Conv


def fold(params: Params, dtype: Any) -> Folded:
    """Fold the vocoder's part of `load`, in float64, and cast what comes out to `dtype`."""
    p = cast(params, np.float64)
    stages = []
    for i, rate in enumerate(RATES):
        residuals = tuple(
            tuple((_half(block, 1, str(k)), _half(block, 2, str(k))) for k in range(len(DILATIONS)))
            for block in (p["resblocks"][str(len(TAPS) * i + j)] for j in range(len(TAPS)))
        )
        up = _transposed(p["ups"][str(i)], rate)
        stages.append(Stage(_activation(p["up_acts"][str(i)]), up, residuals))
    last = _activation(p["post_act"])
    folded = Folded(_conv(p["conv_pre"]), tuple(stages), last, _conv(p["conv_post"]))
    return _cast(folded, dtype)


def forward(p: Folded, mel: np.ndarray) -> np.ndarray:
    """mel [80, F] in the dtype of p -> samples at 24 kHz [256 F]."""
    with one_thread():
        x = _run(p.pre, mel.T)
        for stage, rate in zip(p.stages, RATES, strict=True):
            u = _snake(x, *stage.snake)
            x = _run(stage.up, u).reshape(rate * len(x), -1)
            total = np.zeros_like(x)
            for residual in stage.residuals:
                total += _residual(residual, x)
            total /= x.dtype.type(len(TAPS))
            x = total
        y = _run(p.post, _snake(x, *p.snake))
        return np.tanh(y[:, 0])


def _residual(pairs: tuple[tuple[Half, Half], ...], x: np.ndarray) -> np.ndarray:
    x = x.copy()
    for (first, second), dilation in zip(pairs, DILATIONS, strict=True):
        u = _dilated(_snake(x, *first.snake), first.conv, dilation)
        x += _run(second.conv, _snake(u, *second.snake))
    return x


def _dilated(x: np.ndarray, conv: Conv, dilation: int) -> np.ndarray:
    if dilation == 1:
        return _run(conv, x)
    steps, channels = x.shape
    each = ceil_div(steps, dilation)
    row = each + conv.taps // 2  # with the zeros before the next
    wide = np.zeros((dilation, row, channels), x.dtype)
    whole = steps // dilation
    wide[:, :whole] = x[: whole * dilation].reshape(whole, dilation, channels).transpose(1, 0, 2)
    rest = steps - whole * dilation
    wide[:rest, whole : whole + 1] = x[whole * dilation :, np.newaxis]
    y = _run(conv, wide.reshape(-1, channels)).reshape(dilation, row, -1)[:, :each]
    return y.transpose(1, 0, 2).reshape(each * dilation, -1)[:steps]


def _run(conv: Conv, x: np.ndarray) -> np.ndarray:
    """x [T, I] -> [T, O], zeros beyond the ends."""
    steps, channels = x.shape
    window = conv.matrix.shape[0] // channels
    most = ceil_div(steps, window) * window + window
    wide = np.zeros((most + conv.taps, channels), x.dtype)
    before = conv.taps // 2
    wide[before : before + steps] = x
    y = np.zeros((ceil_div(most, _ROWS) * _ROWS, conv.bias.shape[1]), x.dtype)
    correlate(wide, conv.matrix, conv.hop, y, steps)
    tall = y[: ceil_div(steps, _ROWS) * _ROWS].reshape(-1, conv.bias.size)
    tall += conv.bias.reshape(-1)
    return y[:steps]


def _snake(x: np.ndarray, frequency: np.ndarray, depth: np.ndarray) -> np.ndarray:
    y = np.empty_like(x)
    rows = _ROWS if len(x) % _ROWS == 0 else 1
    frequency, depth = frequency[:rows].reshape(-1), depth[:rows].reshape(-1)
    tall, made = x.reshape(-1, len(frequency)), y.reshape(-1, len(frequency))
    size = max(1, _BLOCK // len(frequency))
    for first in range(0, len(tall), size):
        part, out = tall[first : first + size], made[first : first + size]
        np.multiply(part, frequency, out=out)
        np.sin(out, out=out)
        np.multiply(out, out, out=out)
        out *= depth
        out += part
    return y


def _conv(p: Params) -> Conv:
    kernel = p["weight"].transpose(2, 1, 0)  # [tap, in, out]
    taps, _, out = kernel.shape
    hop = next((hop for least, hop in _HOPS.items() if out >= least), 16)
    return Conv(toeplitz(kernel, hop), np.tile(p["bias"], (_ROWS, 1)), hop, taps)


# Steps that a row of a product gives, by channels: narrow products are slow, and wider ones have
# more zeros.
_HOPS = {36: 1, 18: 2, 9: 4}


def _transposed(p: Params, rate: int) -> Conv:
    """A transposed convolution gives `rate` steps for each, of that and its two neighbours."""
    weight = p["weight"]  # [in, out, 2 rate]
    channels_in, channels_out, taps = weight.shape
    kernel = np.zeros((3, channels_in, rate, channels_out))
    for q in range(rate):
        for tap in range(taps):
            # Output rate n + q takes step m, where q + rate / 2 + rate (n - m) is the tap.
            back, rest = divmod(q + rate // 2 - tap, rate)
            if rest == 0 and abs(back) <= 1:
                kernel[1 + back, :, q] = weight[:, :, tap]
    bias = np.tile(p["bias"], (_ROWS, rate))
    return Conv(toeplitz(kernel.reshape(3, channels_in, -1), 1), bias, 1, 3)


def _half(block: Params, half: int, k: str) -> Half:
    return Half(_activation(block[f"acts{half}"][k]), _conv(block[f"convs{half}"][k]))


def _activation(p: Params) -> Snake:
    frequency = np.tile(alpha(p["log_alpha"]), (_ROWS, 1))
    return Snake(frequency, 1 / frequency)


def _cast(tree: Any, dtype: Any) -> Any:
    if isinstance(tree, tuple):
        values = [_cast(value, dtype) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else tuple(values)
    return np.ascontiguousarray(tree, dtype) if isinstance(tree, np.ndarray) else tree
