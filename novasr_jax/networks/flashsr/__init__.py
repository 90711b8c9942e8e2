"""FlashSR in JAX."""

from ..record import Network
from . import export, model, window

NETWORK = Network(
    name="FlashSR",
    fold=model.fold,
    interior=window.interior,
    prepare=window.prepare,
    export=export.export_windows,
    rows={"cpu": 1, "gpu": 8, "tpu": 8},
)
