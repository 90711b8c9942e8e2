"""Check tensors against a network's table of names and shapes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import WeightsError

Shapes = Mapping[str, tuple[int, ...]]


def check_shapes(shapes: Shapes, table: Shapes, network: str) -> None:
    """Raise WeightsError unless names and shapes are those of the table.

    The message names the first wrong tensor and counts the others. network: the table's network,
    as named in the message.
    """
    missing = [name for name in table if name not in shapes]
    extra = [name for name in shapes if name not in table]
    for names, words in (
        (missing, f"missing tensor {{}}, which {network} has"),
        (extra, f"tensor {{}}, which {network} does not have"),
    ):
        if names:
            raise WeightsError(words.format(f"{names[0]}{_more(names)}"))
    wrong = [name for name, shape in table.items() if tuple(shapes[name]) != shape]
    if wrong:
        first, more = wrong[0], _more(wrong)
        raise WeightsError(
            f"tensor {first} must have shape {table[first]}, got {tuple(shapes[first])}{more}"
        )


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def check(tensors: Mapping[str, Any], table: Shapes, network: str) -> dict[str, np.ndarray]:
    """Put the tensors in the table's order. Raises WeightsError unless all are there and finite."""
    check_shapes({name: np.shape(value) for name, value in tensors.items()}, table, network)
    arrays = {name: np.asarray(tensors[name]) for name in table}
    for name, value in arrays.items():
        if value.dtype not in (np.float16, np.float32, np.float64):
            raise WeightsError(f"tensor {name} must be floating point, got {value.dtype}")
        if not np.isfinite(value).all():
            raise WeightsError(f"tensor {name} must be finite, got NaN or infinity")
    return arrays
