"""Run SpeechSR fast away from a signal's ends, for numpy.

`fast.snake` has the formula of an activation, ``c (r L g - D cos(U g) + s)`` of its input times
``2 a``, g. `fold` multiplies c and s into the convolution after the activation, and ``2 a`` into
the one before it, where nothing else uses that convolution's output.

All arrays have rows for the same time steps, with a margin on either side. The values at the edges
of the margins are wrong, and each operation carries wrong values further inwards, in total exactly
as far as the network's context, so they never reach the outputs that are kept. A block is cut into
tiles that fit the caches; for the same reason their outputs join exactly.
"""

from typing import Any, NamedTuple

import numpy as np

from ...fast.banded import ROWS, correlate, correlate_dilated, tall, toeplitz
from ...fast.snake import Snake, fold_snake, snake
from ...layers import snake_beta
from ...samples import ceil_div
from ...tensors import cast
from ..record import Facts, Params
from .spec import (
    CHANNELS,
    DILATIONS,
    EPSILON,
    OUTPUTS,
    REACH,
    TAPS,
    Variant,
)

# Time steps that one row of a product covers (`fast.banded`), and steps of a tile, with three
# outputs each.
_PRE, _POST = 8, 16
_TILE = 2000
# Rows of an array in each margin: as far as the longest operation reads, 25, and the surplus of a
# product's last row.
_MARGIN = 96
# Input steps on which the outputs of a step depend, by the samples of a step: conv_pre's 7 samples
# and the interpolation's 3 or 4.
_SPAN = {1: 9, 2: 5}


class Step(NamedTuple):
    """``z += conv2(activation(conv1(activation(z))))``."""

    gain: np.ndarray  # 2 a of each channel, repeated ROWS times: [ROWS * 32]
    activation0: Snake
    conv1: np.ndarray
    bias1: np.ndarray  # repeated ROWS times
    activation1: Snake
    conv2: np.ndarray
    bias2: np.ndarray


class Folded(NamedTuple):
    """Folded weights for `interior`, all of one dtype. Made by `fold`."""

    pre: np.ndarray
    pre_bias: np.ndarray
    branches: tuple[tuple[Step, ...], ...]
    gain: np.ndarray  # 2 a divided by the number of branches, repeated ROWS times
    activation: Snake
    post: np.ndarray
    bias: np.ndarray


class Scratch(NamedTuple):
    """Working memory for the steps of a tile. Made by `scratch`, one for each thread."""

    x: np.ndarray
    h: np.ndarray  # input of all branches
    z: np.ndarray
    mean: np.ndarray
    g: np.ndarray
    u: np.ndarray  # at twice the rate
    v: np.ndarray
    w: np.ndarray
    y: np.ndarray


def fold(variant: Variant, params: Params, dtype: Any, options: None = None) -> Folded:
    """Fold a tree of weights (`load_weights`) in float64, and cast the result to `dtype`."""
    p = cast(params, np.float64)
    silent = p["conv_pre"]["bias"]
    branches, ends = [], []
    for branch in range(len(TAPS)):
        steps, end = [], silent
        for i in range(len(DILATIONS)):
            step, end = _step(p["resblocks"][str(branch)], i, end)
            steps.append(step)
        branches.append(tuple(steps))
        ends.append(end)
    mean = sum(ends) / len(ends)
    activation, gain, depth, shift = _activation(mean, p["activation_post"])
    post = p["conv_post"]["weight"].transpose(2, 1, 0)
    return cast(
        Folded(
            pre=toeplitz(_pre(variant, p["conv_pre"]["weight"].transpose(2, 1, 0)), _PRE),
            pre_bias=np.tile(silent, ROWS),
            branches=tuple(branches),
            # The sum of the branches replaces their mean.
            gain=np.tile(gain * (1 / len(ends)), ROWS),
            activation=activation,
            post=toeplitz(depth[:, np.newaxis] * post, _POST),
            bias=shift @ post.sum(0),
        ),
        dtype,
    )


def _pre(variant: Variant, weight: np.ndarray) -> np.ndarray:
    """Join conv_pre and the interpolation: [taps, step, 3 * 32], for the outputs of a step.

    Each output is a weighted sum of the step's samples and their neighbours, three or four.
    """
    if variant.step == 1:  # of the samples j-1, j, j+1
        shares = np.array([[1, 2, 0], [0, 3, 0], [0, 2, 1]]) / 3
    else:  # of 2n-1 .. 2n+2
        shares = np.array([[1, 5, 0, 0], [0, 3, 3, 0], [0, 0, 5, 1]]) / 6
    taps, samples = len(weight), shares.shape[1]
    kernel = np.zeros((taps + samples - 1, OUTPUTS, CHANNELS))
    for output, share in enumerate(shares):
        for sample, part in enumerate(share):
            kernel[sample : sample + taps, output] += part * weight[:, 0]
    return kernel.reshape(-1, variant.step, OUTPUTS * CHANNELS)


