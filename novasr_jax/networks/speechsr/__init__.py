"""SpeechSR-48k in JAX."""

from ..record import Network
from . import inside, model

NETWORK = Network(
    name="SpeechSR-48k",
    forward=model.forward,
    stages=model.stages,
    fold=inside.fold,
    interior=inside.interior,
)
