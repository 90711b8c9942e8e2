"""FlashSR: upsamples any sound to 48 kHz by one diffusion step; 638.6 million parameters."""

from ..record import Compute, Network, Table, Windows
from . import load, options, spec, window

NETWORK = Network(
    name=load.NAME,
    rate_in=spec.SAMPLE_RATE,
    rate_out=spec.SAMPLE_RATE,
    cut=Windows(length=spec.WINDOW, row=spec.ROW, min_samples=spec.STEP),
    weights=Table(licence=load.LICENCE, where=load.WHERE, store=load),
    compute=Compute(
        stages=window.stages,
        forward=window.forward,
        fold=window.fold,
        interior=window.interior,
        shares_layers=True,
    ),
    needs=window.level_of,
    options=options.OPTIONS,
    check_options=options.checked,
    own_resampler="hann",
)
