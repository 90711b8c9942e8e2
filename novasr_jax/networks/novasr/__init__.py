"""NovaSR in JAX."""

from ..record import Network
from . import fast, model

NETWORK = Network(
    name="NovaSR",
    fold=fast.fold,
    interior=fast.interior_steps,
    forward=model.forward,
    stages=model.stages,
)
