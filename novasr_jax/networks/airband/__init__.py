"""airband in JAX."""

from functools import partial

from novasr_np.networks.airband.spec import VARIANTS

from ..record import Network
from . import fast, model

NETWORKS = tuple(
    Network(
        name=variant.name,
        interior=fast.make_interior(variant),
        forward=partial(model.forward, variant=variant),
        stages=partial(model.stages, variant=variant),
    )
    for variant in VARIANTS
)
