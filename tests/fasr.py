"""FASR: SpeechSR-48k without the second of its three branches, as its authors run it."""

import numpy as np

from novasr_np.layers import conv1d, downsample2, snake_beta, upsample2
from novasr_np.networks.speechsr import model
from novasr_np.networks.speechsr.spec import EPSILON
from novasr_np.tensors import cast


def fasr(params: dict, x: np.ndarray) -> np.ndarray:
    """x [..., T] at 16 kHz -> [..., 3T] at 48 kHz, by SpeechSR-48k's weights."""
    stages = dict(model.stages(params, x))
    h = (stages["resblocks.0"] + stages["resblocks.2"]) / 2
    p = cast(params, x.dtype)
    q = p["activation_post"]
    h = upsample2(h, **q["upsample"], pad="edge")
    h = snake_beta(h, **q["snakebeta"], epsilon=EPSILON)
    h = downsample2(h, **q["downsample"], pad="edge")
    return np.tanh(conv1d(h, **p["conv_post"])[..., 0, :])
