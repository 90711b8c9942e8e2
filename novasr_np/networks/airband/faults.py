"""Common porting mistakes, each as a runnable variant of the network.

`conformance` compares a port's output with all of these to find its mistake. They take the whole
signal at once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...tensors import cast
from ..record import Fault, Params
from . import features, model, synthesis
from .spec import HOP_IN, OVERLAP, OWN_BINS, SILENCE, UPSAMPLING, Variant


def _forward(
    variant: Variant,
    params: Params,
    x: Any,
    first: int = 0,
    own: float = 1.0,
    last_bin: bool = False,
    silence: bool = True,
    level: Callable[[np.ndarray], np.ndarray] = lambda y: y,
) -> np.ndarray:
    """Run `model.forward` on x [T] in float64, with a mistake between its stages."""
    x = np.float64(x)
    p = cast(params, np.float64)
    before = OVERLAP * HOP_IN
    spectrum = features.spectra(np.pad(x, (before, before + -len(x) % HOP_IN)))
    y = dict(model.stages(p, x, variant=variant))["conv_out"]
    made = synthesis.carrier(first, y.shape[-1], y.dtype)
    amplitude = synthesis.amplitude(level(y))
    if last_bin:  # the input's bin at 8 kHz kept as well
        amplitude[0] = 0
        made[:, 0] = 1
        amplitude = amplitude.astype(complex)
        amplitude[0] = 1.5 * spectrum[:, OWN_BINS]
    frames = synthesis.synthesise(own * spectrum, amplitude, made)
    y = synthesis.overlap_add(frames)[: UPSAMPLING * len(x)]
    return synthesis.keep_silence(y, np.pad(x, SILENCE)) if silence else y


def faults(variant: Variant) -> dict[str, Fault]:
    """Faults of a variant, by name."""

    def fault(words: str, **wrong: Any) -> Fault:
        return Fault(words, lambda params, x: _forward(variant, params, x, **wrong))

    return {
        "frame": fault("the carrier's frames are counted from 1 instead of 0", first=1),
        "middle": fault(
            "the carrier's frames are counted from the one in the middle of the first sample",
            first=-1 % 2**32,
        ),
        "half": fault("the input's own bins have half the level: 3 / 2 is missing a 2", own=0.5),
        "twice": fault("the input's own bins are multiplied by 3, not by 3 / 2", own=2.0),
        "nyquist": fault("the input's bin at 8 kHz is kept, which is to be made", last_bin=True),
        "gaps": fault("digital silence in the input is not kept", silence=False),
        "natural": fault(
            "the bands' power is taken for a natural logarithm",
            level=lambda y: 2 + (y - 2) / np.log(10),
        ),
    }
