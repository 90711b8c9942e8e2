"""airband as an ONNX model, for other runtimes: one for each rate of the input.

The edge is an input of the graph. Fourier transforms and the overlap are convolutions with constant
weights, so that old runtimes can run it; these have 8 MB at 16 kHz, and 12 at 48.
"""

from functools import partial
from typing import Any

import numpy as np

from ...layers.onnx_nodes import OPSETS, Graph, model
from ...tensors import cast
from ..record import Params
from .features import bands, heard, window
from .spec import (
    BANDS_IN,
    BIN,
    BINS,
    CHANNELS,
    DILATIONS,
    FEATURE_OFFSET,
    FEATURE_SCALE,
    FIRST,
    FLAT_CARRIER,
    FLAT_SOURCE,
    FLOOR,
    FRAME,
    HOP,
    HOPS,
    KEPT_GAIN,
    LOWEST_RATE,
    MADE_GAIN,
    OUTPUT_OFFSET,
    OUTPUT_SCALE,
    OVERLAP,
    SAMPLE_RATE_IN,
    SAMPLE_RATE_OUT,
    SOURCE,
    TINY,
    Variant,
)
from .synthesis import spread

_END = 2**31 - 1


def export(
    variant: Variant,
    params: Params,
    *,
    opset: int = OPSETS[1],
    half: bool = False,
    rate: int = SAMPLE_RATE_IN,
) -> Any:
    """Build an `onnx.ModelProto` for inputs at `rate` Hz.

    Its inputs are ``input`` [batch, 1, time] and ``edge``, an int64 scalar: the first bin of 50 Hz
    that is not the sound's own, from 40 to rate / 100. Its output is [batch, 1, 48000 time / rate],
    rounded up. The rate is in its metadata, as ``sample_rate``.

    Raises ValueError for a rate that the network does not take as it is, for half, since float16
    cannot hold powers down to 1e-8, and as `layers.onnx_nodes.model`.
    """
    if half:
        raise ValueError(f"{variant.name} has no float16 model: its powers go down to {FLOOR}")
    if rate % HOPS or not LOWEST_RATE <= rate <= SAMPLE_RATE_OUT:
        raise ValueError(
            f"rate must be a multiple of {HOPS} Hz from {LOWEST_RATE} to {SAMPLE_RATE_OUT}, got "
            f"{rate}"
        )
    network = partial(_network, variant, cast(params, np.float64), rate)
    length = "3 * time" if rate == SAMPLE_RATE_IN else f"ceil({SAMPLE_RATE_OUT} * time / {rate})"
    return model(
        *(variant.name, network, length, opset, half),
        end="Identity",
        scalars=("edge",),
        facts={"sample_rate": str(rate)},
    )


