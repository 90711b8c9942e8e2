"""Normalisation."""

from collections.abc import Callable

import numpy as np

from ..threads import each


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
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    groups: int,
    epsilon: float = 1e-5,
    then: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """``(x - mean) / sqrt(variance + epsilon) weight + bias`` over neighbouring channels.

    x [..., C, H, W], weight and bias [C]; a mean, and a biased variance, for each group of
    C / groups channels and all their pixels (arXiv 1803.08494), summed in float64. then: an
    activation, applied to each group while a cache still holds it.
    """
    grouped = x.reshape(-1, groups, weight.size // groups, x.shape[-2] * x.shape[-1])
    weight, bias = (part.reshape(groups, -1, 1) for part in (weight, bias))
    y = np.empty_like(grouped)

    def group(at: tuple[int, ...]) -> None:
        part = grouped[at] - grouped[at].mean(dtype=np.float64).astype(x.dtype)
        deviation = np.sqrt((part**2).mean(dtype=np.float64) + epsilon).astype(x.dtype)
        part *= weight[at[-1]] / deviation
        part += bias[at[-1]]
        y[at] = then(part) if then else part

    each(group, np.ndindex(grouped.shape[:2]))
    return y.reshape(x.shape)
