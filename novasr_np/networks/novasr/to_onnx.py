"""NovaSR as an ONNX model, for other runtimes."""

from typing import Any

import numpy as np

from ...layers.onnx_nodes import OPSETS, Graph, model
from ...tensors import cast
from ..record import Params
from .spec import CHANNELS, EDGE_LOSS, UPSAMPLING


def export(params: Params, *, opset: int = OPSETS[1], half: bool = False) -> Any:
    """Build an `onnx.ModelProto`: input [batch, 1, time] at 16 kHz, output [batch, 1, 3 time - 4].

    half: use float16, for input and output too. Raises as `layers.onnx_nodes.model`.
    """
    p = cast(params, np.float64)
    length = f"{UPSAMPLING} * time - {EDGE_LOSS}"
    return model("NovaSR", lambda graph, x: _network(graph, p, x), length, opset, half)


def _network(g: Graph, p: dict, x: str) -> str:
    h = g.conv(x, p["conv_pre"]["weight"], p["conv_pre"]["bias"])
    skip = h = g.interpolate3(h, CHANNELS)
    for activation, conv in (("activation0", "conv1"), ("activation1", "conv2")):
        h = _activation(g, h, p[activation])
        h = g.conv(h, p[conv]["weight"], p[conv]["bias"])
    h = g.node("Add", [h, g.cut(skip, 0, -EDGE_LOSS)])
    return g.conv(h, p["conv_post"]["weight"])


def _activation(g: Graph, h: str, p: dict) -> str:
    """Double the rate as two phases [.., 2 channels, time], apply the snake, and halve it again."""
    w = 2 * p["upsample"]["filter"]
    up = np.tile(np.stack([w[0::2], w[1::2]])[:, None], (CHANNELS, 1, 1))
    u = g.conv(h, up, group=CHANNELS, pads=(2, 3))
    u = g.cut(u, 1, -1)  # of each phase, so two samples of the signal
    u = g.snake_beta(u, p["snakebeta"], 1e-9)
    return g.downsample2(u, p["downsample"]["filter"], CHANNELS, pads=(3, 3))
