"""Normalisation."""

import numpy as np


def weight_norm(v: np.ndarray, g: np.ndarray) -> np.ndarray:
    """A convolution's weight from its direction and its length: ``g v / |v|`` (arXiv 1602.07868).

    v [A, B, K], g [A, 1, 1]; the norm is over all axes but the first. In float64.
    """
    v = np.asarray(v, np.float64)
    return np.asarray(g, np.float64) * v / np.sqrt((v**2).sum(axis=(1, 2), keepdims=True))


def layer_norm(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, epsilon: float = 1e-5
) -> np.ndarray:
    """``(x - mean) / sqrt(variance + epsilon) weight + bias`` over the last axis.

    x [..., C], weight and bias [C]; the variance is the biased one (arXiv 1607.06450).
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + x.dtype.type(epsilon)) * weight + bias


def group_norm(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, groups: int, epsilon: float = 1e-5
) -> np.ndarray:
    """``(x - mean) / sqrt(variance + epsilon) weight + bias`` over neighbouring channels.

    x [..., C, H, W], weight and bias [C]; a mean, and a biased variance, for each group of
    C / groups channels and all their places (arXiv 1803.08494).
    """
    *lead, channels, height, width = x.shape
    grouped = x.reshape(*lead, groups, channels // groups * height * width)
    ones, zeros = np.ones(1, x.dtype), np.zeros(1, x.dtype)
    y = layer_norm(grouped, ones, zeros, epsilon).reshape(x.shape)
    return y * weight[:, np.newaxis, np.newaxis] + bias[:, np.newaxis, np.newaxis]
