"""NovaSR's initial weights, and the gradient of the loss."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from novasr_np.dsp.sinc import kaiser, kaiser_beta, windowed_sinc
from novasr_np.networks.novasr.spec import CONTEXT, TENSORS
from novasr_np.tensors import nest

from ...networks.novasr import fast
from ...networks.novasr.model import forward
from ..state import TrainingPlan, schedule
from . import gradients
from .data import Batch
from .losses import LossWeights, loss

_WEIGHTS = LossWeights()


def initial(seed: int) -> dict[str, jax.Array]:
    """Random weights: uniform within 1 / sqrt(fan in), as torch's convolutions begin."""
    rng = np.random.default_rng(seed)
    trained = {}
    for name, (_, shape) in TENSORS.items():
        kind = name.split(".")[-1]
        if kind == "weight":
            bound = 1 / np.sqrt(np.prod(shape[1:]))
            trained[name] = jnp.asarray(rng.uniform(-bound, bound, shape), jnp.float32)
        elif kind in ("bias", "alpha", "beta"):
            trained[name] = jnp.zeros(shape, jnp.float32)
    # Levels of spectra cannot distinguish a wave from its negative: begin with the right sign.
    if np.sum(_fold(trained).skip) < 0:
        trained["conv_post.weight"] = -trained["conv_post.weight"]
    return trained


def filter_taps() -> np.ndarray:
    """The fixed filter of both activations, [12]: a half-band sinc under a Kaiser window.

    BigVGAN's design (arXiv 2206.04658): cutoff 1/4 of the rate, transition 0.6 of it, 12 taps,
    the window's beta by Kaiser's rule for the attenuation that these allow.
    """
    attenuation = 2.285 * (12 // 2 - 1) * np.pi * 4 * 0.3 + 7.95  # dB
    n = np.arange(12) - 5.5
    taps = windowed_sinc(n / 2, kaiser(n / 5.5, kaiser_beta(attenuation)))
    return taps / taps.sum()


def tree(trained: dict[str, Any]) -> dict[str, Any]:
    """Make the tree of weights, as `load_weights` returns it, filters included."""
    taps = np.float32(np.float16(filter_taps()))  # as they are stored
    return nest({name: trained.get(name, taps) for name in TENSORS})


def gradient(
    trained: dict[str, Any], batch: Batch, held: None = None
) -> tuple[jax.Array, dict[str, Any]]:
    """Compute the loss, and its gradient."""
    prepared = _fold(trained)
    y, pullback = gradients.interior(prepared, filters(), batch.x)
    value, dy = _loss(y, batch.truth, batch.edge, _WEIGHTS)
    return value, _unfold(trained, pullback(dy))


def filters() -> gradients.Filters:
    """Make the fixed filters for `gradients.interior`."""
    taps = np.asarray(np.float16(filter_taps()), np.float64)
    up, down, through = fast.filter_taps(np, taps, taps)
    return gradients.Filters(*(tuple(t.tolist()) for t in (down, up, down, through)))


def optimiser(plan: TrainingPlan) -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(20.0),
        optax.adamw(schedule(plan), b1=0.8, b2=0.99, weight_decay=1e-4),
    )


@jax.jit
def _fold(trained):
    return fast.fold_with(jnp, tree(trained))


@partial(jax.jit, static_argnames="weights")
def _loss(y, truth, edge, weights):
    return jax.value_and_grad(loss)(y, truth, edge, weights)


def _silence(trained):
    """Level of the network's output for silence.

    `interior` has no ends of a signal; there the layers see zeros beside their biases, which causes
    a click.
    """
    return jnp.sqrt((forward(tree(trained), jnp.zeros((1, 2 * CONTEXT))) ** 2).mean() + 1e-12)


@jax.jit
def _unfold(trained, of_folded):
    """Convert the gradient of the folded weights to that of the weights, and add silence's."""
    (inside,) = jax.vjp(lambda t: fast.fold_with(jnp, tree(t)), trained)[1](of_folded)
    aside = jax.grad(lambda t: _WEIGHTS.silence * _silence(t))(trained)
    return jax.tree.map(jnp.add, inside, aside)