def _network(variant: Variant, p: dict, rate: int, g: Graph, x: str) -> str:
    hop, bins = rate // HOPS, rate // (2 * BIN)  # of the input
    time = g.node("Slice", [g.node("Shape", [x]), g.integers([2]), g.integers([3])])
    # Zeros for the frames before and behind, and to fill up the last hop: -time mod hop.
    missing = g.node("Mod", [g.node("Neg", [time]), g.integers([hop])])
    behind = g.node("Add", [missing, g.integers([OVERLAP * hop])])
    pads = g.node("Concat", [g.integers([0, 0, OVERLAP * hop, 0, 0]), behind], axis=0)
    analysis = g.array(SAMPLE_RATE_OUT / rate * _analysis(FRAME * rate // SAMPLE_RATE_OUT, bins))
    spectrum = g.node("Conv", [g.node("Pad", [x, pads]), analysis], strides=[hop])
    own = [g.cut(spectrum, 0, bins, 1), g.cut(spectrum, bins, _END, 1)]  # real, imaginary
    power = _power(g, own)
    level = _amplitude(variant, p, g, _features(g, power, bins), bins)

    made = (g.node("Mul", [level, part]) for part in _carrier(g, own, power, bins))
    half = g.array(np.array(KEPT_GAIN))
    kept = (g.node("Mul", [part, half]) for part in own)
    parts = []
    for ours, theirs in zip(kept, made, strict=True):
        parts.append(g.cut(ours, 0, FIRST, 1))
        if bins > FIRST:
            of_either = [g.cut(ours, FIRST, _END, 1), g.cut(theirs, 0, bins - FIRST, 1)]
            parts.append(g.node("Where", [_is_below(g, np.arange(FIRST, bins)), *of_either]))
        if bins < BINS:
            parts.append(g.cut(theirs, bins - FIRST, _END, 1))
    whole = g.node("Concat", parts, axis=1)
    y = g.node("ConvTranspose", [whole, g.array(_synthesis())], strides=[HOP])
    first = g.integers([OVERLAP * HOP])
    # 48000 time / rate, rounded up.
    up = g.node(
        "Add", [g.node("Mul", [time, g.integers([SAMPLE_RATE_OUT])]), g.integers([rate - 1])]
    )
    last = g.node("Add", [g.node("Div", [up, g.integers([rate])]), first])
    return g.node("Slice", [y, first, last, g.integers([2])])


def _features(g: Graph, power: str, bins: int) -> str:
    """Features [73, frames] from the power of the input's bins, as `features.features`.

    What depends on the edge alone is looked up in tables, made in float64.
    """
    below = g.node("Cast", [_is_below(g, np.arange(bins))], to=g.kind)
    sums = g.conv(g.node("Mul", [power, below]), bands()[:, :bins, None])
    scale = np.zeros((bins + 1, BANDS_IN, 1))  # one over the weight of the bins below the edge
    count = np.zeros(bins + 1, np.int64)
    for edge in range(bins + 1):
        is_heard = heard(edge, np.dtype(np.float64)).share > 0
        scale[edge, is_heard, 0] = 1 / bands()[is_heard, :edge].sum(axis=1)
        count[edge] = is_heard.sum()
    mean = g.node("Mul", [sums, g.node("Gather", [g.array(scale), "edge"])])
    level = g.node("Log", [g.node("Max", [mean, g.array(np.array(FLOOR))])])
    level = g.node("Mul", [level, g.array(np.array(FEATURE_SCALE / np.log(10)))])
    level = g.node("Add", [level, g.array(np.array(FEATURE_OFFSET * FEATURE_SCALE))])
    # The last two bands that are heard.
    count_here = g.node("Gather", [g.integers(count), "edge"])
    last = g.node("Reshape", [count_here, g.integers([1])])
    last = g.node("Add", [last, g.integers([-2, -1])])
    held = g.node("Gather", [level, last], axis=1)
    held = g.conv(held, np.full((1, 2, 1), 0.5))
    own_level = g.node("Less", [g.integers(np.arange(BANDS_IN)[:, None]), count_here])
    return g.node("Where", [own_level, level, held])


def _amplitude(variant: Variant, p: dict, g: Graph, seen: str, bins: int) -> str:
    """The network, from its features to the amplitude of bins 40 .. 479, times 0.56."""
    shares = [heard(edge, np.dtype(np.float64)).share for edge in range(bins + 1)]
    told = np.stack(shares) @ p["share"]["weight"].T
    h = g.conv(seen, **p["conv_in"], pads=(variant.behind[0], variant.ahead[0]))
    h = g.node("Add", [h, g.node("Gather", [g.array(told[:, :, None]), "edge"])])
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
    lines = spread(np.dtype(np.float64)).T[FIRST:]  # [440, 56]
    scale, offset = np.log(10) / 2 * OUTPUT_SCALE, np.log(10) / 2 * OUTPUT_OFFSET
    weight = scale * lines @ p["conv_out"]["weight"][:, :, 0]
    bias = scale * lines @ p["conv_out"]["bias"] + offset + np.log(MADE_GAIN)
    return g.node("Exp", [g.conv(g.node("Elu", [h]), weight[:, :, None], bias)])


def _carrier(g: Graph, own: list[str], power: str, bins: int) -> tuple[str, ...]:
    """The real and the imaginary part of `synthesis.carrier` at bins 40 .. 479."""
    first, last = SOURCE.start, min(SOURCE.stop, bins)
    # The source ends below the edge: there its power is held.
    places = np.clip(np.arange(first - FLAT_SOURCE, last + FLAT_SOURCE), first, last - 1)
    highest = g.node("Sub", ["edge", g.integers(1)])
    own_places = g.node("Where", [_is_below(g, places, 1), g.integers(places), highest])
    rms = _rms(g, g.node("Gather", [power, own_places], axis=1), last - first, FLAT_SOURCE)
    below = g.node("Cast", [_is_below(g, np.arange(first, last))], to=g.kind)
    gain = g.node("Div", [below, rms])
    flat = [g.node("Mul", [g.cut(part, first, last, 1), gain]) for part in own]
    z = g.conv(g.node("Concat", flat, axis=1), _inverse(np.arange(first, last)).T[:, :, None])
    low = FIRST - FLAT_CARRIER
    transform = _waves(FRAME, np.arange(low, BINS + 1))
    bright = g.conv(g.node("Abs", [z]), transform[:, :, None])
    count = BINS + 1 - low
    parts = [g.cut(bright, 0, count, 1), g.cut(bright, count, _END, 1)]
    # Bin 480 is held beyond the last.
    places = np.minimum(np.arange(low, BINS + FLAT_CARRIER), BINS) - low
    held = g.node("Gather", [_power(g, parts), g.integers(places)], axis=1)
    rms = _rms(g, held, BINS - FIRST, FLAT_CARRIER)
    return tuple(g.node("Div", [g.cut(part, FLAT_CARRIER, count - 1, 1), rms]) for part in parts)


def _power(g: Graph, parts: list[str]) -> str:
    return g.node("Add", [g.node("Mul", [part, part]) for part in parts])


def _rms(g: Graph, power: str, count: int, side: int) -> str:
    """Root mean square over 2 side + 1 bins: [count + 2 side, frames] -> [count, frames]."""
    image = g.node("Reshape", [power, g.integers([0, 1, count + 2 * side, -1])])
    mean = g.node("AveragePool", [image], kernel_shape=[2 * side + 1, 1])
    mean = g.node("Reshape", [mean, g.integers([0, count, -1])])
    return g.node("Sqrt", [g.node("Add", [mean, g.array(np.array(TINY))])])


def _is_below(g: Graph, bins: np.ndarray, axes: int = 2) -> str:
    """Which bins lie below the edge, [bins] or [bins, 1]."""
    return g.node("Less", [g.integers(bins.reshape(-1, *(1,) * (axes - 1))), "edge"])


def _analysis(size: int, bins: int) -> np.ndarray:
    """The windowed transform of a frame, [2 bins, 1, size]: real parts, then imaginary ones."""
    return (_waves(size, np.arange(bins)) * window(size, np.dtype(np.float64)))[:, None]


def _synthesis() -> np.ndarray:
    """The windowed inverse transform of 480 bins, [960, 1, 960]."""
    return (_inverse(np.arange(BINS)) * window(FRAME, np.dtype(np.float64)))[:, None]


def _waves(size: int, bins: np.ndarray) -> np.ndarray:
    """The transform's rows for some bins, [2 bins, size]: real parts, then imaginary ones."""
    angle = 2 * np.pi / size * (np.outer(bins, np.arange(size)) % size)
    return np.concatenate([np.cos(angle), -np.sin(angle)])


def _inverse(bins: np.ndarray) -> np.ndarray:
    """Samples of a frame from the parts of some bins, [2 bins, 960]."""
    twice = np.where(bins == 0, 1, 2)[:, None] / FRAME
    return np.tile(twice, (2, 1)) * _waves(FRAME, bins)
