"""Multiply out weight normalisation, which the originals' convolutions have."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import WeightsError


def unnormed(tensors: Mapping[str, np.ndarray], dtype: Any = np.float64) -> dict[str, np.ndarray]:
    """Replace each pair ``NAME.weight_v``, ``NAME.weight_g`` of the tensors by ``NAME.weight``.

    ``weight = g v / |v|`` (arXiv 1602.07868), v [A, B, K], g [A, 1, 1], the norm over all axes but
    the first: the output channels, or the input channels in a transposed convolution. Computed in
    float64, then cast to `dtype`; other tensors stay as they are. Raises WeightsError if |v| is 0.
    """
    made = {}
    for name, value in tensors.items():
        if name.endswith(".weight_v"):
            g, v = np.float64(tensors[f"{name[:-1]}g"]), np.float64(value)
            length = np.sqrt((v**2).sum(axis=(1, 2), keepdims=True))
            if not length.all():
                raise WeightsError(f"{name} has a direction of length 0")
            made[name.removesuffix("_v")] = (g * v / length).astype(dtype, copy=False)
        elif not name.endswith(".weight_g"):
            made[name] = value
    return made
