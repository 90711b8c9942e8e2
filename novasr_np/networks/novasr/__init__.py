"""NovaSR: speech at 16 kHz in, 48 kHz out; 23,200 parameters."""

from collections.abc import Mapping

import numpy as np

from ..record import Network, anywhere
from . import faults, folded, model, spec, to_onnx

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
    context_left=spec.CONTEXT_LEFT,
    context_right=spec.CONTEXT_RIGHT,
    min_samples=spec.MIN_INPUT_SAMPLES,
    edge_loss=spec.EDGE_LOSS,
    tail=2,
    tensors=_TENSORS,
    upstream_tensors=dict(spec.TENSORS.values()),
    from_upstream=_from_upstream,
    published=spec.UPSTREAM_CHECKPOINTS,
    licence="Apache-2.0",
    max_file_bytes=1 << 20,  # the original's have 53 kB
    stages=model.stages,
    forward=anywhere(model.forward),
    fold=folded.fold,
    scratch=folded.scratch,
    interior=anywhere(folded.interior),
    self_test=spec.SELF_TEST,
    faults=faults.FAULTS,
    to_onnx=to_onnx.export,
)
