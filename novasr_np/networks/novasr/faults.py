"""Common porting mistakes, each as a runnable variant of the network.

`conformance` compares a port's output with all of these to find its mistake, and `PORTING.md` lists
the error that each causes. They take the whole signal at once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...layers import conv1d, downsample2, upsample2, upsample2_swapped
from ...tensors import cast
from ..record import Fault, Params
from .model import Layers, apply


def forward(params: Params, x: Any, dtype: Any = np.float64, **wrong: Any) -> np.ndarray:
    """Run `model.forward` on x [T], all of it in `dtype`, with other `Layers`."""
    for _, activation in apply(Layers(**wrong), cast(params, dtype), np.asarray(x, dtype)):
        y = activation
    return y


def _with(**wrong: Any) -> Callable[[Params, np.ndarray], np.ndarray]:
    return lambda params, x: forward(params, x, **wrong)


def _unswapped(x, filter):
    """Upsample as `upsample2_swapped`, but with each pair of samples in BigVGAN's order."""
    return upsample2(x, filter[::-1], pad="zeros")[..., 3:-1]


def _swapped_edge(x, filter):
    return upsample2_swapped(x, filter, pad="edge")


def _down_edge(x, filter):
    return downsample2(x, filter, pad="edge")


def _conv_edge(x, weight, bias=None):
    half = weight.shape[-1] // 2
    held = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)], mode="edge")
    return conv1d(held, weight, bias)[..., half:-half]


def _nearest(x):
    return np.repeat(x, 3, axis=-1)


def _corners(x):
    """Interpolate linearly with the first and the last samples aligned (align_corners=True)."""
    steps = x.shape[-1]
    at = np.arange(3 * steps) * (steps - 1) / max(1, 3 * steps - 1)
    return np.stack([np.interp(at, np.arange(steps), channel) for channel in x])


def _left(h, skip):
    return h + skip[:, -h.shape[-1] :]


def _centred(h, skip):
    return h + skip[:, 2 : 2 + h.shape[-1]]


def _no_exp(x, alpha, beta):
    """Apply the snake with the logarithms in place of the values."""
    a, b = alpha[:, np.newaxis], beta[:, np.newaxis]
    return x + (1 - np.cos(2 * a * x)) / (2 * b + 1e-9)


def _flipped(x, weight, bias=None):
    return conv1d(x, weight[:, :, ::-1], bias)


_SWAP = "the swap of sample pairs is undone"
_EDGES = "ends are held where zeros belong"

FAULTS = {
    "pair-swap": Fault(f"{_SWAP} in both activations", _with(upsample=(_unswapped, _unswapped))),
    "pair-swap-0": Fault(
        f"{_SWAP} in activation0", _with(upsample=(_unswapped, upsample2_swapped))
    ),
    "pair-swap-1": Fault(
        f"{_SWAP} in activation1", _with(upsample=(upsample2_swapped, _unswapped))
    ),
    "replicate": Fault(
        f"{_EDGES}, in the activations' filters",
        _with(upsample=(_swapped_edge, _swapped_edge), downsample2=_down_edge),
    ),
    "replicate-conv": Fault(f"{_EDGES}, in the convolutions", _with(conv1d=_conv_edge)),
    "nearest": Fault("samples are repeated, not interpolated", _with(interpolate3=_nearest)),
    "align-corners": Fault("interpolation with aligned corners", _with(interpolate3=_corners)),
    "skip-left": Fault("the skip is cropped on the left", _with(residual=_left)),
    "skip-centred": Fault("the skip is cropped on both sides", _with(residual=_centred)),
    "no-skip": Fault("the skip is left out", _with(residual=lambda h, skip: h)),
    "no-tanh": Fault("the tanh is left out", _with(end=lambda h: h)),
    "no-exp": Fault("alpha and beta are taken as they are, not exp()", _with(snake_beta=_no_exp)),
    "flipped": Fault("convolution where correlation belongs", _with(conv1d=_flipped)),
}
