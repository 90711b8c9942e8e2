"""NovaSR as a StableHLO artifact, with its weights inside."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from .model import forward

PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(params: dict[str, Any]) -> bytes:
    """Serialise the program x [batch, time] float32 -> [batch, 3 time - 4] for all PLATFORMS.

    Any batch, any time from 2 on; `jax.export.deserialize` reads it. Raises ModuleNotFoundError
    without the package flatbuffers.
    """
    batch, time = export.symbolic_shape("batch, time", constraints=["time >= 2"])
    x = jax.ShapeDtypeStruct((batch, time), jnp.float32)
    program = export.export(jax.jit(lambda x: forward(params, x)), platforms=PLATFORMS)(x)
    return bytes(program.serialize())
