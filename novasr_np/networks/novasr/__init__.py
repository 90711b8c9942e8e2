"""NovaSR: speech from 16 to 48 kHz; 23,200 parameters."""

from collections.abc import Mapping

import numpy as np

from ..record import Compute, Context, Network, Ports, Table
from . import fast, faults, model, spec, to_onnx

_TENSORS = {
    name: shape[-1:] if name.endswith(".filter") else shape
    for name, (_, shape) in spec.TENSORS.items()
}


def _from_upstream(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: tensors[key].reshape(_TENSORS[name]) for name, (key, _) in spec.TENSORS.items()}


NETWORK = Network(
    name="NovaSR",
    rate_in=spec.SAMPLE_RATE_IN,
    rate_out=spec.SAMPLE_RATE_OUT,
    cut=Context(
        left=spec.CONTEXT_LEFT,
        right=spec.CONTEXT_RIGHT,
        min_samples=spec.MIN_INPUT_SAMPLES,
        tail=2,
        edge_loss=spec.EDGE_LOSS,
    ),
    weights=Table(
        licence="Apache-2.0",
        tensors=_TENSORS,
        upstream=dict(spec.TENSORS.values()),
        from_upstream=_from_upstream,
        published=spec.UPSTREAM_CHECKPOINTS,
        max_bytes=1 << 20,  # the original's have 53 kB
        default="novasr-open",
    ),
    compute=Compute(
        stages=model.stages,
        forward=model.forward,
        fold=fast.fold,
        interior=fast.interior,
        scratch=fast.scratch,
    ),
    own_resampler="upstream",
    ports=Ports(spec.SELF_TEST, faults.FAULTS, to_onnx.export),
)
