"""Training recipe of airband."""

from functools import partial

from novasr_np.networks.airband.spec import HOP, VARIANTS

from ..state import Recipe, TrainingPlan
from . import crops, data, learn

_FRAMES = 400  # of a crop: 2 s


def _recipe(variant):
    return Recipe(
        plan=TrainingPlan(
            variant.name,
            steps=0,
            batch=16,
            samples=_FRAMES * HOP,
            learning_rate=3e-3,
            warm_up=100,
            average=0.999,
        ),
        shortest=lambda plan: data.SHORTEST,
        most=data.MOST_OF_A_VOICE,
        hold=crops.hold,
        batches=data.batches,
        initial=learn.initial,
        gradient=learn.make_gradient(variant),
        optimiser=learn.optimiser,
        tree=partial(learn.tree, variant),
        lift=learn.lifted,
    )


RECIPES = tuple(map(_recipe, VARIANTS))