def _step(q: Params, i: int, silent: np.ndarray) -> tuple[Step, np.ndarray]:
    """Fold a step; also return its output in silence, [32]."""
    conv1, conv2 = q["convs1"][str(i)], q["convs2"][str(i)]
    weight1, weight2 = (conv["weight"].transpose(2, 1, 0) for conv in (conv1, conv2))
    first, second = (q["activations"][str(2 * i + j)] for j in range(2))
    activation0, gain0, depth0, shift0 = _activation(silent, first)
    inner = conv1["bias"] + _silence(silent, first) @ weight1.sum(0)
    activation1, gain1, depth1, shift1 = _activation(inner, second)
    outer = silent + conv2["bias"] + _silence(inner, second) @ weight2.sum(0)
    step = Step(
        gain=np.tile(gain0, ROWS),
        activation0=activation0,
        conv1=toeplitz(depth0[:, np.newaxis] * weight1 * gain1, 1),
        bias1=np.tile(gain1 * (conv1["bias"] + shift0 @ weight1.sum(0)), ROWS),
        activation1=activation1,
        conv2=toeplitz(depth1[:, np.newaxis] * weight2, 1),
        bias2=np.tile(conv2["bias"] + shift1 @ weight2.sum(0), ROWS),
    )
    return step, outer


def _silence(silent: np.ndarray, p: Params) -> np.ndarray:
    """Output of an activation for a constant, [32]."""
    return snake_beta(silent[:, np.newaxis], **p["snakebeta"], epsilon=EPSILON)[:, 0]


def _activation(silent: np.ndarray, p: Params) -> tuple[Snake, np.ndarray, np.ndarray, np.ndarray]:
    return fold_snake(silent, **p, epsilon=EPSILON)


def scratch(variant: Variant, samples: int, dtype: Any) -> Scratch:
    """Allocate working memory for `interior` on blocks of up to `samples` samples."""
    tile = min(samples // variant.step, _TILE)
    steps = OUTPUTS * tile + 2 * (REACH + _MARGIN) + 16

    def zeros(rows: int) -> np.ndarray:
        return np.zeros((rows, CHANNELS), dtype)

    return Scratch(
        x=np.zeros((tile + 2 * variant.context + 64, variant.step), dtype),
        y=np.zeros(OUTPUTS * tile + 64, dtype),
        u=zeros(2 * steps),
        **{name: zeros(steps) for name in ("h", "z", "mean", "g", "v", "w")},
    )


def interior(
    variant: Variant,
    p: Folded,
    x: np.ndarray,
    y: np.ndarray,
    s: Scratch,
    start: int = 0,
    facts: Facts | None = None,
) -> None:
    """Upsample x [n + 72] at 16 kHz, context included, to y [3 n] at 48 kHz, in place.

    The first and the last 36 samples of x are context; none of them is the end of a signal. To 24
    kHz, [n + 140] -> [3 n / 2], n even. n is at most the samples of `scratch`. All arrays have the
    dtype of p. start, facts: not needed.
    """
    x = x.reshape(-1, variant.step)
    context = 2 * variant.context // variant.step
    count = len(x) - context
    for start in range(0, count, _TILE):
        n = min(_TILE, count - start)
        out = y[OUTPUTS * start : OUTPUTS * (start + n)]
        _tile(p, x[start : start + n + context], out, n, s)


def _tile(p: Folded, x: np.ndarray, y: np.ndarray, count: int, s: Scratch) -> None:
    steps = OUTPUTS * count + 2 * REACH
    # The tile's first output is number 0. h begins with number -98, the second of step -33; the
    # first of that step, which is computed and left out, may need a step of x that does not exist.
    around = ceil_div(REACH, OUTPUTS)
    context = (len(x) - count) // 2
    begin = around + _SPAN[x.shape[1]] // 2 - context
    s.x[begin : begin + len(x)] = x
    correlate(s.x, p.pre, _PRE, s.g[_MARGIN - 1 :], count + 2 * around)
    s.h[_MARGIN : _MARGIN + steps] = s.g[_MARGIN : _MARGIN + steps]
    _add(s.h, p.pre_bias, steps)
    _rows(s.mean, steps)[:] = 0
    for taps, branch in zip(TAPS, p.branches, strict=True):
        _rows(s.z, steps)[:] = _rows(s.h, steps)
        for step, dilation in zip(branch, DILATIONS, strict=True):
            np.multiply(_rows(s.z, steps), step.gain, out=_rows(s.g, steps))
            _activate(step.activation0, s, steps)
            _convolve(s.v, step.conv1, taps, dilation, s.g, steps, s)
            _add(s.g, step.bias1, steps)
            _activate(step.activation1, s, steps)
            _convolve(s.v, step.conv2, taps, 1, s.w, steps, s)
            z = _rows(s.z, steps)
            z += _rows(s.w, steps)
            z += step.bias2
        mean = _rows(s.mean, steps)
        mean += _rows(s.z, steps)
    np.multiply(_rows(s.mean, steps), p.gain, out=_rows(s.g, steps))
    _activate(p.activation, s, steps)
    correlate(s.v[_MARGIN + REACH - 3 :], p.post, _POST, s.y, OUTPUTS * count)
    s.y[: len(y)] += p.bias
    np.tanh(s.y[: len(y)], out=y)


def _rows(x: np.ndarray, steps: int) -> np.ndarray:
    return tall(x[_MARGIN:], steps)


def _add(x: np.ndarray, bias: np.ndarray, steps: int) -> None:
    rows = _rows(x, steps)
    rows += bias


def _activate(p: Snake, s: Scratch, steps: int) -> None:
    snake(p, s.g[_MARGIN - 6 :], s.u, s.w[_MARGIN:], s.v[_MARGIN:], steps)


def _convolve(
    x: np.ndarray,
    matrix: np.ndarray,
    taps: int,
    dilation: int,
    y: np.ndarray,
    steps: int,
    s: Scratch,
) -> None:
    """Apply a dilated convolution, in the memory of u, which is free then."""
    begin = _MARGIN - taps // 2 * dilation
    correlate_dilated(x[begin:], matrix, 1, dilation, y[_MARGIN:], steps, s.u)
