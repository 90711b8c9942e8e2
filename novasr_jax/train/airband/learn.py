"""airband's initial weights, the loss, and its gradient."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from novasr_np.networks.airband.spec import (
    BIN,
    FIRST,
    OUTPUT_OFFSET,
    OUTPUT_SCALE,
    SAMPLE_RATE_OUT,
    TENSORS,
    WIDTHS,
    Variant,
)
from novasr_np.networks.airband.spec import LOOK_AHEAD as AHEAD
from novasr_np.tensors import nest

from ...layers.conv import pad_time
from ...networks.airband.model import hidden, result
from ..state import TrainingPlan, schedule
from .crops import Batch, Held, pairs
from .data import Draw

# Frames over which power is averaged: the weight of the error's root mean square over the bands,
# and the error below which it counts by its square, in log10 of power. LSD looks at 43 ms and
# ViSQOL at 80, not at the 20 of a frame.
_ERRORS = ((1, 0.6, 0.3), (4, 0.5, 0.1), (16, 0.3, 0.1))
_MEAN = 0.3  # weight of the mean error of each band over a crop
_LEVEL = 1.0  # weight of the error of its mean power, which loud frames decide
_SILENT = 1e-7  # power that is none, for these
_LIKENESS = 1.0  # weight of `_unlikeness`

# Likeness is judged as ViSQOL judges it: 80 ms every 20 ms, in bands of 1.3 on the ERB-rate scale.
_ERB_BANDS = 32  # from 50 Hz to 24 kHz
_ERB_FRAMES, _ERB_HOP = 16, 4
_ERB_LEAST = 2.3e-4  # power
_SIDE, _CORNER, _CENTRE = 0.084, 0.011, 0.62
_EVEN = 0.05  # of a patch's variance; below this likeness fades


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


def lifted(
    trained: dict[str, Any], hertz: Sequence[float], decibels: Sequence[float]
) -> dict[str, Any]:
    """Raise the levels that are predicted, by dB interpolated between frequencies in Hz.

    For voices that are not heard while learning, whose highs come out lower than those that are.
    """
    widths = np.array(WIDTHS)
    middles = BIN * (FIRST + np.cumsum(widths) - widths / 2)
    more = np.interp(middles, hertz, decibels) / 10 / OUTPUT_SCALE
    return trained | {"conv_out.bias": trained["conv_out.bias"] + np.float32(more)}


def make_gradient(variant: Variant) -> Callable[..., tuple[jax.Array, dict]]:
    """Make (trained, draw, held) -> the loss, and its gradient."""

    @jax.jit
    def of_pairs(trained: dict[str, Any], batch: Batch) -> tuple[jax.Array, dict]:
        return jax.value_and_grad(lambda t: loss(predicted(variant, nest(t), batch), batch))(
            trained
        )

    def gradient(trained: dict[str, Any], draw: Draw, held: Held) -> tuple[jax.Array, dict]:
        return of_pairs(trained, pairs(held, draw))

    return gradient


def predicted(variant: Variant, params: dict[str, Any], batch: Batch) -> jax.Array:
    """Predict log10 of the bands' power, [B, F, 56]."""
    h = result(hidden(params, batch.seen, batch.share, variant, pad_time))
    return OUTPUT_SCALE * h + OUTPUT_OFFSET


def loss(level: jax.Array, batch: Batch) -> jax.Array:
    """Distance of log10 powers [B, F, 56] from the truth's, in the bands that count.

    Of frames, and of the mean power of 4 and of 16, the root mean square error over the bands; of
    each band the mean error over the crop, and the error of its mean power; and `_unlikeness`.
    """
    total = jnp.maximum(batch.counts.sum(axis=1, keepdims=True), 1e-3)
    share = (batch.counts / total)[:, None]  # [B, 1, 56]
    powers = 10**level, 10**batch.truth
    distance = jnp.float32(0)
    for frames, weight, soft in _ERRORS:
        a, b = (jnp.log10(_mean_of(p, frames) + _SILENT / 100) for p in powers)
        error = a - b if frames > 1 else level - batch.truth
        distance += weight * jnp.sqrt((error**2 * share).sum(axis=2) + soft).mean()
    drift = jnp.abs((level - batch.truth).mean(axis=1, keepdims=True))
    a, b = (jnp.log10(p.mean(axis=1, keepdims=True) + _SILENT) for p in powers)
    distance += ((_MEAN * drift + _LEVEL * jnp.abs(a - b)) * share).sum(axis=2).mean()
    return distance + _LIKENESS * _unlikeness(*powers, batch.counts)


