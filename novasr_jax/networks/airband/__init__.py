"""airband in JAX."""

from functools import partial

from novasr_np.networks.airband.spec import VARIANTS

from ..record import ROWS, Network
from . import fast, model

NETWORKS = tuple(
    Network(
        name=variant.name,
        interior=fast.make_interior(variant),
        forward=partial(model.forward, variant=variant),
        stages=partial(model.stages, variant=variant),
        # Longer than others', as its context has 1.3 s; on a CPU a short sound should fill them.
        rows=ROWS | {"cpu": 2},
        segments={"cpu": 16_000, "gpu": 64_000, "tpu": 64_000},
    )
    for variant in VARIANTS
)
