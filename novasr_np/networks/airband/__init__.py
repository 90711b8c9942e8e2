"""airband: speech of any band to 48 kHz; predicts the missing bands, 200 times a second."""

from functools import partial

from ..record import Compute, Context, Network, Ports, Table
from . import fast, faults, model, spec, to_onnx
from .stream import FrameStream

_BLOCK_FRAMES = 800  # 4 s


def _cut(variant: spec.Variant, rate: int) -> Context:
    hop = rate // spec.HOPS
    return Context(
        left=(variant.frames_behind + spec.OVERLAP) * hop,
        right=(variant.frames_ahead + spec.OVERLAP) * hop,
        step=hop,
        min_samples=model.MIN_INPUT_SAMPLES,
        block=_BLOCK_FRAMES * hop,
    )


def _takes(variant: spec.Variant, sample_rate: int) -> tuple[int, Context]:
    as_it_is = (
        sample_rate % spec.HOPS == 0 and spec.LOWEST_RATE <= sample_rate <= spec.SAMPLE_RATE_OUT
    )
    rate = sample_rate if as_it_is else spec.SAMPLE_RATE_OUT
    return rate, _cut(variant, rate)


def _network(variant: spec.Variant) -> Network:
    return Network(
        name=variant.name,
        rate_in=spec.SAMPLE_RATE_IN,
        rate_out=spec.SAMPLE_RATE_OUT,
        cut=_cut(variant, spec.SAMPLE_RATE_IN),
        weights=Table(
            licence="CC-BY-SA-4.0",
            tensors=variant.tensors,
            max_bytes=1 << 18,  # in float32 the tensors have 200 kB
            default=f"{variant.name}-2",
        ),
        compute=Compute(
            stages=partial(model.stages, variant=variant),
            forward=partial(model.forward, variant=variant),
            fold=fast.fold,
            open_live=partial(FrameStream, variant),
        ),
        ports=Ports(variant.self_test, faults.faults(variant), partial(to_onnx.export, variant)),
        takes=partial(_takes, variant),
    )


NETWORKS = tuple(map(_network, spec.VARIANTS))
