"""Run the steps of `fast` for training, with gradients that are as fast.

The same four steps on folded weights, so the program that is trained is the one that runs. JAX's
own differentiation would turn a shifted multiply-add into padded sums, and keep more than a
cosine's argument, and a single program would compute the cosines many times. So the filters, which
are fixed, and the cosine have custom gradients here, and each step is a separate program.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from novasr_np.networks.novasr.spec import CHANNELS, CONTEXT, UPSAMPLING

from ...fast import cos_turns
from ...layers import correlate, fir
from ...layers.conv import Array
from ...networks.novasr import fast


class Filters(NamedTuple):
    """The fixed 12-tap filters of a `Folded`, as constants of the programs."""

    down0: tuple[float, ...]
    up1: tuple[float, ...]
    down1: tuple[float, ...]
    through1: tuple[float, ...]


def interior(
    p: fast.Folded, taps: Filters, x: Array
) -> tuple[jax.Array, Callable[[jax.Array], fast.Folded]]:
    """Run `fast.interior` on x [B, n + 24] float32: y, and its pullback, dy [B, 3 n] -> `Folded`.

    Do not jit or differentiate it: the pullback is the gradient. It is 0 for the filters.
    """
    wave0 = _wave0(taps, p.wave0, p.wave0_bias, x)
    h = _hidden(taps, p.middle, p.conv1, p.linear, p.linear_bias, x, wave0)
    wave1 = _wave1(taps, h)
    v = _filtered(taps, h, wave1)
    y = _output(taps, p.slope, p.post, p.skip, p.bias, x, v)

    def pullback(dy):
        slope, post, skip, bias, _, dv = _pull_output(
            taps, dy, p.slope, p.post, p.skip, p.bias, x, v
        )
        dh, dwave = _pull_filtered(taps, dv, h, wave1)
        (more,) = _pull_wave1(taps, dwave, h)
        _, conv1, linear, linear_bias, _, dwave = _pull_hidden(
            taps, dh + more, p.middle, p.conv1, p.linear, p.linear_bias, x, wave0
        )
        kernel, wave0_bias, _ = _pull_wave0(taps, dwave, p.wave0, p.wave0_bias, x)
        return jax.tree.map(jnp.zeros_like, p)._replace(
            wave0=kernel,
            wave0_bias=wave0_bias,
            conv1=conv1,
            linear=linear,
            linear_bias=linear_bias,
            slope=slope,
            post=post,
            skip=skip,
            bias=bias,
        )

    return y, pullback


_program = partial(jax.jit, static_argnums=0)


@_program
def _wave0(taps, kernel, bias, x):
    rows, steps = x.shape[0], x.shape[1] - 9
    frames = _frames(x, 10, steps)
    kernel, bias = (k.reshape(-1, UPSAMPLING, 2, CHANNELS) for k in (kernel, bias))
    return tuple(
        _cos(_dense(frames, kernel[:, :, s].reshape(10, -1), bias[:, :, s].reshape(-1))).reshape(
            rows, -1, CHANNELS
        )
        for s in range(2)
    )


@_program
def _hidden(taps, middle, conv1, kernel, bias, x, wave):
    rows, samples = x.shape[0], x.shape[1] - CONTEXT
    small = lax.stop_gradient(middle) - _downsample(wave, taps.down0, 1, UPSAMPLING * samples + 37)
    linear = _dense(_frames(x, 16, samples + 9), kernel, jnp.tile(bias, UPSAMPLING))
    return correlate(small, conv1, "highest") + linear.reshape(rows, -1, CHANNELS)


@_program
def _wave1(taps, h):
    return tuple(_cos(_filter(taps.up1[s::2], h)) for s in range(2))


@_program
def _filtered(taps, h, wave):
    return _filter(taps.through1, h), _downsample(wave, taps.down1, 0, h.shape[1] - 11)


@_program
def _output(taps, slope, post, skip, bias, x, v):
    samples = x.shape[1] - CONTEXT
    linear, wave = v
    none = jnp.zeros(post.shape[1])
    y = _diagonals(_dense(linear, slope[:, None] * post, none) - _dense(wave, post, none))
    return jnp.tanh(
        y + _dense(_frames(x[:, 6:], 11, samples), skip, jnp.tile(bias, 3)).reshape(y.shape)
    )


def _pull(step):
    """Make the pullback of a step as a program: (taps, dy, inputs) -> gradients of the inputs."""
    return _program(lambda taps, dy, *inputs: jax.vjp(partial(step, taps), *inputs)[1](dy))


_pull_wave0, _pull_hidden, _pull_wave1, _pull_filtered, _pull_output = map(
    _pull, (_wave0, _hidden, _wave1, _filtered, _output)
)


def _downsample(wave, taps, start, steps):
    """D of the even and odd samples at 96 kHz, the first odd one at `start`."""
    even, odd = wave
    odd = _filter(taps[0::2], odd[:, start : start + steps + 5])
    return odd + _filter(taps[1::2], even[:, start + 1 : start + steps + 6])


def _frames(x, width, count):
    """[B, n] -> [B, count, width]."""
    return jnp.stack([x[:, k : k + count] for k in range(width)], axis=-1)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _filter(taps, x):
    """`fir` over all of x."""
    return fir(x, taps, x.shape[1] - len(taps) + 1)


def _filter_backward(taps, _, dy):
    reach = len(taps) - 1
    wide = jnp.pad(dy, [(0, 0), (reach, reach), (0, 0)])
    return (fir(wide, taps[::-1], dy.shape[1] + reach),)


_filter.defvjp(lambda taps, x: (_filter(taps, x), None), _filter_backward)


@jax.custom_vjp
def _cos(turns):
    return cos_turns(turns)


def _cos_backward(turns, dy):
    # d cos(2 pi t) / dt, with the sine as a cosine a quarter of a turn earlier
    return (-2 * np.pi * dy * cos_turns(turns - 0.25),)


_cos.defvjp(lambda turns: (_cos(turns), turns), _cos_backward)


_product = partial(jnp.dot, precision=lax.Precision.HIGHEST)


@jax.custom_vjp
def _dense(frames, kernel, bias):
    return _product(frames, kernel) + bias


def _dense_backward(given, dy):
    frames, kernel = given
    flat, dy_flat = (a.reshape(-1, a.shape[-1]) for a in (frames, dy))
    # A sum over rows is faster as a product with ones.
    return (
        _product(dy, kernel.T),
        _product(flat.T, dy_flat),
        _product(jnp.ones(len(dy_flat)), dy_flat),
    )


_dense.defvjp(
    lambda frames, kernel, bias: (_dense(frames, kernel, bias), (frames, kernel)), _dense_backward
)


@jax.custom_vjp
def _diagonals(products):
    """[B, n + 16, 17] -> [B, n]: the sum of products[:, t + k, k]."""
    count = products.shape[1] - 16
    return sum(products[:, k : k + count, k] for k in range(17))


def _diagonals_backward(_, dy):
    count = dy.shape[1] + 16
    wide = jnp.pad(dy, [(0, 0), (16, 16)])
    return (jnp.stack([wide[:, 16 - k : 16 - k + count] for k in range(17)], axis=-1),)


_diagonals.defvjp(lambda products: (_diagonals(products), None), _diagonals_backward)
