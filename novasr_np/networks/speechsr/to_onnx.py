"""SpeechSR-48k as an ONNX model, for other runtimes."""

from typing import Any

import numpy as np

from ...layers.onnx_nodes import OPSETS, Graph, model
from ...tensors import cast
from ..record import Params
from .spec import CHANNELS, DILATIONS, EPSILON, OUTPUTS, TAPS


def export(params: Params, *, opset: int = OPSETS[1], half: bool = False) -> Any:
    """Build an `onnx.ModelProto`: input [batch, 1, time] at 16 kHz, output [batch, 1, 3 time].

    half: use float16, for input and output too. Raises as `layers.onnx_nodes.model`.
    """
    p = cast(params, np.float64)
    length = f"{OUTPUTS} * time"
    return model("SpeechSR-48k", lambda graph, x: _network(graph, p, x), length, opset, half)


def _network(g: Graph, p: dict, x: str) -> str:
    h = g.interpolate3(g.conv(x, **p["conv_pre"]), CHANNELS)
    ends = []
    for branch in range(len(TAPS)):
        q, z = p["resblocks"][str(branch)], h
        for i, dilation in enumerate(DILATIONS):
            v = _activation(g, z, q["activations"][str(2 * i)])
            v = g.conv(v, **q["convs1"][str(i)], dilation=dilation)
            v = _activation(g, v, q["activations"][str(2 * i + 1)])
            z = g.node("Add", [z, g.conv(v, **q["convs2"][str(i)])])
        ends.append(z)
    total = g.node("Add", [g.node("Add", ends[:2]), ends[2]])
    mean = g.node("Mul", [total, g.array(np.array(1 / len(ends)))])
    return g.conv(_activation(g, mean, p["activation_post"]), p["conv_post"]["weight"])


def _activation(g: Graph, h: str, p: dict) -> str:
    """Double the rate as two phases [.., 2 channels, time], apply the snake, and halve it again.

    The ends are held.
    """
    w = 2 * p["upsample"]["filter"][::-1]
    bank = np.stack([np.append(w[0::2], 0), np.insert(w[1::2], 0, 0)])
    up = np.tile(bank[:, None], (CHANNELS, 1, 1))
    u = g.conv(g.held(h, 3, 3), up, group=CHANNELS, pads=(0, 0))
    u = _held_phases(g, g.snake_beta(u, p["snakebeta"], EPSILON), 3)
    return g.downsample2(u, p["downsample"]["filter"], CHANNELS, pads=(0, 0))


def _held_phases(g: Graph, u: str, steps: int) -> str:
    """Extend u by `steps` on either side, in both phases.

    Before by the first phase's first sample, after by the second phase's last one.
    """
    split = g.node("Reshape", [u, g.integers([0, CHANNELS, 2, -1])])
    first = g.cut(g.cut(split, 0, 1), 0, 1, axis=3)
    last = g.cut(g.cut(split, 1, 2), -1, 2**31 - 1, axis=3)
    ends = []
    for sample in (first, last):
        both = g.node("Concat", [sample, sample], axis=2)
        ends.append(g.node("Concat", [both] * steps, axis=3))
    whole = g.node("Concat", [ends[0], split, ends[1]], axis=3)
    return g.node("Reshape", [whole, g.integers([0, 2 * CHANNELS, -1])])
