"""airband: speech of any band to 48 kHz; predicts the missing bands."""

from functools import partial
from typing import Any

from ..record import Compute, Context, Network, Table
from . import model, spec


def _network(variant: spec.Variant) -> Network:
    hop = spec.SAMPLE_RATE_IN // spec.HOPS
    forward: Any = partial(model.forward, variant=variant)
    return Network(
        name=variant.name,
        rate_in=spec.SAMPLE_RATE_IN,
        rate_out=spec.SAMPLE_RATE_OUT,
        cut=Context(
            left=(variant.frames_behind + spec.OVERLAP) * hop,
            right=(variant.frames_ahead + spec.OVERLAP) * hop,
            step=hop,
            min_samples=model.MIN_INPUT_SAMPLES,
            block=64_000,
        ),
        weights=Table(
            licence="CC-BY-SA-4.0",
            tensors=variant.tensors,
            max_bytes=1 << 18,  # in float32 the tensors have 200 kB
            default=f"{variant.name}-2",
        ),
        compute=Compute(
            stages=partial(model.stages, variant=variant),
            forward=forward,
            fold=lambda params, dtype, options: params,
            interior=forward,
        ),
        keeps_low_band=True,
    )


NETWORKS = tuple(map(_network, spec.VARIANTS))
