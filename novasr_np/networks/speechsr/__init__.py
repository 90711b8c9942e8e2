"""SpeechSR: speech from 16 to 48 or 24 kHz; 131,904 parameters."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from ...errors import WeightsError
from ..record import Compute, Context, Network, Ports, Table
from . import fast, model, spec, to_onnx


def _from_upstream(
    variant: spec.Variant, tensors: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Multiply weight norm out, ``w[o] = g[o] v[o] / |v[o]|``; such weights are float64."""
    ours = {name: tensors[key].reshape(spec.TENSORS[name]) for name, key in spec.SAME.items()}
    for name in spec.CONVOLUTIONS:
        g, v = (np.float64(tensors[f"dec.{name}.weight_{part}"]) for part in "gv")
        length = np.sqrt((v**2).sum(axis=(1, 2), keepdims=True))
        if not length.all():
            raise WeightsError(f"dec.{name}.weight_v has a direction of length 0")
        if not g.any():
            raise WeightsError(f"dec.{name}.weight_g is all zeros")
        ours[f"{name}.weight"] = g * v / length
    if spec.RATIO in variant.tensors:
        ours[spec.RATIO] = np.array([spec.OUTPUTS, variant.step], np.float32)
    return ours


def _network(variant: spec.Variant) -> Network:
    return Network(
        name=variant.name,
        rate_in=spec.SAMPLE_RATE_IN,
        rate_out=variant.rate_out,
        cut=Context(
            left=variant.context,
            right=variant.context,
            step=variant.step,
            min_samples=spec.MIN_INPUT_SAMPLES,
        ),
        weights=Table(
            licence="MIT",
            tensors=variant.tensors,
            upstream=spec.UPSTREAM_TENSORS,
            from_upstream=partial(_from_upstream, variant),
            variant=variant.name.removeprefix("SpeechSR-"),
            published=variant.published,
            max_bytes=1 << 21,  # in float32 the tensors have 530 kB
            where="its checkpoint, as published with HierSpeech++, loads by its path",
        ),
        compute=Compute(
            stages=partial(model.stages, variant=variant),
            forward=partial(model.forward, variant=variant),
            fold=partial(fast.fold, variant),
            interior=partial(fast.interior, variant),
            scratch=partial(fast.scratch, variant),
        ),
        own_resampler="upstream",
        ports=Ports(variant.self_test, to_onnx=to_onnx.export if variant is spec.TO_48K else None),
    )


NETWORKS = (_network(spec.TO_48K), _network(spec.TO_24K))
