"""NovaSR in JAX."""

from ..record import Network
from . import folded, model

NETWORK = Network(
    name="NovaSR",
    fold=folded.fold,
    interior=folded.interior_steps,
    forward=model.forward,
    stages=model.stages,
)
