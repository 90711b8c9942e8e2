"""NovaSR in JAX."""

from novasr_np.networks.record import anywhere

from ..record import Network
from . import folded, model

NETWORK = Network(
    name="NovaSR",
    forward=anywhere(model.forward),
    stages=model.stages,
    fold=folded.fold,
    interior=anywhere(folded.interior_steps),
)
