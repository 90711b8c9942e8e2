"""Trees of named tensors, and checks of their values."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import WeightsError


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a tree: {"conv1": {"bias": b}} -> {"conv1.bias": b}."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Nest a flat dict: {"conv1.bias": b} -> {"conv1": {"bias": b}}."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *path, leaf = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[leaf] = value
    return tree


def cast(tree: Any, dtype: Any) -> Any:
    """Copy a tree of dicts and tuples, with every array contiguous and in `dtype`.

    None and integers, which a folded tree may hold beside its arrays, stay as they are.
    """
    if isinstance(tree, Mapping):
        return {name: cast(value, dtype) for name, value in tree.items()}
    if isinstance(tree, tuple):
        values = [cast(value, dtype) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else tuple(values)
    if tree is None or isinstance(tree, int):
        return tree
    return np.ascontiguousarray(tree, dtype)


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
    """Check a network's output, and return it. Raises WeightsError for NaN or infinity."""
    if not np.isfinite(y).all():
        raise WeightsError(f"{network} returned NaN with these weights")
    return y
