"""The input features of frames, from their power and where the sound ends."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from novasr_np.networks.airband.spec import (
    BANDS_IN,
    BIN,
    BINS,
    FEATURE_OFFSET,
    FEATURE_SCALE,
    FLOOR,
    LEAST_SHARE,
    LOWEST,
    MEL_BANDS,
    MEL_TOP,
)


def features(power: jax.Array, edge: Any) -> tuple[jax.Array, jax.Array]:
    """Features [..., frames, 73] and `share` [..., 73] of power [..., frames, bins].

    edge [...]: the first bin that is not the sound's own, an integer, traced or not; so one program
    serves all. As `novasr_np.networks.airband.features`.
    """
    edge, power = jnp.asarray(edge), power[..., :BINS]
    weight = bands()[:, : power.shape[-1]].astype(power.dtype)
    own = jnp.arange(power.shape[-1]) < edge[..., None]  # [..., bins]
    below = (weight * own[..., None, :]).sum(axis=-1)  # [..., 73]
    share = below / bands().sum(axis=1).astype(power.dtype)
    share = jnp.where(share < LEAST_SHARE, 0, share)
    heard = share > 0
    power = jnp.where(own[..., None, :], power, 0)
    total = jnp.dot(power, weight.T, precision=jax.lax.Precision.HIGHEST)
    mean = total / jnp.where(heard, below, 1)[..., None, :]
    level = jnp.log10(jnp.maximum(mean, FLOOR))
    # The bands that are heard are the first of them; the others hold the mean of their last two.
    last = heard.sum(axis=-1)[..., None, None] - np.array([2, 1])
    last = jnp.broadcast_to(last, (*level.shape[:-1], 2))
    held = jnp.take_along_axis(level, last, axis=-1).mean(axis=-1, keepdims=True)
    level = jnp.where(heard[..., None, :], level, held)
    return (level + FEATURE_OFFSET) * FEATURE_SCALE, share


@cache
def bands() -> np.ndarray:
    """Triangles over Hz from the middle of the band below to that of the band above, [73, 480]."""
    first, last = (2595 * np.log10(1 + hertz / 700) for hertz in (LOWEST, MEL_TOP))
    middles = 700 * (10 ** (np.linspace(first, last, MEL_BANDS) / 2595) - 1)
    middles = np.append(middles, MEL_TOP + 500 * np.arange(1, BANDS_IN - MEL_BANDS + 1))
    steps = np.diff(middles)
    points = np.concatenate([[middles[0] - steps[0]], middles, [middles[-1] + steps[-1]]])
    hertz = BIN * np.arange(BINS)
    return np.stack([np.interp(hertz, points[i : i + 3], (0, 1, 0)) for i in range(BANDS_IN)])
