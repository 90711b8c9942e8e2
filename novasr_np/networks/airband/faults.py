"""Common porting mistakes, each as a runnable variant of the network.

`conformance` compares a port's output with all of these to find its mistake. They take the whole
signal at once, and its edge in Hz, as `Facts` have it. Most are made by a rule: each layer left
out, a frame late, with other ends, with the next number in place of each of its numbers.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np

from ...layers import depthwise1d, elu, prelu
from ...tensors import bfloat16, cast, half
from ..record import Facts, Fault, Params, in_call
from . import features, model, synthesis
from .spec import (
    BIN,
    BINS,
    DILATIONS,
    FEATURE_OFFSET,
    FEATURE_SCALE,
    FIRST,
    FLAT_CARRIER,
    FLAT_SOURCE,
    FLOOR,
    FRAME,
    HOPS,
    KEPT_GAIN,
    LEAST_SHARE,
    LOWEST,
    MADE_GAIN,
    OUTPUT_OFFSET,
    OUTPUT_SCALE,
    SAMPLE_RATE_OUT,
    SOURCE,
    TINY,
    WIDTHS,
    Variant,
)

Change = Callable[[], dict[str, Any]]  # gives the layers that are wrong, by name


def _forward(
    variant: Variant, change: Change, params: Params, x: Any, rate: int, hertz: float | None
) -> np.ndarray:
    """Run the network on x [T] in float64, with other `Layers`."""
    edge = model.edge_bin(Facts(rate, 1, hertz), rate)
    p, use = cast(params, np.float64), model.Layers(**change())
    for _, activation in model.apply(use, p, np.asarray(x, np.float64), edge, rate, variant):
        y = activation
    return y


def _spectra(
    x: np.ndarray, rate: int, *, window: Callable[[int], np.ndarray], scaled: bool = True
) -> np.ndarray:
    """As `features.spectra`. scaled: the scale is that of 48 kHz."""
    hop = rate // HOPS
    frames = np.lib.stride_tricks.sliding_window_view(x, 4 * hop, axis=-1)[::hop]
    scale = SAMPLE_RATE_OUT / rate if scaled else 1
    return np.fft.rfft(frames * window(4 * hop)) * scale


def _sine(size: int) -> np.ndarray:
    return features.window(size, np.dtype(np.float64))


def _symmetric(size: int) -> np.ndarray:
    return np.sin(np.pi * np.arange(size) / (size - 1))


def _features(
    spectrum: np.ndarray,
    edge: int,
    *,
    lowest: float = LOWEST,
    log: Callable[[np.ndarray], np.ndarray] = np.log10,
    power: int = 2,
    floor: float = FLOOR,
    whole: bool = False,
    heard_whole: bool = True,
    hold: Callable[[np.ndarray], np.ndarray] = lambda seen: (seen[:, -2:-1] + seen[:, -1:]) / 2,
    mean: bool = True,
    offset: float = FEATURE_OFFSET,
    scale: float = FEATURE_SCALE,
) -> np.ndarray:
    """As `features.features`. hold: gives what bands not heard have.

    whole: over all bins; heard_whole: and so bands are heard that have a part above the edge.
    """
    own = min(spectrum.shape[-1], BINS) if whole else edge
    weight = features.bands(lowest)
    below = weight[:, : own if heard_whole else edge].sum(axis=1)
    heard = below >= LEAST_SHARE * weight.sum(axis=1)
    weight = weight[heard, :own]
    level = np.abs(spectrum[:, :own]) ** power @ weight.T
    level = level / weight.sum(axis=1) if mean else level
    seen = (log(np.maximum(level, floor)) + offset) * scale
    return np.concatenate([seen, np.repeat(hold(seen), np.sum(~heard), axis=1)], axis=1).T


def _bin_late(spectrum: np.ndarray, edge: int) -> np.ndarray:
    return features.features(np.pad(spectrum, ((0, 0), (1, 0)))[:, :-1], edge)


def _share(edge: int, dtype: Any, lowest: float = LOWEST, least: float = LEAST_SHARE) -> np.ndarray:
    """As `model.share`. least: of the shares, for a band that is heard."""
    weight = features.bands(lowest)
    share = weight[:, :edge].sum(axis=1) / weight.sum(axis=1)
    return np.where(share < least, 0, share)


def _amplitude(
    y: np.ndarray,
    edge: int,
    *,
    base: float = 10.0,
    power: float = 0.5,
    scale: float = OUTPUT_SCALE,
    offset: float = OUTPUT_OFFSET,
    lines: bool = True,
    shift: int = 0,
) -> np.ndarray:
    """As `synthesis.amplitude`. lines: interpolated; shift: bins by which a level is too high."""
    rows = synthesis.spread(np.dtype(np.float64))
    if not lines:
        rows = np.repeat(np.eye(len(WIDTHS)), WIDTHS, axis=1)
        rows = np.pad(rows, ((0, 0), (FIRST, 0)), "edge")
    at = np.clip(np.arange(BINS) - shift, 0, BINS - 1)
    return base ** (power * (rows[:, at].T[edge:] @ y * scale + offset))


def _rectified(
    spectrum: np.ndarray,
    edge: int,
    *,
    first: int = SOURCE.start,
    top: int = SOURCE.stop,
    side: int = FLAT_SOURCE,
    flat: bool = True,
    ends: Literal["edge", "constant"] = "edge",
    rectify: Callable[[np.ndarray], np.ndarray] = np.abs,
) -> np.ndarray:
    """As `synthesis.rectified`. flat: it is made flat; ends: of the means, for `np.pad`."""
    source = spectrum[:, first : min(edge, top)]
    bins = np.zeros((len(spectrum), BINS + 1), complex)
    bins[:, first : min(edge, top)] = _flat(source, side, ends) if flat else source
    return rectify(np.fft.irfft(bins, FRAME))


def _carrier(
    z: np.ndarray,
    edge: int,
    *,
    side: int = FLAT_CARRIER,
    flat: bool = True,
    ends: Literal["edge", "constant"] = "edge",
    windowed: bool = False,
    shift: int = 0,
) -> np.ndarray:
    """As `synthesis.carrier`. flat: it is made flat; shift: bins by which it is too high."""
    bright = np.fft.rfft(z * _sine(FRAME) if windowed else z)
    bright = _flat(bright, side, ends) if flat else bright
    return bright[:, edge - shift : BINS - shift]


def _flat(spectrum: np.ndarray, side: int, ends: Literal["edge", "constant"]) -> np.ndarray:
    power = np.pad(np.abs(spectrum) ** 2, ((0, 0), (side, side)), ends)
    mean = np.lib.stride_tricks.sliding_window_view(power, 2 * side + 1, axis=-1).mean(axis=-1)
    return spectrum / np.sqrt(mean + TINY)


def _synthesise(
    spectrum: np.ndarray,
    amplitude: np.ndarray,
    carrier: np.ndarray,
    *,
    kept: float = KEPT_GAIN,
    made: float = MADE_GAIN,
    extra: int = 0,
    window: Callable[[int], np.ndarray] = _sine,
) -> np.ndarray:
    """As `synthesis.synthesise`. kept, made: gains; extra: bins of the input kept beyond its edge.

    Of the input's bins the first -extra of those that are kept are lost if it is negative.
    """
    edge = BINS - amplitude.shape[-1]
    bins = np.concatenate([kept * spectrum[:, :edge], made * amplitude * carrier], axis=-1)
    own = kept * spectrum[:, edge : edge + max(0, extra)][:, : BINS - edge]
    bins[:, edge : edge + own.shape[-1]] = own
    if extra < 0:
        bins[:, edge + extra : edge] = 0
    return np.fft.irfft(bins, FRAME) * window(FRAME)


def _late(layer: Callable[..., Any], frames: int = 1) -> Callable[..., Any]:
    """A layer whose result [..., frames] is some frames late, or early if they are negative."""

    def late(*args: Any, **options: Any) -> np.ndarray:
        y = layer(*args, **options)
        out = np.zeros_like(y)
        if frames > 0:
            out[..., frames:] = y[..., :-frames]
        else:
            out[..., :frames] = y[..., -frames:]
        return out

    return late


def _looks_on(h: np.ndarray, behind: int, ahead: int) -> np.ndarray:
    """Pad for a layer that looks a frame further ahead, and less far back."""
    return model.padded(h, behind, ahead + 1)[..., 1:]


def _looks_back(h: np.ndarray, behind: int, ahead: int) -> np.ndarray:
    return model.padded(h, behind + 1, ahead)[..., :-1]


def _held(h: np.ndarray, behind: int, ahead: int) -> np.ndarray:
    return np.pad(h, [(0, 0)] * (h.ndim - 1) + [(behind, ahead)], "edge")


def _mirrored(h: np.ndarray, behind: int, ahead: int) -> np.ndarray:
    return np.pad(h, [(0, 0)] * (h.ndim - 1) + [(behind, ahead)], "symmetric")


def _undilated(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, dilation: int) -> np.ndarray:
    """Taps a frame apart, around the middle of those that belong there."""
    taps = weight.shape[-1]
    skip = (dilation - 1) * (taps - 1)
    return depthwise1d(x[..., skip // 2 : x.shape[-1] - (skip - skip // 2)], weight, bias)


def _relu(h: np.ndarray, *_: Any, **__: Any) -> np.ndarray:
    return np.maximum(h, 0)


def _same(h: np.ndarray, *_: Any, **__: Any) -> np.ndarray:
    return h


def _log_twice(power: np.ndarray) -> np.ndarray:
    return 2 * np.log10(power)


def _rounding(to: Callable[[np.ndarray], np.ndarray]) -> Change:
    """With the result of every layer in another precision."""

    def rounded(layer: Callable[..., Any]) -> Callable[..., Any]:
        def round(*args: Any, **options: Any) -> np.ndarray:
            y = layer(*args, **options)
            if np.iscomplexobj(y):
                return to(y.real) + 1j * to(y.imag)
            return to(y)

        return round

    return lambda: {name: rounded(layer) for name, layer in model.Layers()._asdict().items()}


def _changes() -> dict[str, tuple[str, Change]]:
    """The words for each mistake and the layers that it changes, by name."""
    found: dict[str, tuple[str, Change]] = {}

    def wrong(name: str, words: str, **layers: Callable[..., Any]) -> None:
        found[name] = words, lambda: layers

    def one(
        name: str,
        words: str,
        layer: str,
        call: int,
        by: Callable[..., Any],
        others: Callable[..., Any] | None = None,
    ) -> None:
        right = others or getattr(model.Layers(), layer)
        found[name] = words, lambda: {layer: in_call(call, by, right)}

    def spectra(name: str, words: str, **options: Any) -> None:
        wrong(name, words, spectra=partial(_spectra, **({"window": _sine} | options)))

    def seen(name: str, words: str, **options: Any) -> None:
        wrong(name, words, features=partial(_features, **options))

    def level(name: str, words: str, **options: Any) -> None:
        wrong(name, words, amplitude=partial(_amplitude, **options))

    def source(name: str, words: str, **options: Any) -> None:
        wrong(name, words, rectified=partial(_rectified, **options))

    def carrier(name: str, words: str, **options: Any) -> None:
        wrong(name, words, carrier=partial(_carrier, **options))

    def sound(name: str, words: str, **options: Any) -> None:
        wrong(name, words, synthesise=partial(_synthesise, **options))

    spectra("scale", "spectra are not multiplied by 48000 / rate", scaled=False)
    spectra(
        "window-hann", "the window is Hann's, not its square root", window=lambda n: _sine(n) ** 2
    )
    wrong(
        "windows-hann",
        "both windows are Hann's, not their square roots",
        spectra=partial(_spectra, window=lambda n: _sine(n) ** 2),
        synthesise=partial(_synthesise, window=lambda n: _sine(n) ** 2),
    )
    spectra("window-none", "there is no window before the transform", window=np.ones)
    spectra("window-symmetric", "the window is symmetric, not periodic", window=_symmetric)
    seen("bands-whole", "bands are means over all bins, not over those below the edge", whole=True)
    wrong(
        "bands-from-0",
        "the bands' middles are evenly in mel from 0 Hz, not from 40",
        features=partial(_features, lowest=0),
        share=partial(_share, lowest=0),
    )
    seen(
        "bands-over",
        "bands are means over bins beyond the edge, too",
        heard_whole=False,
        whole=True,
    )
    seen(
        "bands-floor",
        "bands above the edge have the floor of the power, and are not held",
        hold=lambda s: np.full_like(s[:, -1:], (np.log10(FLOOR) + FEATURE_OFFSET) * FEATURE_SCALE),
    )
    seen(
        "bands-one",
        "bands above the edge have the power 1, and are not held",
        hold=lambda s: np.full_like(s[:, -1:], FEATURE_OFFSET * FEATURE_SCALE),
    )
    seen(
        "bands-zero",
        "bands above the edge are zeros, and not held",
        hold=lambda s: 0 * s[:, -1:],
    )
    seen(
        "bands-last",
        "bands above the edge have the last band heard, not the mean of two",
        hold=lambda s: s[:, -1:],
    )
    seen("bands-sum", "bands are sums, not means", mean=False)
    seen("natural", "natural logarithms are taken for those to base 10", log=np.log)
    seen("decibels", "the logarithm of a band's power is doubled", log=_log_twice)
    seen("magnitude", "bands are means of magnitudes, not of powers", power=1)
    seen("floor-high", "the floor of a band's power is 1e-5, not 1e-8", floor=1e-5)
    seen("floor-low", "the floor of a band's power is 1e-10, not 1e-8", floor=1e-10)
    seen("feature-offset", "3 is not added to the features' logarithm", offset=0)
    seen("feature-scale", "the features are not halved", scale=1)
    wrong("bin-late", "bands take the bin below each of theirs", features=_bin_late)
    wrong("features-late", "features are a frame late", features=_late(features.features))
    wrong("features-early", "features are a frame early", features=_late(features.features, -1))
    wrong("share", "the share is left out", share=lambda edge, dtype: np.zeros(73))
    wrong("share-one", "the share is 1 for every band", share=lambda edge, dtype: np.ones(73))
    wrong(
        "share-all",
        "the share of bands that are not heard is not 0",
        share=partial(_share, least=0),
    )
    for call, name in enumerate(("conv_in", *(f"blocks.{i}" for i in range(len(DILATIONS)))), 1):
        one(f"{name}-on", f"{name} looks a frame too far ahead", "padded", call, _looks_on)
        one(f"{name}-back", f"{name} looks a frame too far back", "padded", call, _looks_back)
    # The first is the signal's, and the others the layers'.
    one(
        "ends-held",
        "the ends are held where zeros belong, in every layer",
        *("padded", 0, model.padded, _held),
    )
    one(
        "ends-mirrored",
        "the ends are mirrored where zeros belong, in every layer",
        *("padded", 0, model.padded, _mirrored),
    )
    one("signal-held", "the signal's ends are held, not followed by zeros", "padded", 0, _held)
    one("conv_in-held", "the features' ends are held, not followed by zeros", "padded", 1, _held)
    wrong("undilated", "the blocks' taps are all a frame apart", depthwise1d=_undilated)
    wrong("prelu-relu", "the blocks have a ReLU, not a PReLU", prelu=_relu)
    wrong("prelu-none", "the blocks have no PReLU", prelu=_same)
    wrong(
        "prelu-turned",
        "the PReLU's slope is that of positive numbers",
        prelu=lambda h, slope: -prelu(-h, slope),
    )
    wrong("residual", "the blocks' input is not added to their output", residual=lambda h, v: v)
    for i in range(len(DILATIONS)):
        one(f"blocks.{i}-out", f"blocks.{i} is left out", "residual", i, _same)
    wrong("relu", "a ReLU before the last layer, not an ELU", elu=_relu)
    wrong("elu-none", "the ELU before the last layer is left out", elu=_same)
    wrong("elu-twice", "there are two ELUs before the last layer", elu=lambda h: elu(elu(h)))
    wrong("elu-tanh", "a tanh before the last layer, not an ELU", elu=np.tanh)
    wrong("late", "levels belong to the frame before", amplitude=_late(synthesis.amplitude))
    wrong("early", "levels belong to the frame after", amplitude=_late(synthesis.amplitude, -1))
    level("level-base", "levels are powers of e, not of 10", base=np.e)
    level("level-power", "levels are powers, not their square roots", power=1.0)
    level("level-scale", "levels are not 2 y - 4 but y - 4", scale=1.0)
    level("level-offset", "levels are not 2 y - 4 but 2 y", offset=0.0)
    level("level-steps", "levels are not interpolated between the bands' middles", lines=False)
    level("level-bin", "levels are a bin too high", shift=1)
    source("source-uneven", "the source is not made flat before it is rectified", flat=False)
    source("source-wide", "the source goes up to 8 kHz, not to 4", top=8000 // BIN)
    source("source-0", "the source begins at bin 0, not 4", first=0)
    source("source-5", "the source begins at bin 5, not 4", first=SOURCE.start + 1)
    source("source-79", "the source ends at bin 78, not 79", top=SOURCE.stop - 1)
    source("source-side", "the source's means are of 15 bins, not 17", side=FLAT_SOURCE - 1)
    source("unrectified", "the source is not rectified", rectify=_same)
    source("squared", "the source is squared, not rectified", rectify=np.square)
    carrier("carrier-uneven", "the carrier is not made flat after it is rectified", flat=False)
    carrier("carrier-side", "the carrier's means are of 11 bins, not 13", side=FLAT_CARRIER - 1)
    carrier("carrier-window", "the carrier has a window before its transform", windowed=True)
    carrier("carrier-bin", "the carrier is a bin too high", shift=1)
    wrong(
        "ends",
        "the running means have zeros beyond their ends, not held ends",
        rectified=partial(_rectified, ends="constant"),
        carrier=partial(_carrier, ends="constant"),
    )
    sound("gain-half", "what is made has the factor 1/2, not 0.56", made=KEPT_GAIN)
    sound("gain-one", "what is made has the factor 1, not 0.56", made=1.0)
    sound("kept-one", "what is kept has the factor 1, not 1/2", kept=1.0)
    sound("edge", "the bin at the edge is kept, which is to be made", extra=1)
    sound("edge-below", "the bin below the edge is lost", extra=-1)
    sound("synthesis-none", "there is no window after the inverse transform", window=np.ones)
    sound(
        "synthesis-hann",
        "the window after the inverse transform is Hann's, not its square root",
        window=lambda n: _sine(n) ** 2,
    )
    return found


def faults(variant: Variant) -> dict[str, Fault]:
    """Faults of a variant, by name."""
    roundings = {"half": ("half precision throughout", half)}
    roundings["bfloat16"] = "bfloat16 throughout", bfloat16
    return {
        name: Fault(words, partial(_forward, variant, change))
        for name, (words, change) in _changes().items()
    } | {
        name: Fault(words, partial(_forward, variant, _rounding(to)), is_rounding=True)
        for name, (words, to) in roundings.items()
    }