def _mean_of(power: jax.Array, frames: int) -> jax.Array:
    """Mean over groups of frames: [B, F, n] -> [B, F / frames, n]."""
    rows, count, bands = power.shape
    whole = power[:, : count // frames * frames]
    return whole.reshape(rows, -1, frames, bands).mean(axis=2)


def _unlikeness(level: jax.Array, truth: jax.Array, counts: jax.Array) -> jax.Array:
    """How unlike the rises and falls of two powers [B, F, 56] are: 1 less their correlation.

    Over patches of 3 x 3 bands and times, whatever the size of the rises and falls. Bands that do
    not count are the truth's.
    """
    heard = counts[:, None] > 0
    erb = jnp.asarray(_erb(), level.dtype)
    a, b = (
        5 * jnp.log10(_windows(p @ erb) + _ERB_LEAST)
        for p in (jnp.where(heard, level, truth), truth)
    )
    count = (counts > 0).astype(level.dtype) @ erb > 0  # [B, bands]
    products = _patches(jnp.stack([a, b, a * a, b * b, a * b]))
    mean_a, mean_b, aa, bb, ab = products
    deviations = jnp.sqrt(
        jnp.maximum(aa - mean_a**2, 0) * jnp.maximum(bb - mean_b**2, 0) + _EVEN**2 * 1e-2
    )
    alike = (ab - mean_a * mean_b + _EVEN) / (deviations + _EVEN)
    weight = count[:, None, 1:-1].astype(level.dtype)
    most = jnp.maximum(weight.sum(axis=2), 1)
    return (((1 - alike) * weight).sum(axis=2) / most).mean()


def _windows(power: jax.Array) -> jax.Array:
    """Mean of 16 frames, every 4."""
    quarters = _mean_of(power, _ERB_HOP)
    count = quarters.shape[1] - _ERB_FRAMES // _ERB_HOP + 1
    parts = [quarters[:, i : i + count] for i in range(_ERB_FRAMES // _ERB_HOP)]
    return sum(parts, jnp.float32(0)) / len(parts)


def _patches(x: jax.Array) -> jax.Array:
    """Weighted mean over 3 x 3 of the last two axes."""
    weights = np.array(
        [[_CORNER, _SIDE, _CORNER], [_SIDE, _CENTRE, _SIDE], [_CORNER, _SIDE, _CORNER]]
    )
    weights /= weights.sum()
    m, n = x.shape[-2] - 2, x.shape[-1] - 2
    return sum(weights[i, j] * x[..., i : i + m, j : j + n] for i in range(3) for j in range(3))


def _erb() -> np.ndarray:
    """Bins that each band has in bands even on the ERB-rate scale from 2 kHz on, [56, bands]."""

    def rate(hertz: Any) -> Any:
        return 21.4 * np.log10(1 + 0.00437 * np.asarray(hertz))

    ends = np.linspace(rate(50), rate(SAMPLE_RATE_OUT / 2), _ERB_BANDS + 1)
    hertz = (10 ** (ends / 21.4) - 1) / 0.00437
    hertz = hertz[hertz >= BIN * FIRST]
    tops = BIN * (FIRST + np.cumsum(WIDTHS))
    lows = tops - BIN * np.array(WIDTHS)
    over = np.minimum(tops[:, None], hertz[1:]) - np.maximum(lows[:, None], hertz[:-1])
    return np.maximum(over, 0) / BIN


def optimiser(plan: TrainingPlan) -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(schedule(plan), b1=0.9, b2=0.99, weight_decay=1e-4),
    )
