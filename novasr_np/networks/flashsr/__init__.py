"""FlashSR: any sound to 48 kHz by one step of diffusion; 638.6 million parameters."""

from ..record import Windowed
from . import load, model, options, spec, window

NETWORK = Windowed(
    name=load.NAME,
    rate_in=spec.SAMPLE_RATE,
    rate_out=spec.SAMPLE_RATE,
    window=spec.WINDOW,
    row=spec.ROW,
    licence="not stated by its authors",
    parts=frozenset(load.PARTS),
    holds=load.holds,
    load=load.load,
    found=load.found,
    save=load.save,
    checked=options.checked,
    prepare=window.prepare,
    forward=model.normalised,
    finish=window.finish,
    own_resampler="hann",
)
