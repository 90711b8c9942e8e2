"""airband in JAX."""

from functools import partial

from novasr_np.networks.airband.spec import VARIANTS

from ..record import Network
from . import inside, model

NETWORKS = tuple(
    Network(
        name=variant.name,
        fold=inside.fold,
        interior=inside.make_interior(variant),
        forward=partial(model.forward, variant=variant),
        stages=partial(model.stages, variant=variant),
    )
    for variant in VARIANTS
)
