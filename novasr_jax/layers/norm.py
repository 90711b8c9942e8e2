"""Normalisation."""

from typing import Any

import jax
import jax.numpy as jnp


def layer_norm(x: Any, weight: Any, bias: Any, epsilon: float = 1e-5) -> jax.Array:
    """``(x - mean) / sqrt(variance + epsilon) weight + bias`` over the last axis."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / jnp.sqrt(variance + epsilon) * weight + bias


def group_norm(x: Any, weight: Any, bias: Any, groups: int, epsilon: float = 1e-5) -> jax.Array:
    """``(x - mean) / sqrt(variance + epsilon) weight + bias`` over neighbouring channels.

    x [..., H, W, C], weight and bias [C]; a mean, and a biased variance, for each group of
    C / groups channels and all their places (arXiv 1803.08494).
    """

    def mean(x: Any) -> jax.Array:
        each = x.mean(axis=(-3, -2))
        grouped = each.reshape(*each.shape[:-1], groups, -1).mean(axis=-1)
        return jnp.repeat(grouped, each.shape[-1] // groups, axis=-1)[..., None, None, :]

    centred = x - mean(x)
    return centred / jnp.sqrt(mean(centred**2) + epsilon) * weight + bias
