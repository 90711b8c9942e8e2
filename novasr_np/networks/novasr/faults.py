"""Common porting mistakes, each as a runnable variant of the network.

`conformance` compares a port's output with all of these to find its mistake, and `PORTING.md` lists
the error that each causes. They take the whole signal at once.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...layers import conv1d, downsample2, snake_beta, upsample2, upsample2_swapped
from ...tensors import bfloat16, cast, half
from ..record import Fault, Params, in_call
from .model import Layers, apply


def forward(params: Params, x: Any, **wrong: Any) -> np.ndarray:
    """Run `model.forward` on x [T] in float64, with other `Layers`."""
    p = cast(params, np.float64)
    for _, activation in apply(Layers(**wrong), p, np.asarray(x, np.float64)):
        y = activation
    return y


def _run(change: Callable[[], dict[str, Any]], params: Params, x: np.ndarray) -> np.ndarray:
    return forward(params, x, **change())


def _with(**wrong: Any) -> Callable[[Params, np.ndarray], np.ndarray]:
    return partial(_run, lambda: wrong)


def _in(slot: str, call: int, wrong: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """With one call of a layer wrong, counted from 0."""
    right = getattr(Layers(), slot)
    return partial(_run, lambda: {slot: in_call(call, wrong, right)})


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


def _between(x, at):
    return np.stack([np.interp(at, np.arange(x.shape[-1]), channel) for channel in x])


def _corners(x):
    """Interpolate linearly with the first and the last samples aligned (align_corners=True)."""
    steps = x.shape[-1]
    return _between(x, np.arange(3 * steps) * (steps - 1) / max(1, 3 * steps - 1))


def _left_aligned(x):
    """Interpolate linearly with each input sample at the first of its three."""
    return _between(x, np.arange(3 * x.shape[-1]) / 3)


def _zeros_between(x):
    y = np.zeros((*x.shape[:-1], 3 * x.shape[-1]), x.dtype)
    y[..., 1::3] = x
    return y


def _left(h, skip):
    return h + skip[:, -h.shape[-1] :]


def _centred(h, skip):
    return h + skip[:, 2 : 2 + h.shape[-1]]


def _a_sample(h, skip):
    return h + skip[:, 1 : 1 + h.shape[-1]]


def _no_exp(x, alpha, beta):
    """Apply the snake with the logarithms in place of the values."""
    a, b = alpha[:, np.newaxis], beta[:, np.newaxis]
    return x + (1 - np.cos(2 * a * x)) / (2 * b + 1e-9)


def _snake(x, alpha, beta):
    return snake_beta(x, alpha, alpha)


def _exchanged(x, alpha, beta):
    return snake_beta(x, beta, alpha)


def _half_frequency(x, alpha, beta):
    return snake_beta(x, alpha - np.log(2), beta)


def _product(x, alpha, beta):
    a, b = np.exp(alpha)[:, np.newaxis], np.exp(beta)[:, np.newaxis]
    return x + b * np.sin(a * x) ** 2


def _no_square(x, alpha, beta):
    a, b = np.exp(alpha)[:, np.newaxis], np.exp(beta)[:, np.newaxis]
    return x + np.sin(a * x) / b


def _no_sum(x, alpha, beta):
    return snake_beta(x, alpha, beta) - x


def _identity(x, *_, **__):
    return x


def _flipped(x, weight, bias=None):
    return conv1d(x, weight[:, :, ::-1], bias)


def _clamp(h):
    return np.clip(h, -1, 1)


def _half_gain(x, filter):
    return upsample2_swapped(x, filter) / 2


def _late(layer):
    """A sample late, with a zero first."""
    return lambda *args, **options: np.pad(layer(*args, **options), [(0, 0), (1, 0)])[:, :-1]


def _early(layer):
    return lambda *args, **options: np.pad(layer(*args, **options), [(0, 0), (0, 1)])[:, 1:]


def _outside(call: int | None = None) -> Callable[..., np.ndarray]:
    """With the snake of an activation, or both, after its filters and not between them."""

    def change() -> dict[str, Any]:
        kept: list[tuple[Any, Any]] = []

        def skip(x, alpha, beta):
            kept.append((alpha, beta))
            return x

        def down(x, filter):
            return snake_beta(downsample2(x, filter), *kept[-1])

        if call is None:
            return {"snake_beta": skip, "downsample2": down}
        return {
            "snake_beta": in_call(call, skip, snake_beta),
            "downsample2": in_call(call, down, downsample2),
        }

    return partial(_run, change)


def _rounding(round: Callable[[Any], np.ndarray]) -> Callable[[Params, np.ndarray], np.ndarray]:
    """With the result of every layer in another precision."""

    def rounded(layer):
        return lambda *args, **options: round(layer(*args, **options))

    return _with(**{slot: rounded(layer) for slot, layer in Layers()._asdict().items()})


_SWAP = "the swap of sample pairs is undone"
_EDGES = "ends are held where zeros belong"

FAULTS = {
    "pair-swap": Fault(f"{_SWAP} in both activations", _with(upsample=_unswapped)),
    "replicate": Fault(
        f"{_EDGES}, in the activations' filters",
        _with(upsample=_swapped_edge, downsample2=_down_edge),
    ),
    "replicate-conv": Fault(f"{_EDGES}, in the convolutions", _with(conv1d=_conv_edge)),
    "nearest": Fault("samples are repeated, not interpolated", _with(interpolate3=_nearest)),
    "align-corners": Fault("interpolation with aligned corners", _with(interpolate3=_corners)),
    "left-aligned": Fault(
        "interpolation from sample t / 3, not (t - 1) / 3", _with(interpolate3=_left_aligned)
    ),
    "zeros-between": Fault(
        "zeros are put between samples, not interpolated", _with(interpolate3=_zeros_between)
    ),
    "skip-left": Fault("the skip is cropped on the left", _with(residual=_left)),
    "skip-centred": Fault("the skip is cropped on both sides", _with(residual=_centred)),
    "skip-sample": Fault("the skip is a sample early", _with(residual=_a_sample)),
    "no-skip": Fault("the skip is left out", _with(residual=lambda h, skip: h)),
    "no-tanh": Fault("the tanh is left out", _with(end=_identity)),
    "clamp": Fault("the output is limited, and has no tanh", _with(end=_clamp)),
    "tanh-twice": Fault("there are two tanh", _with(end=lambda h: np.tanh(np.tanh(h)))),
    "no-exp": Fault("alpha and beta are taken as they are, not exp()", _with(snake_beta=_no_exp)),
    "no-beta": Fault("alpha is used for beta, as in the plain snake", _with(snake_beta=_snake)),
    "alpha-beta": Fault("alpha and beta are exchanged", _with(snake_beta=_exchanged)),
    "half-frequency": Fault(
        "the snake has cos(a x), not cos(2 a x)", _with(snake_beta=_half_frequency)
    ),
    "product": Fault("the snake's square is multiplied by beta", _with(snake_beta=_product)),
    "no-square": Fault("the snake's sine is not squared", _with(snake_beta=_no_square)),
    "no-sum": Fault("the snake's input is not added", _with(snake_beta=_no_sum)),
    "half-gain": Fault("the filters up have the factor 1, not 2", _with(upsample=_half_gain)),
    "flipped": Fault("convolution where correlation belongs", _with(conv1d=_flipped)),
    "half": Fault("half precision throughout", _rounding(half), is_rounding=True),
    "bfloat16": Fault("bfloat16 throughout", _rounding(bfloat16), is_rounding=True),
}
for _i in range(2):
    _name, _conv = f"activation{_i}", f"conv{_i + 1}"
    FAULTS |= {
        f"pair-swap-{_i}": Fault(f"{_SWAP} in {_name}", _in("upsample", _i, _unswapped)),
        f"{_name}-up-late": Fault(
            f"{_name} works a sample late at the doubled rate",
            _in("upsample", _i, _late(upsample2_swapped)),
        ),
        f"{_name}-up-early": Fault(
            f"{_name} works a sample early at the doubled rate",
            _in("upsample", _i, _early(upsample2_swapped)),
        ),
        f"{_name}-up-ends": Fault(
            f"{_EDGES}, in {_name}'s filter up", _in("upsample", _i, _swapped_edge)
        ),
        f"{_name}-down-ends": Fault(
            f"{_EDGES}, in {_name}'s filter down", _in("downsample2", _i, _down_edge)
        ),
        f"{_name}-up-gain": Fault(
            f"{_name}'s filter up has the factor 1, not 2", _in("upsample", _i, _half_gain)
        ),
        f"{_name}-snake": Fault(f"{_name}'s snake is left out", _in("snake_beta", _i, _identity)),
        f"{_name}-outside": Fault(
            f"{_name}'s snake comes after its filters, not between them", _outside(_i)
        ),
        f"{_conv}-out": Fault(f"{_conv} is left out", _in("conv1d", _i + 1, _identity)),
        f"{_conv}-ends": Fault(f"{_EDGES}, in {_conv}", _in("conv1d", _i + 1, _conv_edge)),
    }
FAULTS |= {
    "outside": Fault("both snakes come after their filters, not between them", _outside()),
    "late": Fault("conv2 is a sample late beside the skip", _in("conv1d", 2, _late(conv1d))),
    "early": Fault("conv2 is a sample early beside the skip", _in("conv1d", 2, _early(conv1d))),
    "conv_pre-ends": Fault(f"{_EDGES}, in conv_pre", _in("conv1d", 0, _conv_edge)),
    "conv_post-ends": Fault(f"{_EDGES}, in conv_post", _in("conv1d", 3, _conv_edge)),
}
