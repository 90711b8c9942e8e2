"""Weights in 8 bits: whole numbers from -127 to 127, and a scale for each output channel."""

import math
from collections.abc import Mapping

import numpy as np

from ..errors import WeightsError

_SCALE = "_scale"
_MOST = 127
_LEAST = 64  # numbers a channel: with fewer, the scales would outweigh what is saved


def quantise(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Round the matrices among some tensors to 8 bits, and leave out the others.

    A tensor NAME of shape [channel out, ...] with 64 numbers or more a channel becomes int8 codes
    of its shape, and float32 scales ``NAME_scale`` [channel out], by which a channel's codes are
    multiplied: scale = max |weight| / 127, code = weight / scale, rounded.
    """
    found: dict[str, np.ndarray] = {}
    for name, value in tensors.items():
        if math.prod(value.shape[1:]) >= _LEAST:
            rows = value.reshape(len(value), -1).astype(np.float32)
            scale = np.abs(rows).max(axis=1) / np.float32(_MOST)
            divisor = np.where(scale > 0, scale, np.float32(1))[:, np.newaxis]
            codes = np.clip(np.rint(rows / divisor), -_MOST, _MOST).astype(np.int8)
            found |= {name: codes.reshape(value.shape), name + _SCALE: scale}
    return found


def dequantise(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Multiply int8 tensors by their scales, which are left out, to float32; others stay.

    Raises WeightsError for one without scales, float16 or float32, of its channels.
    """
    found = dict(tensors)
    for name, codes in sorted(tensors.items()):  # a tensor before its scales
        if codes.dtype != np.int8:
            continue
        scale = found.pop(name + _SCALE, None)
        got = "none" if scale is None else f"{scale.dtype} {scale.shape}"
        if (
            scale is None
            or scale.dtype not in (np.float16, np.float32)
            or scale.shape != codes.shape[:1]
        ):
            raise WeightsError(
                f"tensor {name} in int8 must have floating-point scales {name}{_SCALE} of shape "
                f"{codes.shape[:1]}, got {got}"
            )
        columns = scale.astype(np.float32).reshape(*scale.shape, *[1] * (codes.ndim - 1))
        found[name] = codes * columns
    return found
