"""Run NovaSR fast away from a signal's ends, with its linear parts multiplied out, for numpy.

Away from the ends of a signal nothing is padded, and except for two layers of cosines and the tanh
the network is linear: `fast.snake` has the formula of an activation, ``c (r L h - D cos(U h) + s)``
of its input times ``2 a``.

So `fold` multiplies ``2 a``, c and the constants into the convolutions on either side, joins
conv_pre with the interpolation, and conv2 and the skip path with conv_post (17 taps, one channel
out: there is no cosine between them). The remaining computation for each block is

1. ``h = pre(x)``                    16 -> 48 kHz: 9 taps, 1 -> 3 x 32
2. ``v = r L h - m - D cos(U h)``    activation 0
3. ``h = conv1(v)``                  11 taps, 32 -> 32: most of the arithmetic
4. ``v = r L h - m - D cos(U h)``    activation 1
5. ``y = tanh(post(v) + skip(x))``   17 taps, 32 -> 1, and at 16 kHz 11 taps, 1 -> 3

`model` has the stages as in the spec, and is used at the ends of a signal. JAX's folding differs
(`novasr_jax.networks.novasr.fast`), as it is made for XLA.
"""

from typing import Any, NamedTuple

import numpy as np

from ...fast.banded import ROWS, correlate, tall, toeplitz
from ...fast.snake import Snake, fold_snake, snake
from ...layers import snake_beta
from ...tensors import cast
from ..record import Facts, Params
from .spec import CHANNELS, CONTEXT, UPSAMPLING

# Time steps that one row of a product covers. With more, products are larger, and so is the share
# of zeros in their matrices. They change the speed, not the results.
_PRE, _CONV1, _POST, _SKIP = 8, 2, 16, 10
# Rows computed beyond the last one needed, at most, if these numbers do not divide it.
_SLACK = 64


class Folded(NamedTuple):
    """Folded weights for `interior`, all of one dtype. Made by `fold`."""

    pre: np.ndarray
    pre_bias: np.ndarray
    activation0: Snake
    conv1: np.ndarray
    conv1_bias: np.ndarray
    activation1: Snake
    post: np.ndarray
    skip: np.ndarray
    bias: np.ndarray


class Scratch(NamedTuple):
    """Working memory for the steps of a block. Made by `scratch`, one for each thread."""

    x: np.ndarray
    h: np.ndarray
    g: np.ndarray
    v: np.ndarray
    w: np.ndarray
    y: np.ndarray


def fold(params: Params, dtype: Any, options: None = None) -> Folded:
    """Fold a tree of weights (`load_weights`) in float64, and cast the result to `dtype`."""
    p = cast(params, np.float64)
    pre, weight1, weight2, post = (
        p[name]["weight"].transpose(2, 1, 0)  # [tap, channel in, channel out]
        for name in ("conv_pre", "conv1", "conv2", "conv_post")
    )
    silent = p["conv_pre"]["bias"]
    activation0, gain0, depth0, shift0 = _activation(silent, **p["activation0"])
    silent = snake_beta(silent[:, np.newaxis], **p["activation0"]["snakebeta"])[:, 0]
    silent = p["conv1"]["bias"] + silent @ weight1.sum(0)
    activation1, gain1, depth1, shift1 = _activation(silent, **p["activation1"])

    # conv_pre and the interpolation: tap d is for the input sample j + d - 4, where j is the sample
    # around which the three phases lie.
    earlier, same, later = (np.pad(pre, [(k, 2 - k), (0, 0), (0, 0)]) for k in range(3))
    phases = (earlier + 2 * same) / 3, same, (2 * same + later) / 3
    # conv2 and conv_post: two polynomials in the delay, multiplied.
    joined = np.zeros((17, CHANNELS, 1))
    for k in range(7):
        joined[k : k + 11] += weight2 @ post[k]
    # The interpolation and conv_post: output 3 j + phase takes step 3 j + phase + k - 3, which is
    # phase (phase + k) % 3 of the input sample j + (phase + k) // 3 - 1.
    skip = np.zeros((11, 1, UPSAMPLING))
    for phase in range(UPSAMPLING):
        for k in range(7):
            j, source = divmod(phase + k, UPSAMPLING)
            skip[j : j + 9, :, phase] += phases[source] @ post[k, :, 0]

    conv1_bias = p["conv1"]["bias"] + shift0 @ weight1.sum(0)
    bias = (p["conv_pre"]["bias"] + p["conv2"]["bias"]) @ post.sum(0) + shift1 @ joined.sum(0)
    folded = Folded(
        pre=toeplitz(np.concatenate([phase * gain0 for phase in phases], axis=-1), _PRE),
        pre_bias=np.tile(gain0 * p["conv_pre"]["bias"], ROWS),
        activation0=activation0,
        conv1=toeplitz(depth0[:, np.newaxis] * weight1 * gain1, _CONV1),
        conv1_bias=np.tile(gain1 * conv1_bias, ROWS),
        activation1=activation1,
        post=toeplitz(depth1[:, np.newaxis] * joined, _POST),
        skip=toeplitz(skip, _SKIP),
        bias=bias,
    )
    return cast(folded, dtype)


