"""airband as an ONNX model, for other runtimes.

Fourier transforms and the overlap are convolutions with constant weights, of 4 MB, and the carrier
is computed in 64-bit integers, so that old runtimes can run it.
"""

from functools import partial
from typing import Any

import numpy as np

from ...layers.onnx_nodes import OPSETS, Graph, model
from ...tensors import cast
from ..record import Params
from .features import mel, window
from .spec import (
    BAND_BINS,
    BANDS_OUT,
    CHANNELS,
    DILATIONS,
    FEATURE_OFFSET,
    FEATURE_SCALE,
    FLOOR,
    FRAME_IN,
    FRAME_OUT,
    HOP_IN,
    HOP_OUT,
    OUTPUT_OFFSET,
    OUTPUT_SCALE,
    OVERLAP,
    OWN_BINS,
    SILENCE,
    UPSAMPLING,
    Variant,
)
from .synthesis import spread

_END = 2**31 - 1
_WORD = 2**32


def export(variant: Variant, params: Params, *, opset: int = OPSETS[1], half: bool = False) -> Any:
    """Build an `onnx.ModelProto`: input [batch, 1, time] at 16 kHz, output [batch, 1, 3 time].

    Raises ValueError for half, since float16 cannot hold powers down to 1e-8, and as
    `layers.onnx_nodes.model`.
    """
    if half:
        raise ValueError(f"{variant.name} has no float16 model: its powers go down to {FLOOR}")
    p = cast(params, np.float64)
    network = partial(_network, variant, p)
    return model(variant.name, network, "3 * time", opset, half, end="Identity")


def _network(variant: Variant, p: dict, g: Graph, x: str) -> str:
    time = g.node("Slice", [g.node("Shape", [x]), g.integers([2]), g.integers([3])])
    # Zeros for the frames before and behind, and to fill up the last hop: -time mod 80.
    missing = g.node("Mod", [g.node("Neg", [time]), g.integers([HOP_IN])])
    behind = g.node("Add", [missing, g.integers([OVERLAP * HOP_IN])])
    pads = g.node("Concat", [g.integers([0, 0, OVERLAP * HOP_IN, 0, 0]), behind], axis=0)
    padded = g.node("Pad", [x, pads])
    spectrum = g.node("Conv", [padded, g.array(_analysis())], strides=[HOP_IN])
    real, imaginary = g.cut(spectrum, 0, OWN_BINS + 1, 1), g.cut(spectrum, OWN_BINS + 1, _END, 1)
    power = g.node("Add", [g.node("Mul", [part, part]) for part in (real, imaginary)])
    bands = g.conv(power, mel(np.dtype(np.float64))[:, :, None])
    level = g.node("Log", [g.node("Max", [bands, g.array(np.array(FLOOR))])])
    scale = FEATURE_SCALE / np.log(10)
    h = g.node("Mul", [level, g.array(np.array(scale))])
    h = g.node("Add", [h, g.array(np.array(FEATURE_OFFSET * FEATURE_SCALE))])

    h = g.conv(h, **p["conv_in"], pads=(variant.behind[0], variant.ahead[0]))
    for i, dilation in enumerate(DILATIONS):
        block = p["blocks"][str(i)]
        v = g.conv(
            h,
            block["depthwise"]["weight"][:, None],
            block["depthwise"]["bias"],
            group=CHANNELS,
            pads=(variant.behind[i + 1], variant.ahead[i + 1]),
            dilation=dilation,
        )
        v = g.node("PRelu", [v, g.array(block["prelu"]["slope"][:, None])])
        h = g.node("Add", [h, g.conv(v, **block["pointwise"])])
    # The last convolution and the interpolation between the bands' centres in one.
    lines = spread(np.dtype(np.float64)).T  # [320, 32]
    scale, offset = np.log(10) / 2 * OUTPUT_SCALE, np.log(10) / 2 * OUTPUT_OFFSET
    weight = scale * lines @ p["conv_out"]["weight"][:, :, 0]
    bias = scale * lines @ p["conv_out"]["bias"] + offset
    amplitude = g.node("Exp", [g.conv(g.node("Elu", [h]), weight[:, :, None], bias)])

    low = (
        g.node("Mul", [g.cut(part, 0, OWN_BINS, 1), g.array(np.array(1.5))])
        for part in (real, imaginary)
    )
    high = (g.node("Mul", [amplitude, part]) for part in _carrier(g, amplitude))
    parts = [part for pair in zip(low, high, strict=True) for part in pair]
    bins = g.node("Concat", parts, axis=1)
    y = g.node("ConvTranspose", [bins, g.array(_synthesis())], strides=[HOP_OUT])
    first = g.integers([OVERLAP * HOP_OUT])
    last = g.node("Add", [g.node("Mul", [time, g.integers([UPSAMPLING])]), first])
    y = g.node("Slice", [y, first, last, g.integers([2])])
    # Digital silence stays: [batch, time, 3] times [batch, time, 1].
    size, beside = [2 * SILENCE + 1], [SILENCE, SILENCE]
    loudest = g.node("MaxPool", [g.node("Abs", [x])], kernel_shape=size, pads=beside)
    sounding = g.node("Sign", [loudest])
    sounding = g.node("Transpose", [sounding], perm=[0, 2, 1])
    y = g.node("Mul", [g.node("Reshape", [y, g.integers([0, -1, UPSAMPLING])]), sounding])
    return g.node("Reshape", [y, g.integers([0, 1, -1])])


