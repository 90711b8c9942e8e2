"""airband: the layers in order, under the names of the stages."""

from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

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


def padded(h: np.ndarray, behind: int, ahead: int) -> np.ndarray:
    """Pad h [..., time] with zeros before and after the signal."""
    return np.pad(h, [(0, 0)] * (h.ndim - 1) + [(behind, ahead)])


def share(edge: int, dtype: Any) -> np.ndarray:
    """The part of each band's weight below the edge, [73]."""
    return heard(edge, dtype).share


class Layers(NamedTuple):
    """Layers that `apply` uses. `faults` replaces some by wrong ones."""

    padded: Callable[..., Any] = padded  # of the signal, then of each layer
    spectra: Callable[..., Any] = spectra
    features: Callable[..., Any] = features
    share: Callable[..., Any] = share
    conv1d: Callable[..., Any] = conv1d  # conv_in, the blocks' pointwise, conv_out
    depthwise1d: Callable[..., Any] = depthwise1d
    prelu: Callable[..., Any] = prelu
    residual: Callable[..., Any] = np.add
    elu: Callable[..., Any] = elu
    amplitude: Callable[..., Any] = amplitude
    rectified: Callable[..., Any] = rectified
    carrier: Callable[..., Any] = carrier
    synthesise: Callable[..., Any] = synthesise
    overlap_add: Callable[..., Any] = overlap_add


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
    return apply(Layers(), cast(params, x.dtype), x, edge_bin(facts, rate), rate, variant)


def apply(
    use: Layers, p: Params, x: np.ndarray, edge: int, rate: int, variant: Variant
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the `stages` with any layers; p and x have the same dtype. edge: in bins."""
    samples, hop = x.shape[-1], rate // HOPS
    spectrum = use.spectra(use.padded(x, OVERLAP * hop, OVERLAP * hop + -samples % hop), rate)
    frames = yield from _frames(use, p, spectrum, edge, variant)
    yield "y", use.overlap_add(frames)[..., : ceil_div(samples * SAMPLE_RATE_OUT, rate)]


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
    use: Layers, p: Params, spectrum: np.ndarray, edge: int, variant: Variant
) -> Generator[tuple[str, np.ndarray], None, np.ndarray]:
    """Yield all stages but the last; return the frames of samples [..., frames, 960].

    spectrum [..., frames, bins].
    """
    h = use.features(spectrum, edge)
    yield "features", h
    behind, ahead = variant.behind, variant.ahead
    h = use.conv1d(use.padded(h, behind[0], ahead[0]), **p["conv_in"], padded=False)
    h = h + linear(use.share(edge, h.dtype), **p["share"])[:, np.newaxis]
    yield "conv_in", h
    for i, dilation in enumerate(DILATIONS):
        block, name = p["blocks"][str(i)], f"blocks.{i}"
        v = use.padded(h, behind[i + 1], ahead[i + 1])
        v = use.depthwise1d(v, **block["depthwise"], dilation=dilation)
        yield f"{name}.depthwise", v
        v = use.prelu(v, **block["prelu"])
        yield f"{name}.prelu", v
        v = use.conv1d(v, **block["pointwise"])
        yield f"{name}.pointwise", v
        h = use.residual(h, v)
        yield name, h
    h = use.elu(h)
    yield "elu", h
    h = use.conv1d(h, **p["conv_out"])
    yield "conv_out", h
    level = use.amplitude(h, edge)
    yield "amplitude", level
    z = use.rectified(spectrum, edge)
    yield "rectified", z.swapaxes(-1, -2)
    return use.synthesise(spectrum, level.swapaxes(-1, -2), use.carrier(z, edge))
