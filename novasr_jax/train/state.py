"""Take a step of learning; save the state of a run, and resume it."""

import json
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from novasr_np.atomic import atomic_write
from novasr_np.dsp.sinc import kaiser, kaiser_beta, windowed_sinc
from novasr_np.networks.novasr.spec import CONTEXT, TENSORS
from novasr_np.tensors import nest

from ..networks.novasr import folded
from ..networks.novasr.model import forward
from . import network
from .data import Batch
from .losses import Weights, loss


class Plan(NamedTuple):
    """What stays the same throughout a run."""

    steps: int
    batch: int = 8
    samples: int = 6000  # of a crop, at 16 kHz
    seed: int = 0
    learning_rate: float = 3e-3  # at its highest
    warm_up: int = 200  # steps
    average: float = 0.998  # how much of the averaged weights each step keeps
    init: str = "random numbers"  # what it began with
    weights: Weights = Weights()


class State(NamedTuple):
    step: int  # how many have been taken
    trained: dict  # the weights but for the filters, as a flat dict of arrays
    optimiser: tuple
    averaged: dict


def initial(plan: Plan) -> State:
    """Random weights: uniform within 1 / sqrt(fan in), as torch's convolutions begin."""
    rng = np.random.default_rng(plan.seed)
    trained = {}
    for name, (_, shape) in TENSORS.items():
        kind = name.split(".")[-1]
        if kind == "weight":
            bound = 1 / np.sqrt(np.prod(shape[1:]))
            trained[name] = jnp.asarray(rng.uniform(-bound, bound, shape), jnp.float32)
        elif kind in ("bias", "alpha", "beta"):
            trained[name] = jnp.zeros(shape, jnp.float32)
    # Levels of spectra cannot tell a wave from its negative: begin on the right side.
    if np.sum(_fold(trained).skip) < 0:
        trained["conv_post.weight"] = -trained["conv_post.weight"]
    return State(0, trained, _optimiser(plan).init(trained), trained)


def filter_taps() -> np.ndarray:
    """The fixed filter of both activations, [12]: a half-band sinc under a Kaiser window.

    BigVGAN's design (arXiv 2206.04658): cutoff 1/4 of the rate, transition 0.6 of it, 12 taps,
    the window's beta by Kaiser's rule for what attenuation these allow.
    """
    attenuation = 2.285 * (12 // 2 - 1) * np.pi * 4 * 0.3 + 7.95  # dB
    n = np.arange(12) - 5.5
    taps = windowed_sinc(n / 2, kaiser(n / 5.5, kaiser_beta(attenuation)))
    return taps / taps.sum()


def tree(trained: dict[str, Any]) -> dict[str, Any]:
    """The parameters as `load_weights` gives them, filters included."""
    taps = np.float32(np.float16(filter_taps()))  # as they are stored
    return nest({name: trained.get(name, taps) for name in TENSORS})


def advance(plan: Plan, state: State, batch: Batch) -> tuple[State, jax.Array]:
    """One step of learning, and the loss before it."""
    prepared = _fold(state.trained)
    y, pullback = network.interior(prepared, _filters(), batch.x)
    value, dy = _loss(y, batch.truth, batch.edge, plan.weights)
    gradient = pullback(dy)
    trained, optimiser, averaged = _update(
        plan, state.step, state.trained, state.optimiser, state.averaged, gradient
    )
    return State(state.step + 1, trained, optimiser, averaged), value


def schedule(plan: Plan) -> optax.Schedule:
    """The learning rate by step."""
    return optax.warmup_cosine_decay_schedule(
        0,
        plan.learning_rate,
        min(plan.warm_up, plan.steps // 2),
        plan.steps,
        plan.learning_rate / 100,
    )


def save(path: Path, plan: Plan, state: State) -> None:
    """Everything needed to `resume`, under its name only when whole."""
    leaves = jax.tree.leaves(state)
    arrays = {str(i): np.asarray(leaf) for i, leaf in enumerate(leaves)}
    arrays["plan"] = np.array(json.dumps(plan))
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def resume(path: Path) -> tuple[Plan, State]:
    """What `save` wrote: the run goes on as if it had never stopped."""
    with np.load(path) as file:
        *values, weights = json.loads(str(file["plan"]))
        plan = Plan(*values)._replace(weights=Weights(*weights))
        kinds, structure = jax.tree.flatten(initial(plan))
        state = jax.tree.unflatten(structure, [file[str(i)] for i in range(len(kinds))])
    return plan, jax.tree.map(jnp.asarray, state)._replace(step=int(state.step))


def _filters() -> network.Filters:
    taps = np.asarray(np.float16(filter_taps()), np.float64)
    up, down, through = folded.filter_taps(np, taps, taps)
    return network.Filters(*(tuple(t.tolist()) for t in (down, up, down, through)))


@jax.jit
def _fold(trained):
    return folded.fold_with(jnp, tree(trained))


@partial(jax.jit, static_argnames="weights")
def _loss(y, truth, edge, weights):
    return jax.value_and_grad(loss)(y, truth, edge, weights)


def _silence(trained):
    """The level of what the network makes of silence.

    `interior` knows no ends; there, where the layers see zeros beside their biases, is the click.
    """
    return jnp.sqrt((forward(tree(trained), jnp.zeros((1, 2 * CONTEXT))) ** 2).mean() + 1e-12)


@partial(jax.jit, static_argnames="plan")
def _update(plan, step, trained, optimiser, averaged, gradient):
    (gradient,) = jax.vjp(lambda t: folded.fold_with(jnp, tree(t)), trained)[1](gradient)
    aside = jax.grad(lambda t: plan.weights.silence * _silence(t))(trained)
    gradient = jax.tree.map(jnp.add, gradient, aside)
    updates, optimiser = _optimiser(plan).update(gradient, optimiser, trained)
    trained = optax.apply_updates(trained, updates)
    # Young averages follow more closely.
    keep = jnp.minimum(plan.average, (1 + step) / (10 + step))
    averaged = jax.tree.map(lambda a, t: keep * a + (1 - keep) * t, averaged, trained)
    return trained, optimiser, averaged


def _optimiser(plan):
    return optax.chain(
        optax.clip_by_global_norm(20.0),
        optax.adamw(schedule(plan), b1=0.8, b2=0.99, weight_decay=1e-4),
    )
