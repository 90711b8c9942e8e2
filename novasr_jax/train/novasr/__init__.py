"""Training recipe of NovaSR."""

from ..state import Plan, Recipe
from . import data, learn

RECIPE = Recipe(
    plan=Plan(
        "NovaSR",
        steps=0,
        batch=8,
        samples=6000,
        learning_rate=3e-3,
        warm_up=200,
        average=0.998,
    ),
    shortest=data.shortest,
    batches=data.batches,
    initial=learn.initial,
    gradient=learn.gradient,
    optimiser=learn.optimiser,
    tree=learn.tree,
)
