"""Run Inflect-Nano's vocoder fast, with the same layers as matrix products, for numpy.

Signals are [time, channel] with zeros around, so that the operands of a product are contiguous
(`fast.banded`). Of the activation Snake, ``x + sin(a x)^2 / a``, the factor a is multiplied into
the convolution before it, and 1 / a into the one after it, wherever nothing else uses the same x.
"""

from typing import Any, NamedTuple

import numpy as np

from ...blas import one_thread
from ...fast.banded import ROWS, correlate_dilated, tall, toeplitz
from ...samples import ceil_div
from ...tensors import cast
from ..record import Params
from .spec import DILATIONS, RATES, TAPS
from .vocoder import alpha

_REACH = 64  # steps on either side, in whole rows, that a branch depends on: 60 with 11 taps
_PIECE = 1 << 16  # numbers of a signal in a piece
_BLOCK = 1 << 14  # numbers that an activation takes at a time, to fit a core's cache


class Conv(NamedTuple):
    """Convolution, with the activation before it."""

    matrix: np.ndarray  # `toeplitz`
    bias: np.ndarray  # [8, O], the same in each row
    hop: int  # steps that a row of the product gives
    taps: int
    active: bool  # True if Snake comes before it
    frequency: np.ndarray | None  # Snake's a, where it is not in a convolution yet, [8, I]


class Stage(NamedTuple):
    up: Conv
    residuals: tuple[tuple[tuple[Conv, Conv], ...], ...]  # branch, dilation


class Folded(NamedTuple):
    """Folded weights of the vocoder for `forward`. Made by `fold`."""

    pre: Conv
    stages: tuple[Stage, ...]
    post: Conv


def fold(params: Params, dtype: Any) -> Folded:
    """Fold the vocoder's part of `load` in float64, and cast the result to `dtype`."""
    p = cast(params, np.float64)
    stages = []
    for i, rate in enumerate(RATES):
        blocks = [p["resblocks"][str(len(TAPS) * i + j)] for j in range(len(TAPS))]
        residuals = tuple(
            tuple(_pair(block, str(k)) for k in range(len(DILATIONS))) for block in blocks
        )
        up = _transposed(p["ups"][str(i)], rate, _alpha(p["up_acts"][str(i)]))
        stages.append(Stage(up, residuals))
    post = _conv(p["conv_post"], _alpha(p["post_act"]))
    return cast(Folded(_conv(p["conv_pre"]), tuple(stages), post), dtype)


def forward(p: Folded, mel: np.ndarray) -> np.ndarray:
    """Run the vocoder: mel [80, F] in the dtype of p -> samples at 24 kHz [256 F]."""
    with one_thread():
        x = _run(p.pre, mel.T)
        for stage, rate in zip(p.stages, RATES, strict=True):
            x = _run(stage.up, x).reshape(rate * len(x), -1)
            x = _mean(stage.residuals, x)
        return np.tanh(_run(p.post, x)[:, 0])


def _mean(residuals: tuple, x: np.ndarray) -> np.ndarray:
    """Compute the mean of the branches, in pieces that fit a core's cache, exact at their ends."""
    y = np.empty_like(x)
    size = max(ROWS, _PIECE // x.shape[1] // ROWS * ROWS)
    for first in range(0, len(x), size):
        begin, end = max(0, first - _REACH), min(len(x), first + size + _REACH)
        piece, inside = x[begin:end], slice(first - begin, first - begin + size)
        total = sum(_residual(residual, piece)[inside] for residual in residuals)
        y[first : first + size] = total / x.dtype.type(len(residuals))
    return y


def _residual(pairs: tuple[tuple[Conv, Conv], ...], x: np.ndarray) -> np.ndarray:
    x = x.copy()
    for (first, second), dilation in zip(pairs, DILATIONS, strict=True):
        x += _run(second, _run(first, x, dilation))
    return x


def _run(conv: Conv, x: np.ndarray, dilation: int = 1) -> np.ndarray:
    """Convolve x [T, I] -> [T, O], zeros beyond the ends."""
    steps, channels = x.shape
    window, half = len(conv.matrix) // channels, conv.taps // 2 * dilation
    room = (ceil_div(steps, dilation) + 2 * window) * dilation
    wide = np.zeros((half + room, channels), x.dtype)
    _activated(conv, x, wide[half : half + steps])
    y = np.zeros((ceil_div(room, ROWS) * ROWS, conv.bias.shape[1]), x.dtype)
    correlate_dilated(wide, conv.matrix, conv.hop, dilation, y, steps)
    rows = tall(y, steps)
    rows += conv.bias.reshape(-1)
    return y[:steps]


def _activated(conv: Conv, x: np.ndarray, y: np.ndarray) -> None:
    """Write ``u + sin(u)^2`` to y, u = x times the frequency; or x as it is."""
    if not conv.active:
        y[:] = x
        return
    rows = ROWS if len(x) % ROWS == 0 else 1
    tall, made = x.reshape(-1, rows * x.shape[1]), y.reshape(-1, rows * x.shape[1])
    size = max(1, _BLOCK // tall.shape[1])
    for first in range(0, len(tall), size):
        u, out = tall[first : first + size], made[first : first + size]
        if conv.frequency is not None:
            u = u * conv.frequency[:rows].reshape(-1)
        np.sin(u, out=out)
        np.multiply(out, out, out=out)
        out += u


def _pair(block: Params, k: str) -> tuple[Conv, Conv]:
    """Fold the two convolutions of a residual step, the second's frequency into the first."""
    inner = _alpha(block["acts2"][k])
    first = _conv(block["convs1"][k], _alpha(block["acts1"][k]), inner)
    second = _conv(block["convs2"][k], inner)
    return first, second._replace(frequency=None)


def _conv(p: Params, frequency: Any = None, scale: Any = 1.0) -> Conv:
    """Fold a convolution. frequency: of the Snake before it, [I]; scale: of its output, [O]."""
    kernel = p["weight"].transpose(2, 1, 0) * scale  # [tap, in, out]
    taps, _, out = kernel.shape
    hop = next((hop for least, hop in _HOPS.items() if out >= least), 16)
    if frequency is not None:
        kernel = kernel / frequency[:, np.newaxis]
        frequency = np.tile(frequency, (ROWS, 1))
    bias = np.tile(p["bias"] * scale, (ROWS, 1))
    return Conv(toeplitz(kernel, hop), bias, hop, taps, frequency is not None, frequency)


# Steps that a row of a product computes, by channels: narrow products are slow, and wide ones
# contain more zeros.
_HOPS = {36: 1, 18: 2, 9: 4}


def _transposed(p: Params, rate: int, frequency: np.ndarray) -> Conv:
    """Fold a transposed convolution: each step and its two neighbours give `rate` steps."""
    weight = p["weight"] / frequency[:, np.newaxis, np.newaxis]  # [in, out, 2 rate]
    channels_in, channels_out, taps = weight.shape
    kernel = np.zeros((3, channels_in, rate, channels_out))
    for q in range(rate):
        for tap in range(taps):
            # Output rate n + q takes step m, where q + rate / 2 + rate (n - m) is the tap.
            back, rest = divmod(q + rate // 2 - tap, rate)
            if rest == 0 and abs(back) <= 1:
                kernel[1 + back, :, q] = weight[:, :, tap]
    bias = np.tile(p["bias"], (ROWS, rate))
    matrix = toeplitz(kernel.reshape(3, channels_in, -1), 1)
    return Conv(matrix, bias, 1, 3, True, np.tile(frequency, (ROWS, 1)))


def _alpha(p: Params) -> np.ndarray:
    return alpha(p["log_alpha"])
