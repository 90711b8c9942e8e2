"""Normalisation."""

from typing import Any

import jax
import jax.numpy as jnp


def layer_norm(x: Any, weight: Any, bias: Any, epsilon: float = 1e-5) -> jax.Array:
    """``(x - mean) / sqrt(variance + epsilon) weight + bias`` over the last axis."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / jnp.sqrt(variance + epsilon) * weight + bias