def _carrier(g: Graph, amplitude: str) -> tuple[str, str]:
    """Build the real and the imaginary part of `synthesis.carrier`, [320, frames]."""
    count = g.node("Slice", [g.node("Shape", [amplitude]), g.integers([2]), g.integers([3])])
    count = g.node("Reshape", [count, g.integers(np.zeros(0))])  # a scalar
    frames = g.node("Range", [g.integers(0), count, g.integers(1)])
    bins = np.arange(OWN_BINS, OWN_BINS + BANDS_OUT * BAND_BINS, dtype=np.int64)
    of_bins = (0x85EBCA77 * bins % _WORD)[:, None]
    h = g.node("Add", [g.node("Mul", [frames, g.integers(0x9E3779B1)]), g.integers(of_bins)])
    h = _modulo(g, h)
    h = _odd_square(g, h)
    h = g.node("Add", [h, g.node("Div", [h, g.integers(2**16)])])
    h = _odd_square(g, _times(g, h, g.integers(0x7FEB352D)))
    step = g.node("Div", [h, g.integers(2**24)])
    turns = np.arange(256) / 256 * 2 * np.pi
    real, imaginary = (g.array(wave(turns)) for wave in (np.cos, np.sin))
    return g.node("Gather", [real, step]), g.node("Gather", [imaginary, step])


def _odd_square(g: Graph, h: str) -> str:
    """h (2 h + 1) modulo 2^32."""
    return _times(g, h, g.node("Add", [g.node("Add", [h, h]), g.integers(1)]))


def _times(g: Graph, a: str, b: str) -> str:
    """a b modulo 2^32, of numbers below 2^34, without overflow of 64 bits."""
    half = g.integers(2**16)
    b = _modulo(g, b)
    high = g.node("Mod", [g.node("Mul", [g.node("Div", [a, half]), b]), half])
    low = g.node("Mul", [g.node("Mod", [a, half]), b])
    return _modulo(g, g.node("Add", [g.node("Mul", [high, half]), low]))


def _modulo(g: Graph, h: str) -> str:
    return g.node("Mod", [h, g.integers(_WORD)])


def _analysis() -> np.ndarray:
    """The windowed transform of a frame, [322, 1, 320]: real parts, then imaginary ones."""
    angle = _angles(FRAME_IN, OWN_BINS + 1)
    return (np.concatenate([np.cos(angle), -np.sin(angle)]) * _window(FRAME_IN))[:, None]


def _synthesis() -> np.ndarray:
    """The windowed inverse transform of 480 bins, [960, 1, 960]."""
    angle = _angles(FRAME_OUT, FRAME_OUT // 2)
    twice = np.where(np.arange(FRAME_OUT // 2) == 0, 1, 2)[:, None] / FRAME_OUT
    waves = np.concatenate([twice * np.cos(angle), -twice * np.sin(angle)])
    return (waves * _window(FRAME_OUT))[:, None]


def _angles(size: int, bins: int) -> np.ndarray:
    return 2 * np.pi / size * (np.outer(np.arange(bins), np.arange(size)) % size)


def _window(size: int) -> np.ndarray:
    return window(size, np.dtype(np.float64))
