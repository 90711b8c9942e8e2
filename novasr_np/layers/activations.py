"""Activations that act on single time steps."""

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


def gelu(x: np.ndarray) -> np.ndarray:
    """``x (1 + erf(x / sqrt(2))) / 2`` (arXiv 1606.08415)."""
    return x * (1 + erf(x * 0.5**0.5)) / 2


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, to within 1e-15, or what the dtype can hold.

    ``erf(x) = (4 / pi) sum_n exp(-(pi n / 24)^2) sin(pi n x / 12) / n``, n = 1, 3, 5 .. 47, for
    |x| <= 6: the Fourier series of a square wave of period 24, smoothed by a Gaussian; its other
    edges are too far away to matter. For x beyond 6 the function is 1. In float64.
    """
    angle = np.clip(x.astype(np.float64), -6, 6) * (np.pi / 12)
    # sin((n + 2) a) = 2 cos(2 a) sin(n a) - sin((n - 2) a)
    sine, turn = np.sin(angle), 2 * np.cos(2 * angle)
    before, total = -sine, np.zeros_like(sine)
    for n in range(1, 48, 2):
        total += 4 / np.pi * np.exp(-((np.pi * n / 24) ** 2)) / n * sine
        sine, before = turn * sine - before, sine
    return total.astype(x.dtype)
