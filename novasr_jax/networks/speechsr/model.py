"""SpeechSR: the layers in order, for a signal or for a batch of signals of any lengths."""

from collections.abc import Generator, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from novasr_np.networks.speechsr.spec import (
    DILATIONS,
    EPSILON,
    MIN_INPUT_SAMPLES,
    OUTPUTS,
    TAPS,
    TO_48K,
    Variant,
)

from ...layers import (
    conv1d,
    downsample2,
    hold_from,
    interpolate,
    interpolate3,
    snake_beta,
    upsample2,
    zero_from,
)
from ..record import checked


def stages(
    params: dict[str, Any],
    x: Any,
    length: Any = None,
    *,
    start: Any = 0,
    facts: Any = None,
    precision: str = "highest",
    variant: Variant = TO_48K,
) -> Iterator[tuple[str, jax.Array]]:
    """Yield (name, activation) for every stage, under the names of `novasr_np`, channels last.

    Arguments as for `forward`. A hidden activation is [..., time, 32], ``conv_post`` [..., N, 1],
    and the last stage, ``y``, [..., N], with N = 3T, or floor(3T / 2) to 24 kHz.

    Raises TypeError for another dtype, ValueError for T < 1 or an unknown precision.
    """
    x = checked(x, MIN_INPUT_SAMPLES, precision)
    p = jax.tree.map(lambda value: jnp.asarray(value, x.dtype), params)
    steps = None if length is None else OUTPUTS * jnp.asarray(length) // variant.step

    def convolve(h: Any, conv: dict[str, Any], dilation: int = 1) -> jax.Array:
        return conv1d(zero_from(h, steps), **conv, dilation=dilation, precision=precision)

    h = zero_from(x[..., None], length)
    h = conv1d(h, **p["conv_pre"], precision=precision)  # [..., T, 32]
    yield "conv_pre", h
    h = _interpolate(hold_from(h, length), variant)  # [..., N, 32], as all that follow
    yield "interpolate", h
    mean = jnp.zeros_like(h)
    for branch in range(len(TAPS)):
        q, name = p["resblocks"][str(branch)], f"resblocks.{branch}"
        acts = q["activations"]
        z = h
        for i, dilation in enumerate(DILATIONS):
            first, second = 2 * i, 2 * i + 1
            v = yield from _activation(acts[str(first)], z, steps, f"{name}.activations.{first}")
            v = convolve(v, q["convs1"][str(i)], dilation)
            yield f"{name}.convs1.{i}", v
            v = yield from _activation(acts[str(second)], v, steps, f"{name}.activations.{second}")
            v = convolve(v, q["convs2"][str(i)])
            yield f"{name}.convs2.{i}", v
            z = z + v
        yield name, z
        mean = mean + z
    h = mean / len(TAPS)
    yield "mean", h
    h = yield from _activation(p["activation_post"], h, steps, "activation_post")
    h = convolve(h, p["conv_post"])  # [..., N, 1]
    yield "conv_post", h
    yield "y", jnp.tanh(h[..., 0])  # [..., N]


def _interpolate(h: jax.Array, variant: Variant) -> jax.Array:
    if variant.step == 1:
        return interpolate3(h)
    return interpolate(h, h.shape[-2] * OUTPUTS // variant.step)


def _activation(
    p: dict[str, Any], h: Any, steps: Any, name: str
) -> Generator[tuple[str, jax.Array], None, jax.Array]:
    """Apply the alias-free activation, with the end samples held beyond the ends."""
    h = upsample2(hold_from(h, steps), **p["upsample"], pad="edge")
    yield f"{name}.upsample", h
    h = snake_beta(h, **p["snakebeta"], epsilon=EPSILON)
    yield f"{name}.snakebeta", h
    h = hold_from(h, None if steps is None else 2 * steps)
    h = downsample2(h, **p["downsample"], pad="edge")
    yield f"{name}.downsample", h
    return h


def forward(
    params: dict[str, Any],
    x: Any,
    length: Any = None,
    *,
    start: Any = 0,
    facts: Any = None,
    precision: str = "highest",
    variant: Variant = TO_48K,
) -> jax.Array:
    """Run the bare network: x [..., T] at 16 kHz -> [..., 3T] at 48 kHz, the dtype of x.

    To 24 kHz it returns [..., floor(3T / 2)].

    x is float32, or float64 where JAX's 64-bit mode is on. params as `load_weights` gives them.
    Pure, for ``jit`` (precision static), ``vmap``, ``grad`` and ``jax.export``.

    length: number of samples of each signal without its padding, an integer [...] from 1 to T,
    traced or not; None for all. The padding, even NaN, has no effect: the first 3 length outputs
    are those of the signal alone, its edges included; the rest is meaningless. To 24 kHz length and
    T must then be even. start, facts: not needed.

    precision: of the convolutions' products, "highest" (float32), "high" (TF32 on a GPU, three
    bfloat16 passes on a TPU), "fp16" or "bf16".

    Raises TypeError for another dtype, ValueError for T < 1 or an unknown precision.
    """
    for _, activation in stages(params, x, length, precision=precision, variant=variant):
        y = activation
    return y
