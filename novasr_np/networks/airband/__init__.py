"""airband: speech from 16 to 48 kHz; predicts the power of the missing bands 200 times a second."""

from functools import partial

from ..record import Compute, Context, Network, Ports, Table
from . import fast, faults, model, spec, to_onnx


def _network(variant: spec.Variant) -> Network:
    return Network(
        name=variant.name,
        rate_in=spec.SAMPLE_RATE_IN,
        rate_out=spec.SAMPLE_RATE_OUT,
        cut=Context(
            left=(variant.frames_behind + spec.OVERLAP) * spec.HOP_IN,
            right=(variant.frames_ahead + spec.OVERLAP) * spec.HOP_IN,
            step=spec.HOP_IN,
            min_samples=model.MIN_INPUT_SAMPLES,
            block=64_000,
        ),
        weights=Table(
            licence="CC-BY-SA-4.0",
            tensors=variant.tensors,
            max_bytes=1 << 18,  # in float32 the tensors have 94 kB
            default=f"{variant.name}-1",
        ),
        compute=Compute(
            stages=partial(model.stages, variant=variant),
            forward=partial(model.forward, variant=variant),
            fold=fast.fold,
            interior=partial(fast.interior, variant),
            open_live=partial(fast.Live, variant),
        ),
        ports=Ports(variant.self_test, faults.faults(variant), partial(to_onnx.export, variant)),
        keeps_low_band=True,
    )


NETWORKS = tuple(map(_network, spec.VARIANTS))