def scratch(samples: int, dtype: Any) -> Scratch:
    """Allocate working memory for `interior` on blocks of up to `samples` samples."""

    def zeros(rows, *columns):
        return np.zeros((rows + 2 * _SLACK, *columns), dtype)

    steps = UPSAMPLING * (samples + 16)
    return Scratch(
        x=zeros(samples + CONTEXT),
        h=zeros(steps, CHANNELS),
        g=zeros(2 * steps, CHANNELS),
        v=zeros(steps, CHANNELS),
        w=zeros(steps, CHANNELS),
        y=zeros(UPSAMPLING * samples),
    )


def interior(
    p: Folded,
    x: np.ndarray,
    y: np.ndarray,
    s: Scratch,
    start: int = 0,
    facts: Facts | None = None,
) -> None:
    """Upsample x [n + 24] at 16 kHz, context included, to y [3 n] at 48 kHz, in place.

    The first 11 and the last 13 samples of x are context; none of the 24 is the end of a signal.
    n is at most the samples of `scratch`. All arrays have the dtype of p. start, facts: not needed.
    """
    count = len(x) - CONTEXT
    s.x[: len(x)] = x
    steps = UPSAMPLING * count
    # Backwards from the outputs, the steps 0 .. 3 n - 1: post needs 8 steps either way, D and U,
    # so L as well, 4 back and 7 ahead, conv1 5 either way. So v of activation 1 is needed from
    # step -8 on (3 n + 16 steps), its h from -12 (3 n + 27), v of activation 0 from -17 (3 n + 37),
    # and its h from -21 (3 n + 48), which is from input sample -7 on (n + 16).
    correlate(s.x, p.pre, _PRE, s.h, count + 16)
    _snake(p.activation0, s.h, p.pre_bias, s, steps + 37)
    correlate(s.v, p.conv1, _CONV1, s.h, steps + 27, s.w)
    _snake(p.activation1, s.h, p.conv1_bias, s, steps + 16)
    correlate(s.v, p.post, _POST, s.y, steps)
    correlate(s.x[6:], p.skip, _SKIP, s.w.reshape(-1), count)
    s.y[:steps] += s.w.reshape(-1)[:steps]
    s.y[:steps] += p.bias
    np.tanh(s.y[:steps], out=y)


def _snake(p: Snake, h: np.ndarray, bias: np.ndarray, s: Scratch, count: int) -> None:
    """Compute ``h += bias``, then `snake` into ``s.v``."""
    rows = tall(h, count + 11)
    rows += bias
    snake(p, h, s.g, s.w, s.v, count)


def _activation(silent: np.ndarray, **p: Any) -> tuple[Snake, np.ndarray, np.ndarray, np.ndarray]:
    return fold_snake(silent, **p, epsilon=1e-9, swapped=True)
