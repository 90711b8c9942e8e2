"""The network as it is when a port gets it wrong: one named deviation each.

`conformance` compares a port's output with all of these, to say what is wrong with it, and
`PORTING.md` has what each costs. They are float64 throughout and take the whole signal at once.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import layers
from .model import cast


class Fault(NamedTuple):
    """What is wrong, for the user; and the network with it: (params, x [T]) -> y."""

    words: str
    forward: Callable[[Any, np.ndarray], np.ndarray]


def network(
    params,
    x,
    *,
    dtype=np.float64,
    conv1d=layers.conv1d,
    interpolate3=layers.interpolate3,
    up=(layers.upsample2, layers.upsample2),
    snake_beta=layers.snake_beta,
    downsample2=layers.downsample2,
    residual=None,
    end=np.tanh,
):
    """`model.forward` of x [T], all of it in dtype, with other layers."""
    p = cast(params, dtype)
    h = skip = interpolate3(conv1d(np.asarray(x, dtype)[np.newaxis], **p["conv_pre"]))
    for number, activation, conv in ((0, "activation0", "conv1"), (1, "activation1", "conv2")):
        h = up[number](h, **p[activation]["upsample"])
        h = snake_beta(h, **p[activation]["snakebeta"])
        h = downsample2(h, **p[activation]["downsample"])
        h = conv1d(h, **p[conv])
    h = h + skip[:, : h.shape[-1]] if residual is None else residual(h, skip)
    return end(conv1d(h, **p["conv_post"])[0])


def _with(**changes) -> Callable[[Any, np.ndarray], np.ndarray]:
    return lambda params, x: network(params, x, **changes)


def _unswapped(x, filter):
    """`upsample2` with each pair in the order of BigVGAN's."""
    y = layers.upsample2(np.pad(x, ((0, 0), (1, 1))), filter)
    return _pairs_turned(y)[:, 2:-2]


def _pairs_turned(y):
    return y.reshape(len(y), -1, 2)[:, :, ::-1].reshape(len(y), -1)


def _edge(layer, before, after):
    """A layer that sees its input's end samples held where it should see zeros."""

    def run(x, *arguments, **weights):
        lost = layer(x, *arguments, **weights).shape[-1]
        y = layer(np.pad(x, ((0, 0), (before, after)), mode="edge"), *arguments, **weights)
        ratio = (y.shape[-1] - lost) // (before + after)
        return y[:, before * ratio :][:, :lost]

    return run


def _edge_down(x, filter):
    y = layers.downsample2(np.pad(x, ((0, 0), (6, 6)), mode="edge"), filter)
    return y[:, 3:-3]


def _nearest(x):
    return np.repeat(x, 3, axis=-1)


def _corners(x):
    """Linear, with the first and the last samples on each other (align_corners=True)."""
    steps = x.shape[-1]
    at = np.arange(3 * steps) * (steps - 1) / max(1, 3 * steps - 1)
    return np.stack([np.interp(at, np.arange(steps), channel) for channel in x])


def _left(h, skip):
    return h + skip[:, -h.shape[-1] :]


def _centred(h, skip):
    return h + skip[:, 2 : 2 + h.shape[-1]]


def _no_exp(x, alpha, beta):
    """The logarithms taken for the values themselves."""
    a, b = alpha[:, np.newaxis], beta[:, np.newaxis]
    return x + (1 - np.cos(2 * a * x)) / (2 * b + 1e-9)


def _flipped(x, weight, bias=None):
    return layers.conv1d(x, weight[:, :, ::-1], bias)


_SWAP = "the swap of sample pairs is undone"
_EDGES = "ends are held where zeros belong"

FAULTS = {
    "pair-swap": Fault(f"{_SWAP} in both activations", _with(up=(_unswapped, _unswapped))),
    "pair-swap-0": Fault(f"{_SWAP} in activation0", _with(up=(_unswapped, layers.upsample2))),
    "pair-swap-1": Fault(f"{_SWAP} in activation1", _with(up=(layers.upsample2, _unswapped))),
    "replicate": Fault(
        f"{_EDGES}, in the activations' filters",
        _with(up=(_edge(layers.upsample2, 6, 6),) * 2, downsample2=_edge_down),
    ),
    "replicate-conv": Fault(
        f"{_EDGES}, in the convolutions", _with(conv1d=_edge(layers.conv1d, 6, 6))
    ),
    "nearest": Fault("samples are repeated, not interpolated", _with(interpolate3=_nearest)),
    "align-corners": Fault("interpolation with aligned corners", _with(interpolate3=_corners)),
    "skip-left": Fault("the skip is cropped on the left", _with(residual=_left)),
    "skip-centred": Fault("the skip is cropped on both sides", _with(residual=_centred)),
    "no-skip": Fault("the skip is left out", _with(residual=lambda h, skip: h)),
    "no-tanh": Fault("the tanh is left out", _with(end=lambda h: h)),
    "no-exp": Fault("alpha and beta are taken as they are, not exp()", _with(snake_beta=_no_exp)),
    "flipped": Fault("convolution where correlation belongs", _with(conv1d=_flipped)),
}
