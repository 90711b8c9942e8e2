"""Run NovaSR fast away from a signal's ends, with its linear parts multiplied out, for XLA.

Away from the ends of a signal nothing is padded, and except for two layers of cosines and the tanh
the network is linear. With U and D the 12-tap filters of an activation, ``a = exp(alpha)``,
``c = 1 / (2 exp(beta) + 1e-9)`` and s the sum of D's taps, the activation is

``D(U h + c (1 - cos(2 a U h))) = L h + c (s - D cos(2 a U h))``,  ``L = D U``

For activation 0, h itself is linear in the input x, so all but D cos is a short filter of x, even
after conv1. conv2, conv_post and the skip path join into 17 taps to one channel. Four steps remain,
each a separate program in the fast path:

1. `wave0`   ``cos(2 a U h)``                 10 taps of x, 1 -> 6 x 32
2. `hidden`  ``conv1(m - D wave0) + lin x``   11 taps, 32 -> 32: most of the arithmetic
3. `wave1`   ``cos(2 a U hidden)``            6 taps for each of its two phases
4. `output`  ``tanh(post(L hidden - D wave1) + skip x)``

The constant m, the middle between a loud and a silent signal's D wave0, changes only the rounding.
The operands of conv1's product are filtered cosines, so they are of the order of 1 at any level of
x, since the linear part bypasses them: half precision loses little there.

Cosines are taken of turns, not radians: ``t - round(t)`` is exact in floating point, and a
polynomial has to approximate only a quarter of a wave. (numpy's folding differs,
`novasr_np.networks.novasr.fast`: the two are made for different machines, and check each other.)
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from novasr_np.networks.novasr.spec import CHANNELS, CONTEXT, UPSAMPLING
from novasr_np.tensors import cast

from ...fast import cos_turns
from ...layers import PRECISIONS, correlate, fir
from ...layers.conv import Array


class Folded(NamedTuple):
    """Folded weights for the steps, arrays of one dtype. Made by `fold`."""

    wave0: Array  # [10, 6 * 32]: tap d is for input sample j + d - 4
    wave0_bias: Array  # [6 * 32]
    down0: Array  # [12], D
    middle: Array  # [32], m
    conv1: Array  # [11, 32, 32]
    linear: Array  # [16, 3 * 32]: tap d is for input sample j + d - 7
    linear_bias: Array  # [32]
    up1: Array  # [12], U
    down1: Array  # [12], D
    through1: Array  # [12], L
    slope: Array  # [32]: hidden is 2 a / 2 pi times the input of L
    post: Array  # [32, 17]
    skip: Array  # [11, 3]: tap d is for input sample j + d - 5
    bias: Array  # [1]


def fold(
    params: dict[str, Any], dtype: Any = np.float32, precision: str = "highest", place: Any = None
) -> Folded:
    """Fold a tree of weights (`load_weights`), in float64 on the host, and cast to `dtype`.

    The result is the same for every precision, and stays on the host.
    """
    return cast(fold_with(np, cast(params, np.float64)), dtype)


def fold_with(xp: Any, p: dict[str, Any]) -> Folded:
    """Fold with the functions of numpy, or of jax.numpy, which can be traced, for gradients."""
    pre, weight1, weight2, post = (
        p[name]["weight"].transpose(2, 1, 0)  # [tap, channel in, channel out]
        for name in ("conv_pre", "conv1", "conv2", "conv_post")
    )
    bias0 = p["conv_pre"]["bias"]
    up0, down0, through0, turns0, depth0 = _activation(xp, **p["activation0"])
    up1, down1, through1, turns1, depth1 = _activation(xp, **p["activation1"])

    # conv_pre and the interpolation: h at step 3 j + phase is phases[phase] on x[j - 4 ..].
    earlier, same, later = (xp.pad(pre[:, 0], [(k, 2 - k), (0, 0)]) for k in range(3))
    phases = (earlier + 2 * same) / 3, same, (2 * same + later) / 3

    # Sample 2 i + s of U takes h at the steps i - 1 .. i + 4, with the taps of parity s.
    each = np.eye(CHANNELS, dtype=pre.dtype)
    wave0 = [_on_input(xp, phases, up0[s::2, None, None] * each, -1) for s in range(2)]
    wave0_bias = xp.stack([bias0 * up0[s::2].sum() for s in range(2)])
    # The linear part of activation 0 (L, steps n - 4 .. n + 7) and conv1 (n - 5 .. n + 5).
    joined1 = sum(
        xp.pad(through0[:, None, None] * weight1[k], [(k, 10 - k), (0, 0), (0, 0)])
        for k in range(11)
    )
    linear = _on_input(xp, phases, joined1, -9)
    # conv2 and conv_post, then the interpolation and conv_post.
    joined2 = sum(xp.pad(weight2 @ post[k, :, 0], [(k, 6 - k), (0, 0)]) for k in range(7))
    skip = _on_input(xp, phases, post, -3)

    # In silence wave0 is the cosine of its bias; in a loud signal it is 0 on average.
    middle = down0.sum() * xp.cos(2 * np.pi * turns0 * wave0_bias.mean(0)) / 2
    middle = lax.stop_gradient(middle) if xp is jnp else middle
    constant0 = through0.sum() * bias0 + depth0 * (down0.sum() - middle)
    linear_bias = p["conv1"]["bias"] + constant0 @ weight1.sum(0)
    bias = (bias0 + p["conv2"]["bias"]) @ post[:, :, 0].sum(0)
    bias += depth1 * down1.sum() @ joined2.sum(0)

    return Folded(
        wave0=_trim(xp.stack(wave0, 2) * turns0, -4, 10).reshape(10, -1),
        wave0_bias=xp.tile((wave0_bias * turns0).reshape(-1), UPSAMPLING),
        down0=down0,
        middle=middle,
        conv1=depth0[:, None] * weight1 * turns1,
        linear=_trim(linear * turns1, -7, 16).reshape(16, -1),
        linear_bias=linear_bias * turns1,
        up1=up1,
        down1=down1,
        through1=through1,
        slope=1 / (turns1 * depth1),
        post=(depth1 * joined2).T,
        skip=_trim(skip, -5, 11)[..., 0],
        bias=bias,
    )


def interior(p: Folded, x: Array, *, precision: str = "highest") -> jax.Array:
    """Upsample x [B, n + 24] at 16 kHz, context included, to y [B, 3 n] at 48 kHz.

    The first 11 and the last 13 samples of x are context; none of the 24 is the end of a signal.
    p and x have the same dtype. The four steps in one; precision as for `forward`.
    """
    h = hidden(p, x, wave0(p, x, precision=precision), precision=precision)
    return output(p, x, h, wave1(p, h, precision=precision))


# The network's context, going backwards from the outputs of the input samples 0 .. n - 1, that
# is from the steps 0 .. 3 n - 1: post needs 8 steps either way, D and U, so L as well, 4 back
# and 7 ahead, conv1 5 either way. `wave0` begins with input sample -7 for D's first step, -17.


def wave0(p: Folded, x: Array, *, precision: str = "highest") -> jax.Array:
    """Run step 1: x [B, n + 24] -> [B, n + 15, 6 * 32], six phases at 96 kHz for each sample."""
    turns = _taps(x, p.wave0, x.shape[1] - 9) + p.wave0_bias
    return _store(cos_turns(turns), precision)


def hidden(p: Folded, x: Array, wave: Array, *, precision: str = "highest") -> jax.Array:
    """Run step 2: x [B, n + 24], wave from `wave0` -> [B, 3 n + 27, 32] at 48 kHz, in turns."""
    rows, samples = x.shape[0], x.shape[1] - CONTEXT
    wave = wave.reshape(rows, -1, CHANNELS).astype(x.dtype)
    small = p.middle - fir(wave, p.down0, UPSAMPLING * samples + 37, 3, hop=2)
    linear = _taps(x, p.linear, samples + 9).reshape(rows, -1, CHANNELS)
    return correlate(small, p.conv1, precision) + (linear + p.linear_bias)


def wave1(p: Folded, h: Array, *, precision: str = "highest") -> tuple[jax.Array, ...]:
    """Run step 3: h from `hidden` -> even and odd samples at 96 kHz, [B, 3 n + 22, 32] each."""
    steps = h.shape[1] - 5
    return tuple(_store(cos_turns(fir(h, p.up1[s::2], steps)), precision) for s in range(2))


def output(p: Folded, x: Array, h: Array, wave: tuple[Array, ...]) -> jax.Array:
    """Run step 4: x [B, n + 24], h from `hidden`, wave from `wave1` -> y [B, 3 n] at 48 kHz."""
    rows, steps = x.shape[0], h.shape[1] - 11
    even, odd = (phase.astype(x.dtype) for phase in wave)
    v = p.slope * fir(h, p.through1, steps)
    v -= fir(odd, p.down1[0::2], steps) + fir(even, p.down1[1::2], steps, 1)
    # One output channel: a product for each tap, then their sum along the diagonals.
    products = lax.dot_general(v, p.post, (((2,), (0,)), ((), ())), precision=lax.Precision.HIGHEST)
    y = sum(products[:, k : k + steps - 16, k] for k in range(17))
    skip = _taps(x[:, 6:], p.skip, x.shape[1] - CONTEXT)
    return jnp.tanh(y + skip.reshape(rows, -1) + p.bias)


def _taps(x, kernel, count):
    """Filter one channel to many: x [B, n], kernel [K, C] -> [B, count, C]."""
    return sum(x[:, k : k + count, None] * kernel[k] for k in range(len(kernel)))


def _store(wave, precision):
    """Round cosines to the precision of the product's operands, to save memory between steps."""
    return wave.astype(PRECISIONS[precision][1] or wave.dtype)


