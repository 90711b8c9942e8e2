"""The networks of `novasr_np` in JAX: compiled, in batches, on CPU, GPU and TPU."""

from .api import forward, upsample
from .fastsr import FastSR
from .networks.novasr.fast import fold, interior

__all__ = ["FastSR", "fold", "forward", "interior", "upsample"]
