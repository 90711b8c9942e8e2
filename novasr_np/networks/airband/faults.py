"""Common porting mistakes, each as a runnable variant of the network.

`conformance` compares a port's output with all of these to find its mistake. They take the whole
signal at once, and its edge in Hz, as `Facts` have it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np

from ...layers import conv1d, depthwise1d, elu, linear, prelu
from ...samples import ceil_div
from ...tensors import cast
from ..record import Facts, Fault, Params
from . import features, model, synthesis
from .spec import (
    BINS,
    DILATIONS,
    FEATURE_OFFSET,
    FEATURE_SCALE,
    FLAT_CARRIER,
    FLAT_SOURCE,
    FLOOR,
    FRAME,
    HOPS,
    KEPT_GAIN,
    LEAST_SHARE,
    LOWEST,
    MADE_GAIN,
    OVERLAP,
    SAMPLE_RATE_OUT,
    SOURCE,
    TINY,
    Variant,
)


def _forward(
    variant: Variant,
    params: Params,
    x: Any,
    rate: int,
    hertz: float | None,
    *,
    scaled: bool = True,
    seen: Callable[..., np.ndarray] | None = None,
    told: bool = True,
    activation: Callable[[np.ndarray], np.ndarray] = elu,
    late: int = 0,
    carrier: Callable[..., np.ndarray] | None = None,
    gain: float = MADE_GAIN,
    kept: int = 0,
) -> np.ndarray:
    """Run the network on x [T] in float64, with a mistake.

    scaled: spectra have the scale of 48 kHz. seen: the features, from spectra and edge; told: the
    share is added. late: frames by which the levels come late. carrier: from spectra and edge; gain
    of what is made; kept: bins of the input that are kept beside those below the edge.
    """
    x, p = np.float64(x), cast(params, np.float64)
    edge, hop = model.edge_bin(Facts(rate, 1, hertz), rate), rate // HOPS
    padded = np.pad(x, (OVERLAP * hop, OVERLAP * hop + -len(x) % hop))
    spectrum = features.spectra(padded, rate) * (1 if scaled else rate / SAMPLE_RATE_OUT)
    h = (seen or _seen)(spectrum, edge)
    behind, ahead = variant.behind, variant.ahead
    h = conv1d(np.pad(h, ((0, 0), (behind[0], ahead[0]))), **p["conv_in"], padded=False)
    if told:
        h = h + linear(features.heard(edge, h.dtype).share, **p["share"])[:, np.newaxis]
    for i, dilation in enumerate(DILATIONS):
        block = p["blocks"][str(i)]
        v = np.pad(h, ((0, 0), (behind[i + 1], ahead[i + 1])))
        v = prelu(depthwise1d(v, **block["depthwise"], dilation=dilation), **block["prelu"])
        h = h + conv1d(v, **block["pointwise"])
    level = synthesis.amplitude(conv1d(activation(h), **p["conv_out"]), edge).T
    if late:
        level = np.concatenate([level[:late], level[:-late]])
    made = level * (carrier or _carrier)(spectrum, edge)
    bins = np.concatenate([KEPT_GAIN * spectrum[:, :edge], gain * made], axis=-1)
    bins[:, edge : edge + kept] = KEPT_GAIN * spectrum[:, edge : edge + kept][:, : BINS - edge]
    frames = np.fft.irfft(bins, FRAME) * features.window(FRAME, bins.real.dtype)
    return synthesis.overlap_add(frames)[: ceil_div(len(x) * SAMPLE_RATE_OUT, rate)]


def _seen(
    spectrum: np.ndarray,
    edge: int,
    lowest: float = LOWEST,
    log: Callable[[np.ndarray], np.ndarray] = np.log10,
    whole: bool = False,
    hold: bool = True,
) -> np.ndarray:
    """As `features.features`. whole: over all bins; hold: bands that are not heard are held."""
    own = min(spectrum.shape[-1], BINS) if whole else edge
    weight = features.bands(lowest)
    heard = weight[:, :own].sum(axis=1) >= LEAST_SHARE * weight.sum(axis=1)
    weight = weight[heard, :own]
    power = np.abs(spectrum[:, :own]) ** 2 @ weight.T / weight.sum(axis=1)
    seen = (log(np.maximum(power, FLOOR)) + FEATURE_OFFSET) * FEATURE_SCALE
    held = (seen[:, -2:-1] + seen[:, -1:]) / 2 * hold
    return np.concatenate([seen, np.repeat(held, np.sum(~heard), axis=1)], axis=1).T


def _carrier(
    spectrum: np.ndarray,
    edge: int,
    top: int = SOURCE.stop,
    rectified: bool = True,
    before: bool = True,
    after: bool = True,
    ends: Literal["edge", "constant"] = "edge",
) -> np.ndarray:
    """As `synthesis.carrier`. before, after: made flat then; ends: of the means, for `np.pad`."""
    source = spectrum[:, SOURCE.start : min(edge, top)]
    flat = np.zeros((len(spectrum), BINS + 1), complex)
    flat[:, SOURCE.start : min(edge, top)] = _flat(source, FLAT_SOURCE, ends) if before else source
    z = np.fft.irfft(flat, FRAME)
    bright = np.fft.rfft(np.abs(z) if rectified else z)
    return (_flat(bright, FLAT_CARRIER, ends) if after else bright)[:, edge:BINS]


def _flat(spectrum: np.ndarray, side: int, ends: Literal["edge", "constant"]) -> np.ndarray:
    power = np.pad(np.abs(spectrum) ** 2, ((0, 0), (side, side)), ends)
    mean = np.lib.stride_tricks.sliding_window_view(power, 2 * side + 1, axis=-1).mean(axis=-1)
    return spectrum / np.sqrt(mean + TINY)


def faults(variant: Variant) -> dict[str, Fault]:
    """Faults of a variant, by name."""

    def fault(words: str, **wrong: Any) -> Fault:
        return Fault(words, partial(_forward, variant, **wrong))

    def seen(words: str, **wrong: Any) -> Fault:
        return fault(words, seen=partial(_seen, **wrong))

    def carrier(words: str, **wrong: Any) -> Fault:
        return fault(words, carrier=partial(_carrier, **wrong))

    return {
        "scale": fault("spectra are not multiplied by 48000 / rate", scaled=False),
        "bands-whole": seen(
            "bands are means over all bins, not over those below the edge", whole=True
        ),
        "bands-from-0": seen(
            "the bands' middles are evenly in mel from 0 Hz, not from 40", lowest=0
        ),
        "bands-zero": seen("bands above the edge are zeros, and not held", hold=False),
        "natural": seen("natural logarithms are taken for those to base 10", log=np.log),
        "share": fault("the share is left out", told=False),
        "relu": fault(
            "a ReLU before the last layer, not an ELU", activation=lambda h: np.maximum(h, 0)
        ),
        "late": fault("levels belong to the frame before", late=1),
        "source-uneven": carrier(
            "the source is not made flat before it is rectified", before=False
        ),
        "source-wide": carrier("the source goes up to 8 kHz, not to 4", top=160),
        "unrectified": carrier("the source is not rectified", rectified=False),
        "carrier-uneven": carrier(
            "the carrier is not made flat after it is rectified", after=False
        ),
        "ends": carrier(
            "the running means have zeros beyond their ends, not held ends", ends="constant"
        ),
        "gain-half": fault("what is made has the factor 1/2, not 0.56", gain=KEPT_GAIN),
        "gain-one": fault("what is made has the factor 1, not 0.56", gain=1.0),
        "edge": fault("the bin at the edge is kept, which is to be made", kept=1),
    }
