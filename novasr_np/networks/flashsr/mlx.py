"""FlashSR's weights in the format of the port to MLX: 4 or 8 bits, channels last."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import WeightsError
from ...tensors.mapped import Entry, read_mapped

_GROUP = 64  # neighbouring weights that share a scale and a bias
_MODE = "mlx_affine_flat"

Shape = tuple[int, ...]


def read_bundle(
    folder: Path, choose: Callable[[Mapping[str, Shape]], Iterable[str]]
) -> dict[str, np.ndarray]:
    """Read the tensors of config.json and model.safetensors, float32, in the original's layout.

    choose: called with all names and shapes before any tensor is read, returns the names to read,
    and may raise. Raises WeightsError if the two files contradict each other, OSError if one cannot
    be read.
    """
    bits, quantised = _config(folder / "config.json")
    entries, _ = read_mapped(folder / "model.safetensors")
    for name, shape in quantised.items():
        _check_words(name, shape, bits, entries)
    scales = {f"{name}{suffix}" for name in quantised for suffix in (".scales", ".biases")}
    shapes = {}
    for name, entry in entries.items():
        if name in scales:
            continue
        if entry.kind == "U32" and name not in quantised:
            raise WeightsError(f"tensor {name} is quantised, but config.json does not say so")
        shapes[name] = _original(name, quantised.get(name, entry.shape))
    made = {}
    for name in choose(shapes):
        value = entries[name].array()
        if name in quantised:
            scale, bias = (entries[f"{name}{suffix}"].array() for suffix in (".scales", ".biases"))
            value = dequantise(value, scale, bias, bits).reshape(quantised[name])
        made[name] = np.ascontiguousarray(value.transpose(_axes(name, value.ndim)))
    return made


def bits_of(folder: Path) -> int:
    """Bits of a bundle's codes: 4 or 8. Raises as `read_bundle`."""
    return _config(folder / "config.json")[0]


def dequantise(words: np.ndarray, scales: np.ndarray, biases: np.ndarray, bits: int) -> np.ndarray:
    """Dequantise: ``w = scale code + bias``, both shared by 64 neighbours: float32 [O, I].

    words uint32 [O, I bits / 32], with the first code in the lowest bits; scales, biases
    [O, I / 64].
    """
    places = np.arange(0, 32, bits, dtype=np.uint32)
    codes = words[..., np.newaxis] >> places & np.uint32((1 << bits) - 1)
    codes = codes.reshape(*scales.shape, _GROUP).astype(np.float32)
    return (codes * scales[..., np.newaxis] + biases[..., np.newaxis]).reshape(len(words), -1)


def _config(path: Path) -> tuple[int, dict[str, Shape]]:
    """Read the bits of a code, and the quantised tensors' shapes, channels last."""
    try:
        config: Any = json.loads(path.read_bytes())
        said, shapes = config["quantization"], config["quantized_shapes"]
        mode, bits, group = said["mode"], said["bits"], said["group_size"]
        quantised = {name: tuple(shape) for name, shape in shapes.items()}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path.name} does not describe a bundle: {error!r}") from error
    if (mode, group) != (_MODE, _GROUP) or bits not in (4, 8):
        raise WeightsError(
            f"weights must be quantised as {_MODE!r}, 4 or 8 bits in groups of {_GROUP}, got "
            f"{mode!r}, {bits} bits in groups of {group}"
        )
    for name, shape in quantised.items():
        if len(shape) < 2 or not all(type(n) is int and n > 0 for n in shape):
            raise WeightsError(f"{path.name} has an invalid shape for {name}: {shape}")
    return bits, quantised


def _check_words(name: str, shape: Shape, bits: int, entries: Mapping[str, Entry]) -> None:
    rows, columns = shape[0], math.prod(shape[1:])
    wanted = {
        name: (rows, columns * bits // 32),
        f"{name}.scales": (rows, columns // _GROUP),
        f"{name}.biases": (rows, columns // _GROUP),
    }
    for part, size in wanted.items():
        if part not in entries:
            raise WeightsError(f"model.safetensors lacks the tensor {part}")
        if columns % _GROUP or entries[part].shape != size:
            raise WeightsError(
                f"tensor {part} must have shape {size}, {bits} bits, got {entries[part].shape}"
            )
        if (entries[part].kind == "U32") != (part == name):
            raise WeightsError(f"tensor {part} is {entries[part].kind}")


def _axes(name: str, dimensions: int) -> tuple[int, ...]:
    """Axes that transpose channels last (for `ups`, [out, tap, in]) to the original's layout."""
    if dimensions < 3 or name.endswith(".filter"):
        return tuple(range(dimensions))
    if dimensions == 4:
        return (0, 3, 1, 2)
    return (2, 0, 1) if name.startswith("voc.ups.") else (0, 2, 1)


def _original(name: str, shape: Shape) -> Shape:
    return tuple(shape[axis] for axis in _axes(name, len(shape)))
