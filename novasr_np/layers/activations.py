"""Activations that look at one step of time only."""

import numpy as np


def prelu(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """``max(x, 0) + slope[c] min(x, 0)`` (arXiv 1502.01852): x [..., C, T], slope [C]."""
    return np.maximum(x, 0) + slope[:, np.newaxis] * np.minimum(x, 0)


def elu(x: np.ndarray) -> np.ndarray:
    """x where it is positive, else ``exp(x) - 1`` (arXiv 1511.07289)."""
    return np.maximum(x, 0) + np.expm1(np.minimum(x, 0))
