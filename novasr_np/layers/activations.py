"""Activations that look at one step of time only."""

import numpy as np


def prelu(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """``max(x, 0) + slope[c] min(x, 0)`` (arXiv 1502.01852): x [..., C, T], slope [C]."""
    return np.maximum(x, 0) + slope[:, np.newaxis] * np.minimum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """``1 / (1 + exp(-x))``, by a hyperbolic tangent, which does not overflow."""
    return (np.tanh(x / 2) + 1) / 2


def silu(x: np.ndarray) -> np.ndarray:
    """``x sigmoid(x)`` (arXiv 1606.08415)."""
    return x * sigmoid(x)


def snake(x: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """``x + sin(a x)^2 / a`` (arXiv 2006.08195): x [..., C, T], alpha [C]."""
    a = alpha[:, np.newaxis]
    return x + np.sin(a * x) ** 2 / a


def elu(x: np.ndarray) -> np.ndarray:
    """x where it is positive, else ``exp(x) - 1`` (arXiv 1511.07289)."""
    return np.maximum(x, 0) + np.expm1(np.minimum(x, 0))
