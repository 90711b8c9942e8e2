"""SpeechSR-48k: speech at 16 kHz in, 48 kHz out; 131,904 parameters."""

from collections.abc import Mapping

import numpy as np

from ...errors import WeightsError
from ..record import Network
from . import folded, model, spec, to_onnx


def _from_upstream(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weight norm multiplied out, ``w[o] = g[o] v[o] / |v[o]|``; such weights are float64."""
    ours = {name: tensors[key].reshape(spec.TENSORS[name]) for name, key in spec.SAME.items()}
    for name in spec.CONVOLUTIONS:
        g, v = (np.float64(tensors[f"dec.{name}.weight_{part}"]) for part in "gv")
        length = np.sqrt((v**2).sum(axis=(1, 2), keepdims=True))
        if not length.all():
            raise WeightsError(f"dec.{name}.weight_v has a direction of length 0")
        ours[f"{name}.weight"] = g * v / length
    return ours


NETWORK = Network(
    name="SpeechSR-48k",
    rate_in=spec.SAMPLE_RATE_IN,
    rate_out=spec.SAMPLE_RATE_OUT,
    context_left=spec.CONTEXT_LEFT,
    context_right=spec.CONTEXT_RIGHT,
    min_samples=spec.MIN_INPUT_SAMPLES,
    edge_loss=0,
    tail=0,
    tensors=spec.TENSORS,
    upstream_tensors=spec.UPSTREAM_TENSORS,
    from_upstream=_from_upstream,
    published=spec.UPSTREAM_CHECKPOINTS,
    licence="MIT",
    max_file_bytes=1 << 21,  # in float32 the tensors have 530 kB
    stages=model.stages,
    forward=model.forward,
    fold=folded.fold,
    scratch=folded.scratch,
    interior=folded.interior,
    self_test=spec.SELF_TEST,
    to_onnx=to_onnx.export,
)
