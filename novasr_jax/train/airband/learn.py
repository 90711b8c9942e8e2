"""airband's initial weights, the loss, and its gradient."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from novasr_np.networks.airband.spec import LOOK_AHEAD as AHEAD
from novasr_np.networks.airband.spec import (
    OUTPUT_OFFSET,
    OUTPUT_SCALE,
    TENSORS,
    Variant,
)
from novasr_np.tensors import nest

from ...layers.conv import pad_time
from ...networks.airband.model import hidden, result
from ..state import Plan, schedule
from .data import Batch

# Weights of the parts of the loss.
_SOFT = 0.3  # below its root, an error of a frame (log10 of power) counts by its square
_MEAN = 0.3  # the mean error of each band over a crop
_LEVEL = 0.3  # the error of its mean power, which loud frames decide
_SILENT = 1e-7  # power that is none, for these


def initial(seed: int) -> dict[str, jax.Array]:
    """Random weights: uniform within 1 / sqrt(fan in), as torch's convolutions begin; the slopes of
    the PReLUs 1/4, as in their paper.
    """
    rng = np.random.default_rng(seed)
    trained = {}
    for name, shape in TENSORS.items():
        if name.endswith("slope"):
            trained[name] = jnp.full(shape, 0.25, jnp.float32)
        else:
            weights = TENSORS[f"{name.rsplit('.', 1)[0]}.weight"]
            bound = 1 / np.sqrt(np.prod(weights[1:]))
            trained[name] = jnp.asarray(rng.uniform(-bound, bound, shape), jnp.float32)
    return trained


def tree(variant: Variant, trained: dict[str, Any]) -> dict[str, Any]:
    """Make the tree of weights, as `load_weights` returns it."""
    fixed = {AHEAD: np.array(variant.ahead, np.float32)}
    return nest({name: trained.get(name, fixed.get(name)) for name in variant.tensors})


def gradient(variant: Variant, trained: dict[str, Any], batch: Batch) -> tuple[jax.Array, dict]:
    """Compute the loss, and its gradient."""
    return jax.value_and_grad(lambda t: loss(predicted(variant, nest(t), batch.seen), batch))(
        trained
    )


def predicted(variant: Variant, params: dict[str, Any], seen: Any) -> jax.Array:
    """Predict log10 of the bands' power [B, frames, 32] from features [B, frames, 40]."""
    return OUTPUT_SCALE * result(hidden(params, seen, variant, pad_time)) + OUTPUT_OFFSET


def loss(level: jax.Array, batch: Batch) -> jax.Array:
    """Distance of log10 powers [B, frames, 32] from the truth's, in the bands that it has.

    The mean over frames of ``sqrt(mean over bands of the squared error + 0.3)``, and of each band
    the mean error over the crop and the error of its mean power.
    """
    share = (batch.counts / batch.counts.sum(axis=1, keepdims=True))[:, None]  # [B, 1, 32]
    error = level - batch.truth
    frames = jnp.sqrt((error**2 * share).sum(axis=2) + _SOFT).mean()
    drift = jnp.abs(error.mean(axis=1, keepdims=True))
    powers = [
        jnp.log10((10**x).mean(axis=1, keepdims=True) + _SILENT) for x in (level, batch.truth)
    ]
    loud = jnp.abs(powers[0] - powers[1])
    return frames + ((_MEAN * drift + _LEVEL * loud) * share).sum(axis=2).mean()


def optimiser(plan: Plan) -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(schedule(plan), b1=0.9, b2=0.99, weight_decay=1e-4),
    )
