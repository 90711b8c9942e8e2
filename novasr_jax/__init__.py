"""NovaSR in JAX: the network of `novasr_np`, compiled, in batches, on CPU, GPU and TPU."""

from .api import upsample
from .fused import interior, prepare
from .model import forward

__all__ = ["forward", "interior", "prepare", "upsample"]
