"""Numbers as 16-bit floats hold them."""

from typing import Any

import numpy as np


def half(x: Any) -> np.ndarray:
    """Round to float16; float64."""
    return np.asarray(x, np.float16).astype(np.float64)


def bfloat16(x: Any) -> np.ndarray:
    """Round to bfloat16, the upper half of a float32, ties to even; float64."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    bits += 0x7FFF + ((bits >> 16) & 1)
    return (bits & 0xFFFF0000).astype(np.uint32).view(np.float32).astype(np.float64)
