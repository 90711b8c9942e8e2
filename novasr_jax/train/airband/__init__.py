"""Training recipe of airband."""

from functools import partial

import jax

from novasr_np.networks.airband.spec import HOP_IN, VARIANTS

from ..state import Plan, Recipe
from . import data, learn

_FRAMES = 400  # of a crop: 2 s


def _recipe(variant):
    return Recipe(
        plan=Plan(
            variant.name,
            steps=0,
            batch=16,
            samples=_FRAMES * HOP_IN,
            learning_rate=2e-3,
            warm_up=100,
            average=0.999,
        ),
        shortest=lambda plan: data.SHORTEST,
        batches=data.batches,
        initial=learn.initial,
        gradient=jax.jit(partial(learn.gradient, variant)),
        optimiser=learn.optimiser,
        tree=partial(learn.tree, variant),
    )


RECIPES = tuple(map(_recipe, VARIANTS))