def filter_taps(xp: Any, upsample: Array, downsample: Array) -> tuple[Array, Array, Array]:
    """(U, D, L), [12] each, of an activation's two filters."""
    up, down = 2 * upsample, downsample
    # D takes the samples 2 n - 5 .. 2 n + 6 of U; tap 0 of L is for step n - 4.
    through: Any = 0
    for k in range(12):
        i, s = divmod(k - 5, 2)
        through += xp.pad(down[k] * up[s::2], (i + 3, 3 - i))
    return up, down, through


def _activation(xp, upsample, snakebeta, downsample):
    """(U, D, L [12 each], 2 a / 2 pi, c) of an activation."""
    up, down, through = filter_taps(xp, upsample["filter"], downsample["filter"])
    turns = xp.exp(snakebeta["alpha"]) / np.pi
    return up, down, through, turns, 1 / (2 * xp.exp(snakebeta["beta"]) + 1e-9)


def _on_input(xp, phases, taps, first):
    """Convert a filter of h to one of x: for each phase, taps on the samples j - 16 .. j + 15.

    phases, three of [9, C]: h at step 3 j + phase on x[j - 4 .. j + 4]. taps [K, C, O]: tap k of
    the filter is for step n + first + k.  ->  [32, 3, O]
    """
    rows = []
    for phase in range(UPSAMPLING):
        row = 0
        for k, tap in enumerate(taps):
            j, source = divmod(phase + first + k, UPSAMPLING)
            row += xp.pad(phases[source] @ tap, [(12 + j, 11 - j), (0, 0)])
        rows.append(row)
    return xp.stack(rows, 1)


def _trim(taps, first, count):
    """Cut the taps of `_on_input` to those that are not zero: `count` from sample j + first on."""
    return taps[16 + first : 16 + first + count]


# Each step is compiled separately: in one program XLA would merge them, and compute every cosine
# six times, once for each tap that uses it.
_wave0 = jax.jit(wave0, static_argnames="precision")
_hidden = jax.jit(hidden, static_argnames="precision")
_wave1 = jax.jit(wave1, static_argnames="precision")
_output = jax.jit(output)


def interior_steps(
    p: Folded, x: Array, *, start: Any = 0, facts: Any = None, precision: str = "highest"
) -> jax.Array:
    """Run `interior` as four programs. start, facts: not needed."""
    h = _hidden(p, x, _wave0(p, x, precision=precision), precision=precision)
    return _output(p, x, h, _wave1(p, h, precision=precision))
