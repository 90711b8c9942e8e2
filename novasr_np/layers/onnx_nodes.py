"""The layers as ONNX nodes, for the networks' exports.

Signals at twice the rate are kept as two phases instead of interleaved samples: the filters are
small grouped convolutions from and to the phases, and nothing is transposed. Interpolation has
fixed weights instead of an index, so that it is exact at any length.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import missing_extra
from ..version import __version__

OPSETS = (11, 21)  # the oldest and the latest that are supported


def model(
    name: str,
    network: Callable[["Graph", str], str],
    length: str,
    opset: int,
    half: bool,
    end: str = "Tanh",
    scalars: tuple[str, ...] = (),
    facts: Mapping[str, str] | None = None,
) -> Any:
    """Build an `onnx.ModelProto`: input [batch, 1, time], output [batch, 1, `length`].

    network: adds its nodes after the tensor of the given name, and returns the name of its last
    tensor. half: use float16, for input and output too. end: kind of the node after the network's
    last one. scalars: names of further inputs, int64 numbers. facts: the model's metadata.

    Raises ModuleNotFoundError without the package onnx, ValueError for an unsupported opset.
    """
    try:
        import onnx  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing_extra("needs the package onnx", "onnx") from error
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise ValueError(f"opset must be from {OPSETS[0]} to {OPSETS[1]}, got {opset}")
    dtype = np.float16 if half else np.float32
    graph = Graph(onnx, dtype)
    graph.node(end, [network(graph, "input")], output="output")
    value = onnx.helper.make_tensor_value_info
    proto = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            name,
            [
                value("input", graph.kind, ["batch", 1, "time"]),
                *(value(scalar, onnx.TensorProto.INT64, []) for scalar in scalars),
            ],
            [value("output", graph.kind, ["batch", 1, length])],
            graph.constants,
        ),
        opset_imports=[onnx.helper.make_opsetid("", opset)],
        ir_version=6 if opset < 15 else 8,
        producer_name="novasr-np",
        producer_version=__version__,
    )
    onnx.helper.set_model_props(proto, dict(facts or {}))
    onnx.checker.check_model(proto, full_check=True)
    return proto


class Graph:
    """Graph in construction: nodes and constants, with unique names."""

    def __init__(self, onnx: Any, dtype: type) -> None:
        self._onnx, self._dtype = onnx, dtype
        self.kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))  # of its numbers
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
        dilation: int = 1,
    ) -> str:
        half = weight.shape[-1] // 2 * dilation
        inputs = [x, self.array(weight), *([] if bias is None else [self.array(bias)])]
        return self.node(
            *("Conv", inputs), group=group, pads=list(pads or (half, half)), dilations=[dilation]
        )

    def cut(self, x: str, first: int, last: int, axis: int = 2) -> str:
        """x[.., first : last] in time, or along another axis."""
        return self.node("Slice", [x, *(self.integers([n]) for n in (first, last, axis))])

    def held(self, x: str, before: int, after: int) -> str:
        """x [batch, channel, time] with its end samples held for `before` and `after` steps."""
        return self.node("Pad", [x, self.integers([0, 0, before, 0, 0, after])], mode="edge")

    def interpolate3(self, h: str, channels: int) -> str:
        """Interpolate to three phases for each channel, ends held, and interleave them."""
        kernel = np.array([[1, 2, 0], [0, 3, 0], [0, 2, 1]])[:, None] / 3
        held = self.held(h, 1, 1)
        phases = self.conv(held, np.tile(kernel, (channels, 1, 1)), group=channels, pads=(0, 0))
        split = self.node("Reshape", [phases, self.integers([0, channels, 3, -1])])
        turned = self.node("Transpose", [split], perm=[0, 1, 3, 2])
        return self.node("Reshape", [turned, self.integers([0, channels, -1])])

    def snake_beta(self, u: str, p: dict, epsilon: float) -> str:
        """Apply the snake to two phases [.., 2 channels, time]."""
        a = np.repeat(np.exp(p["alpha"]), 2)[:, None]
        b = np.repeat(np.exp(p["beta"]), 2)[:, None]
        wave = self.node("Sin", [self.node("Mul", [u, self.array(a)])])
        square = self.node("Mul", [wave, wave])
        depth = self.node("Mul", [square, self.array(1 / (b + epsilon / 2))])
        return self.node("Add", [u, depth])

    def downsample2(self, u: str, f: np.ndarray, channels: int, pads: tuple[int, int]) -> str:
        """Filter two phases to one: ``y[n] = sum_k f[k] u[2n + k - 5]``."""
        # The first phase's taps have odd k, the second's even.
        down = np.zeros((2, 7))
        for k in range(12):
            offset, phase = divmod(k - 5, 2)
            down[phase, offset + 3] = f[k]
        return self.conv(u, np.tile(down, (channels, 1, 1)), group=channels, pads=pads)

    def array(self, value: np.ndarray) -> str:
        return self._constant(np.asarray(value, self._dtype))

    def integers(self, value: Any) -> str:
        return self._constant(np.array(value, np.int64))

    def _constant(self, value: np.ndarray) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(self._onnx.numpy_helper.from_array(value, name))
        return name
