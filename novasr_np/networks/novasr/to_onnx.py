"""NovaSR as an ONNX model, for other runtimes.

Twice the rate is kept as two phases instead of interleaved samples: the filters are small grouped
convolutions from and to them, and nothing is transposed. Interpolation is done by fixed weights,
not by an index, so that it is exact at any length.
"""

from typing import Any

import numpy as np

from ...errors import missing_extra
from ...tensors import cast
from ...version import __version__
from ..record import Params
from .spec import CHANNELS, EDGE_LOSS, UPSAMPLING

OPSETS = (11, 21)  # the oldest and the latest that are offered


def export(params: Params, *, opset: int = OPSETS[1], half: bool = False) -> Any:
    """An `onnx.ModelProto`: input [batch, 1, time] at 16 kHz, output [batch, 1, 3 time - 4].

    half: in float16, input and output too. Raises ModuleNotFoundError without the package onnx,
    ValueError for an opset that is not offered.
    """
    try:
        import onnx  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing_extra("needs the package onnx", "onnx") from error
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise ValueError(f"opset must be from {OPSETS[0]} to {OPSETS[1]}, got {opset}")
    dtype = np.float16 if half else np.float32
    graph = _Graph(onnx, dtype)
    output = _network(graph, cast(params, np.float64), "input")
    graph.node("Tanh", [output], output="output")
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    value = onnx.helper.make_tensor_value_info
    proto = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "NovaSR",
            [value("input", kind, ["batch", 1, "time"])],
            [value("output", kind, ["batch", 1, f"{UPSAMPLING} * time - {EDGE_LOSS}"])],
            graph.constants,
        ),
        opset_imports=[onnx.helper.make_opsetid("", opset)],
        ir_version=6 if opset < 15 else 8,
        producer_name="novasr-np",
        producer_version=__version__,
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _network(g: "_Graph", p: dict, x: str) -> str:
    h = g.conv(x, p["conv_pre"]["weight"], p["conv_pre"]["bias"])
    skip = h = _interpolate3(g, h)
    for activation, conv in (("activation0", "conv1"), ("activation1", "conv2")):
        h = _activation(g, h, p[activation])
        h = g.conv(h, p[conv]["weight"], p[conv]["bias"])
    h = g.node("Add", [h, g.cut(skip, 0, -EDGE_LOSS)])
    return g.conv(h, p["conv_post"]["weight"])


def _interpolate3(g: "_Graph", h: str) -> str:
    """Three phases for each channel, held at the ends; then one after the other."""
    kernel = np.array([[1, 2, 0], [0, 3, 0], [0, 2, 1]])[:, None] / 3
    held = g.node("Pad", [h, g.integers([0, 0, 1, 0, 0, 1])], mode="edge")
    phases = g.conv(held, np.tile(kernel, (CHANNELS, 1, 1)), group=CHANNELS, pads=(0, 0))
    split = g.node("Reshape", [phases, g.integers([0, CHANNELS, UPSAMPLING, -1])])
    turned = g.node("Transpose", [split], perm=[0, 1, 3, 2])
    return g.node("Reshape", [turned, g.integers([0, CHANNELS, -1])])


def _activation(g: "_Graph", h: str, p: dict) -> str:
    """Twice the rate as two phases [.., 2 channels, time], snake, and back to one."""
    w, f = 2 * p["upsample"]["filter"], p["downsample"]["filter"]
    up = np.tile(np.stack([w[0::2], w[1::2]])[:, None], (CHANNELS, 1, 1))
    u = g.conv(h, up, group=CHANNELS, pads=(2, 3))
    u = g.cut(u, 1, -1)  # of each phase, so two samples of the signal
    a = np.repeat(np.exp(p["snakebeta"]["alpha"]), 2)[:, None]
    b = np.repeat(np.exp(p["snakebeta"]["beta"]), 2)[:, None]
    wave = g.node("Sin", [g.node("Mul", [u, g.array(a)])])
    depth = g.node("Mul", [g.node("Mul", [wave, wave]), g.array(1 / (b + 0.5e-9))])
    u = g.node("Add", [u, depth])
    # y[n] = sum_k f[k] u[2n + k - 5]: the first phase's taps have odd k, the second's even.
    down = np.zeros((2, 7))
    for k in range(12):
        offset, phase = divmod(k - 5, 2)
        down[phase, offset + 3] = f[k]
    return g.conv(u, np.tile(down, (CHANNELS, 1, 1)), group=CHANNELS, pads=(3, 3))


class _Graph:
    """Nodes and constants as they come, with names of their own."""

    def __init__(self, onnx: Any, dtype: type) -> None:
        self._onnx, self._dtype = onnx, dtype
        self.nodes: list = []
        self.constants: list = []

    def node(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        output = output or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def conv(
        self,
        x: str,
        weight: np.ndarray,
        bias: np.ndarray | None = None,
        group: int = 1,
        pads: tuple[int, int] | None = None,
    ) -> str:
        half = weight.shape[-1] // 2
        inputs = [x, self.array(weight), *([] if bias is None else [self.array(bias)])]
        return self.node("Conv", inputs, group=group, pads=list(pads or (half, half)))

    def cut(self, x: str, first: int, last: int) -> str:
        """x[.., first : last] in time."""
        return self.node("Slice", [x, *(self.integers([n]) for n in (first, last, 2))])

    def array(self, value: np.ndarray) -> str:
        return self._constant(np.asarray(value, self._dtype))

    def integers(self, value: list[int]) -> str:
        return self._constant(np.array(value, np.int64))

    def _constant(self, value: np.ndarray) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(self._onnx.numpy_helper.from_array(value, name))
        return name
