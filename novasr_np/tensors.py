"""Named tensors: as trees, against a network's table, and in safetensors files."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import WeightsError


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"conv1": {"bias": b}} -> {"conv1.bias": b}."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """{"conv1.bias": b} -> {"conv1": {"bias": b}}."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *path, leaf = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[leaf] = value
    return tree


def cast(tree: Any, dtype: Any) -> Any:
    """The same tree, of dicts and tuples, with every array contiguous and in `dtype`."""
    if isinstance(tree, Mapping):
        return {name: cast(value, dtype) for name, value in tree.items()}
    if isinstance(tree, tuple):
        values = [cast(value, dtype) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else tuple(values)
    return np.ascontiguousarray(tree, dtype)


def check_shapes(
    shapes: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], network: str
) -> None:
    """Raise WeightsError unless the names and shapes are those that the network has."""
    if missing := wanted.keys() - shapes.keys():
        raise WeightsError(f"missing tensors: {', '.join(sorted(missing))}")
    if extra := shapes.keys() - wanted.keys():
        raise WeightsError(f"tensors that {network} does not have: {', '.join(sorted(extra))}")
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise WeightsError(f"tensor {name} has shape {shapes[name]}; expected {shape}")


def check(
    tensors: Mapping[str, Any], table: Mapping[str, tuple[int, ...]], network: str
) -> dict[str, np.ndarray]:
    """The tensors in the table's order. Raises WeightsError unless all are there and finite."""
    check_shapes({name: np.shape(value) for name, value in tensors.items()}, table, network)
    arrays = {name: np.asarray(tensors[name]) for name in table}
    for name, value in arrays.items():
        if value.dtype not in (np.float16, np.float32, np.float64):
            raise WeightsError(f"tensor {name} is {value.dtype}; expected floating point")
        if not np.isfinite(value).all():
            raise WeightsError(f"tensor {name} holds NaN or infinity")
    return arrays


def check_finite(folded: Any, network: str, dtype: Any) -> None:
    """Raise WeightsError if a tree of dicts and tuples of arrays holds NaN or infinity."""
    if isinstance(folded, Mapping):
        folded = tuple(folded.values())
    if isinstance(folded, tuple):
        for part in folded:
            check_finite(part, network, dtype)
    elif isinstance(folded, np.ndarray) and not np.isfinite(folded).all():
        raise WeightsError(
            f"weights of {network}: their exponentials or products are too large for "
            f"{np.dtype(dtype)}"
        )


def check_output(y: np.ndarray, network: str) -> np.ndarray:
    """What a network gave, as it is. Raises WeightsError if a sample is NaN or infinite."""
    if not np.isfinite(y).all():
        raise WeightsError(f"{network} returned NaN with these weights")
    return y


def read_safetensors(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors and the metadata in a file's bytes. Raises WeightsError."""
    import safetensors.numpy  # noqa: PLC0415

    try:
        tensors = safetensors.numpy.load(data)
    except KeyError as error:
        raise WeightsError(f"a tensor is of a type that numpy does not have: {error}") from error
    except safetensors.SafetensorError as error:
        raise WeightsError(f"neither a checkpoint zip nor safetensors: {error}") from error
    size = int.from_bytes(data[:8], "little")
    return tensors, json.loads(data[8 : 8 + size]).get("__metadata__", {})


def write_safetensors(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """A file's bytes; equal tensors and metadata give equal bytes."""
    import safetensors.numpy  # noqa: PLC0415

    data = safetensors.numpy.save(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()}, dict(metadata)
    )
    # The library writes metadata in random order (safetensors issue 584). Put in order, padded
    # to whole 8 bytes as the format wants it, equal weights have equal sha256.
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]
