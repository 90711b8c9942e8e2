"""Normalisation."""

import numpy as np


def layer_norm(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, epsilon: float = 1e-5
) -> np.ndarray:
    """``(x - mean) / sqrt(variance + epsilon) weight + bias`` over the last axis.

    x [..., C], weight and bias [C]; the variance is the biased one (arXiv 1607.06450).
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + x.dtype.type(epsilon)) * weight + bias
