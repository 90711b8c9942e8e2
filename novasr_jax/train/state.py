"""Take training steps; save the state of a run, and resume it."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from novasr_np.atomic import atomic_write

from .data import Recording


class TrainingPlan(NamedTuple):
    """Settings of a run."""

    network: str
    steps: int
    batch: int  # crops
    samples: int  # of a crop, at the rate of which the recipe makes crops
    learning_rate: float  # the highest of the schedule
    warm_up: int  # steps
    average: float  # share of the averaged weights that each step keeps
    seed: int = 0
    init: str = "random numbers"  # the initial weights
    lift: str = ""  # "HZ:DB ...", by which the levels are raised at the end


class State(NamedTuple):
    step: int  # number of steps taken
    trained: dict  # the weights that are trained, as a flat dict of arrays
    optimiser: tuple
    averaged: dict


class Recipe(NamedTuple):
    """Training recipe of a network."""

    plan: TrainingPlan  # the default
    shortest: Callable[[TrainingPlan], float]  # seconds of the shortest recording that can be used
    # (recordings, plan, numbers) -> batches of these numbers; each depends only on the plan's seed
    # and its number, so that a run can be resumed. A module's function, as it is pickled.
    batches: Callable[[Sequence[Recording], TrainingPlan, Iterable[int]], Iterator[Any]]
    initial: Callable[[int], dict]  # seed -> random weights
    # (trained, batch, what `hold` returned) -> the loss, and its gradient
    gradient: Callable[[dict, Any, Any], tuple[jax.Array, dict]]
    optimiser: Callable[[TrainingPlan], optax.GradientTransformation]
    tree: Callable[[dict], dict[str, Any]]  # trained -> weights as `load_weights` returns them
    # recordings -> what lies on the device during a run, for batches that are made there
    hold: Callable[[Sequence[Recording]], Any] = lambda recordings: None
    most: float | None = None  # seconds of one voice, chosen by chance; None for all
    # (trained, Hz, dB) -> trained, with the levels of what is made raised, interpolated between
    # these points; None if the network predicts no levels
    lift: Callable[[dict, Sequence[float], Sequence[float]], dict] | None = None


def begin(recipe: Recipe, plan: TrainingPlan) -> State:
    """Create the state of a run before its first step, with random weights."""
    trained = recipe.initial(plan.seed)
    return State(0, trained, recipe.optimiser(plan).init(trained), trained)


def advance(
    recipe: Recipe, plan: TrainingPlan, state: State, batch: Any, held: Any = None
) -> tuple[State, jax.Array]:
    """Take a training step; return the new state, and the loss before the step."""
    loss, gradient = recipe.gradient(state.trained, batch, held)
    trained, optimiser, averaged = _update(
        recipe.optimiser, plan, state.step, state.trained, state.optimiser, state.averaged, gradient
    )
    return State(state.step + 1, trained, optimiser, averaged), loss


def schedule(plan: TrainingPlan) -> optax.Schedule:
    """Learning rate by step."""
    return optax.warmup_cosine_decay_schedule(
        0,
        plan.learning_rate,
        min(plan.warm_up, plan.steps // 2),
        plan.steps,
        plan.learning_rate / 100,
    )


def save(path: Path, plan: TrainingPlan, state: State) -> None:
    """Save all that `resume` needs, under its name only when complete."""
    leaves = jax.tree.leaves(state)
    arrays = {str(i): np.asarray(leaf) for i, leaf in enumerate(leaves)}
    arrays["plan"] = np.array(json.dumps(plan._asdict()))
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def saved_plan(path: Path) -> TrainingPlan:
    """Read the plan in a file that `save` wrote."""
    with np.load(path) as file:
        return TrainingPlan(**json.loads(str(file["plan"])))


def resume(path: Path, recipe: Recipe) -> tuple[TrainingPlan, State]:
    """Load a file of `save`, so that the run goes on as if it had never stopped."""
    plan = saved_plan(path)
    kinds, structure = jax.tree.flatten(begin(recipe, plan))
    with np.load(path) as file:
        state = jax.tree.unflatten(structure, [file[str(i)] for i in range(len(kinds))])
    return plan, jax.tree.map(jnp.asarray, state)._replace(step=int(state.step))


@partial(jax.jit, static_argnums=(0, 1))
def _update(make, plan, step, trained, optimiser, averaged, gradient):
    updates, optimiser = make(plan).update(gradient, optimiser, trained)
    trained = optax.apply_updates(trained, updates)
    # Young averages follow more closely.
    keep = jnp.minimum(plan.average, (1 + step) / (10 + step))
    averaged = jax.tree.map(lambda a, t: keep * a + (1 - keep) * t, averaged, trained)
    return trained, optimiser, averaged
