"""airband: the layers in order, under the names of the stages."""

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from ...layers import conv1d, depthwise1d, elu, prelu
from ...tensors import cast
from ..record import Facts, Params, checked
from .features import features, spectra
from .spec import DILATIONS, HOP_IN, OVERLAP, SILENCE, UPSAMPLING, Variant
from .synthesis import amplitude, carrier, keep_silence, overlap_add, synthesise

MIN_INPUT_SAMPLES = 1
_BEFORE = OVERLAP * HOP_IN  # samples of the first frame before the signal


def stages(
    params: Params, x: Any, start: int = 0, facts: Facts | None = None, *, variant: Variant
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage of the network, in order.

    x [..., T] float32 or float64 at 16 kHz; params as `load_weights` gives them, used in the
    dtype of x. A hidden activation is [..., channels, frames], with ceil(T / 80) + 3 frames, of
    which frame i has its middle at sample 80 (i - 1); ``amplitude`` [..., 320, frames]; and the
    last stage, ``y``, [..., 3T].

    start: position of x in its signal, in samples, a multiple of 80: it determines the carrier.
    facts: not needed.

    Raises TypeError if x is of another dtype, ValueError if T < 1.
    """
    x = checked(x, MIN_INPUT_SAMPLES)
    samples = x.shape[-1]
    spectrum = spectra(_padded(x, _BEFORE, _BEFORE + -samples % HOP_IN))
    frames = yield from _frames(cast(params, x.dtype), spectrum, variant, start // HOP_IN)
    y = overlap_add(frames)[..., : UPSAMPLING * samples]
    yield "y", keep_silence(y, _padded(x, SILENCE, SILENCE))


def forward(
    params: Params, x: Any, start: int = 0, facts: Facts | None = None, *, variant: Variant
) -> np.ndarray:
    """Run the bare network: x [..., T] at 16 kHz -> [..., 3T] at 48 kHz, the dtype of x.

    float64 runs the same code and is the reference for all tests. Every layer holds the whole
    signal; `upsample` works in blocks. start, facts: as for `stages`.

    Raises TypeError if x is neither float32 nor float64, ValueError if T < 1.
    """
    for _, activation in stages(params, x, start, variant=variant):
        y = activation
    return y


def _frames(
    p: Params, spectrum: np.ndarray, variant: Variant, first: int
) -> Generator[tuple[str, np.ndarray], None, np.ndarray]:
    """Yield all stages but the last; return the frames of samples [..., frames, 960].

    spectrum [..., frames, 161]; first: the number of the first frame.
    """
    h = features(spectrum)
    yield "features", h
    behind, ahead = variant.behind, variant.ahead
    h = conv1d(_padded(h, behind[0], ahead[0]), **p["conv_in"], padded=False)
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
    level = amplitude(h)
    yield "amplitude", level
    return synthesise(spectrum, level, carrier(first, level.shape[-1], level.dtype))


def _padded(h: np.ndarray, behind: int, ahead: int) -> np.ndarray:
    """Pad h with zeros before and after the signal."""
    return np.pad(h, [(0, 0)] * (h.ndim - 1) + [(behind, ahead)])
