"""airband: the layers in order, under the names of the stages."""

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from ...layers import conv1d, depthwise1d, elu, linear, prelu
from ...samples import ceil_div
from ...tensors import cast
from ..record import Facts, Params, checked
from .features import features, heard, spectra
from .spec import (
    BIN,
    DILATIONS,
    HOPS,
    OVERLAP,
    SAMPLE_RATE_IN,
    SAMPLE_RATE_OUT,
    Variant,
)
from .synthesis import amplitude, carrier, overlap_add, rectified, synthesise

MIN_INPUT_SAMPLES = 1


def stages(
    params: Params,
    x: Any,
    start: int = 0,
    facts: Facts | None = None,
    rate: int = SAMPLE_RATE_IN,
    *,
    variant: Variant,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage of the network, in order.

    x [..., T] float32 or float64 at `rate` Hz, a multiple of 200; params as `load_weights` gives
    them, used in the dtype of x. A hidden activation is [..., channels, frames], with
    ceil(T / hop) + 3 frames of hop = rate / 200 samples, of which frame i has its middle at sample
    hop (i - 1); ``amplitude`` [..., bins from the edge to 479, frames]; ``rectified``, the carrier
    before it is made flat, [..., 960, frames]; and the last stage, ``y``,
    [..., ceil(48000 T / rate)].

    facts: of the sound; its `edge` is where it ends, half the rate by default. start: not needed.

    Raises TypeError if x is of another dtype, ValueError if T < 1.
    """
    x = checked(x, MIN_INPUT_SAMPLES)
    samples, hop = x.shape[-1], rate // HOPS
    spectrum = spectra(_padded(x, OVERLAP * hop, OVERLAP * hop + -samples % hop), rate)
    edge = edge_bin(facts, rate)
    frames = yield from _frames(cast(params, x.dtype), spectrum, edge, variant)
    yield "y", overlap_add(frames)[..., : ceil_div(samples * SAMPLE_RATE_OUT, rate)]


def forward(
    params: Params,
    x: Any,
    start: int = 0,
    facts: Facts | None = None,
    rate: int = SAMPLE_RATE_IN,
    *,
    variant: Variant,
) -> np.ndarray:
    """Run the bare network: x [..., T] at `rate` Hz -> [..., ceil(48000 T / rate)], dtype of x.

    float64 runs the same code and is the reference for all tests. Every layer holds the whole
    signal; `upsample` works in blocks. Arguments as for `stages`.

    Raises TypeError if x is neither float32 nor float64, ValueError if T < 1.
    """
    for _, activation in stages(params, x, start, facts, rate, variant=variant):
        y = activation
    return y


def edge_bin(facts: Facts | None, rate: int) -> int:
    """The first bin that is not the sound's own: at its edge, or at half the rate."""
    half = rate // (2 * BIN)
    return half if facts is None or facts.edge is None else min(half, round(facts.edge / BIN))


def _frames(
    p: Params, spectrum: np.ndarray, edge: int, variant: Variant
) -> Generator[tuple[str, np.ndarray], None, np.ndarray]:
    """Yield all stages but the last; return the frames of samples [..., frames, 960].

    spectrum [..., frames, bins].
    """
    h = features(spectrum, edge)
    yield "features", h
    behind, ahead = variant.behind, variant.ahead
    h = conv1d(_padded(h, behind[0], ahead[0]), **p["conv_in"], padded=False)
    h = h + linear(heard(edge, h.dtype).share, **p["share"])[:, np.newaxis]
    yield "conv_in", h
    for i, dilation in enumerate(DILATIONS):
        block, name = p["blocks"][str(i)], f"blocks.{i}"
        v = _padded(h, behind[i + 1], ahead[i + 1])
        v = depthwise1d(v, **block["depthwise"], dilation=dilation)
        yield f"{name}.depthwise", v
        v = prelu(v, **block["prelu"])
        yield f"{name}.prelu", v
        v = conv1d(v, **block["pointwise"])
        yield f"{name}.pointwise", v
        h = h + v
        yield name, h
    h = elu(h)
    yield "elu", h
    h = conv1d(h, **p["conv_out"])
    yield "conv_out", h
    level = amplitude(h, edge)
    yield "amplitude", level
    z = rectified(spectrum, edge)
    yield "rectified", z.swapaxes(-1, -2)
    return synthesise(spectrum, level.swapaxes(-1, -2), carrier(z, edge))


def _padded(h: np.ndarray, behind: int, ahead: int) -> np.ndarray:
    """Pad h with zeros before and after the signal."""
    return np.pad(h, [(0, 0)] * (h.ndim - 1) + [(behind, ahead)])
