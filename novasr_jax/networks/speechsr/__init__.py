"""SpeechSR in JAX."""

from functools import partial

from novasr_np.networks.speechsr.spec import TO_24K, TO_48K

from ..record import Network
from . import fast, model

NETWORKS = tuple(
    Network(
        name=variant.name,
        interior=fast.make_interior(variant),
        forward=partial(model.forward, variant=variant),
        stages=partial(model.stages, variant=variant),
    )
    for variant in (TO_48K, TO_24K)
)
