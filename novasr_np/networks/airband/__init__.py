"""airband: speech at 16 kHz in, 48 kHz out, by the power of bands 200 times a second."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ..record import Network
from . import faults, folded, model, spec, to_onnx


def _ours(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return dict(tensors)


def _interior(variant: spec.Variant, p: Any, x: Any, y: Any, memory: Any, start: int = 0) -> None:
    folded.interior(variant, p, x, y, start)


def _network(variant: spec.Variant) -> Network:
    return Network(
        name=variant.name,
        rate_in=spec.SAMPLE_RATE_IN,
        rate_out=spec.SAMPLE_RATE_OUT,
        step=spec.HOP_IN,
        context_left=(variant.frames_behind + spec.OVERLAP) * spec.HOP_IN,
        context_right=(variant.frames_ahead + spec.OVERLAP) * spec.HOP_IN,
        min_samples=model.MIN_INPUT_SAMPLES,
        edge_loss=0,
        tail=0,
        tensors=variant.tensors,
        upstream_tensors={},
        from_upstream=_ours,
        published={},
        licence="",
        max_file_bytes=1 << 18,  # in float32 the tensors have 94 kB
        stages=partial(model.stages, variant=variant),
        forward=partial(model.forward, variant=variant),
        fold=folded.fold,
        scratch=lambda samples, dtype: None,
        interior=partial(_interior, variant),
        self_test=variant.self_test,
        faults=faults.faults(variant),
        to_onnx=partial(to_onnx.export, variant),
        block=64_000,
        live=partial(folded.Live, variant),
        keeps_low_band=True,
    )


NETWORKS = tuple(map(_network, spec.VARIANTS))
