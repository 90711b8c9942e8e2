"""The networks of `novasr_np` in JAX: compiled, in batches, on CPU, GPU and TPU."""

from typing import TYPE_CHECKING

from novasr_np.lazy import on_first_use

if TYPE_CHECKING:
    from .api import forward, upsample
    from .fastsr import FastSR
    from .networks.novasr.fast import fold, interior

__all__ = ["FastSR", "fold", "forward", "interior", "upsample"]

# Imported on first use, so that a process that has others compute does without JAX.
_ROOMS = {
    "api": ("forward", "upsample"),
    "fastsr": ("FastSR",),
    "networks.novasr.fast": ("fold", "interior"),
}

__getattr__, __dir__ = on_first_use(__name__, _ROOMS)
