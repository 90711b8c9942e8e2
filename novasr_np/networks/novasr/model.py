"""NovaSR: the layers in order, under the names of the stages."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ...layers import conv1d, downsample2, interpolate3, snake_beta, upsample2_swapped
from ...tensors import cast
from ..record import Facts, Params, checked
from .spec import MIN_INPUT_SAMPLES


def add_cropped(h: np.ndarray, skip: np.ndarray) -> np.ndarray:
    """Add the skip, cropped on the right, as the activations lose two samples at each end."""
    return h + skip[..., : h.shape[-1]]


class Layers(NamedTuple):
    """Layers that `apply` uses; all pad with zeros. `faults` replaces some by wrong ones."""

    conv1d: Callable[..., Any] = conv1d
    interpolate3: Callable[..., Any] = interpolate3
    upsample: Callable[..., Any] = upsample2_swapped
    snake_beta: Callable[..., Any] = snake_beta
    downsample2: Callable[..., Any] = downsample2
    residual: Callable[..., Any] = add_cropped
    end: Callable[..., Any] = np.tanh


def stages(
    params: Params, x: Any, start: int = 0, facts: Facts | None = None
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage of the network, in order.

    x [..., T] float32 or float64 at 16 kHz; params as `load_weights` gives them, used in the
    dtype of x. A hidden activation is [..., 32, time], ``conv_post`` [..., 1, 3T-4], and the
    last stage, ``y``, [..., 3T-4]. start, facts: not needed.

    Raises TypeError if x is of another dtype, ValueError if T < 2.
    """
    x = checked(x, MIN_INPUT_SAMPLES)
    return apply(Layers(), cast(params, x.dtype), x)


def apply(use: Layers, p: Params, x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the `stages` with any layers; p and x have the same dtype."""
    h = use.conv1d(x[..., np.newaxis, :], **p["conv_pre"])  # [..., 32, T]
    yield "conv_pre", h
    h = skip = use.interpolate3(h)  # [..., 32, 3T]
    yield "interpolate", h
    for i in range(2):
        activation = p[f"activation{i}"]
        h = use.upsample(h, **activation["upsample"])  # [..., 32, 6T - 4], then 6T - 8
        yield f"activation{i}.upsample", h
        h = use.snake_beta(h, **activation["snakebeta"])  # the same
        yield f"activation{i}.snakebeta", h
        h = use.downsample2(h, **activation["downsample"])  # [..., 32, 3T - 2], then 3T - 4
        yield f"activation{i}.downsample", h
        h = use.conv1d(h, **p[f"conv{i + 1}"])  # the same
        yield f"conv{i + 1}", h
    h = use.residual(h, skip)  # [..., 32, 3T - 4]
    yield "residual", h
    h = use.conv1d(h, **p["conv_post"])  # [..., 1, 3T - 4]
    yield "conv_post", h
    yield "y", use.end(h[..., 0, :])  # [..., 3T - 4]


def forward(params: Params, x: Any, start: int = 0, facts: Facts | None = None) -> np.ndarray:
    """Run the bare network: x [..., T] at 16 kHz -> [..., 3T - 4] at 48 kHz, the dtype of x.

    float64 runs the same code and is the reference for all tests. Every layer holds the whole
    signal; `upsample` works in blocks, and returns exactly 3T samples. start, facts: as for
    `stages`.

    Raises TypeError if x is neither float32 nor float64, ValueError if T < 2.
    """
    for _, activation in stages(params, x):
        y = activation
    return y
