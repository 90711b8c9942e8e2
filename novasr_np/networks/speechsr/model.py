"""SpeechSR: the layers in order."""

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from ...layers import conv1d, downsample2, interpolate, interpolate3, snake_beta, upsample2
from ...tensors import cast
from ..record import Facts, Params, checked
from .spec import DILATIONS, EPSILON, MIN_INPUT_SAMPLES, OUTPUTS, TAPS, TO_48K, Variant


def stages(
    params: Params,
    x: Any,
    start: int = 0,
    facts: Facts | None = None,
    *,
    variant: Variant = TO_48K,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage of the network, in order.

    x [..., T] float32 or float64 at 16 kHz; params as `load_weights` gives them, used in the
    dtype of x. A hidden activation is [..., 32, time], ``conv_post`` [..., 1, N], and the last
    stage, ``y``, [..., N], with N = 3T, or floor(3T / 2) to 24 kHz. start, facts: not needed.

    Raises TypeError if x is of another dtype, ValueError if T < 1.
    """
    x = checked(x, MIN_INPUT_SAMPLES)
    return _apply(cast(params, x.dtype), x, variant)


def _apply(p: Params, x: np.ndarray, variant: Variant) -> Iterator[tuple[str, np.ndarray]]:
    h = conv1d(x[..., np.newaxis, :], **p["conv_pre"])  # [..., 32, T]
    yield "conv_pre", h
    if variant.step == 1:
        h = interpolate3(h)  # [..., 32, N], as all that follow
    else:
        h = interpolate(h, h.shape[-1] * OUTPUTS // variant.step)
    yield "interpolate", h
    mean = np.zeros_like(h)
    for branch in range(len(TAPS)):
        q, name = p["resblocks"][str(branch)], f"resblocks.{branch}"
        acts = q["activations"]
        z = h
        for i, dilation in enumerate(DILATIONS):
            first, second = 2 * i, 2 * i + 1
            v = yield from _activation(acts[str(first)], z, f"{name}.activations.{first}")
            v = conv1d(v, **q["convs1"][str(i)], dilation=dilation)
            yield f"{name}.convs1.{i}", v
            v = yield from _activation(acts[str(second)], v, f"{name}.activations.{second}")
            v = conv1d(v, **q["convs2"][str(i)])
            yield f"{name}.convs2.{i}", v
            z = z + v
        yield name, z
        mean = mean + z
    h = mean / len(TAPS)
    yield "mean", h
    h = yield from _activation(p["activation_post"], h, "activation_post")
    h = conv1d(h, **p["conv_post"])  # [..., 1, N]
    yield "conv_post", h
    yield "y", np.tanh(h[..., 0, :])  # [..., N]


def _activation(
    p: Params, h: np.ndarray, name: str
) -> Generator[tuple[str, np.ndarray], None, np.ndarray]:
    """Apply the alias-free activation, with the end samples held beyond the ends."""
    h = upsample2(h, **p["upsample"], pad="edge")
    yield f"{name}.upsample", h
    h = snake_beta(h, **p["snakebeta"], epsilon=EPSILON)
    yield f"{name}.snakebeta", h
    h = downsample2(h, **p["downsample"], pad="edge")
    yield f"{name}.downsample", h
    return h


def forward(
    params: Params,
    x: Any,
    start: int = 0,
    facts: Facts | None = None,
    *,
    variant: Variant = TO_48K,
) -> np.ndarray:
    """Run the bare network: x [..., T] at 16 kHz -> [..., 3T] at 48 kHz, the dtype of x.

    To 24 kHz it returns floor(3T / 2). There the interpolation's factor is exactly 2/3 only for an
    even T: with an odd T the samples are shifted, by up to a third of a sample at the end, as in
    the original. `upsample` and streams append a zero instead.

    float64 runs the same code and is the reference for all tests. Every layer holds the whole
    signal; `upsample` works in blocks.

    Raises TypeError if x is neither float32 nor float64, ValueError if T < 1.
    """
    for _, activation in stages(params, x, variant=variant):
        y = activation
    return y
