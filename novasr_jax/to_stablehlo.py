"""A network as a StableHLO artifact, with its weights inside."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from novasr_np.weights import network_of

from .networks import NETWORKS

PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(params: dict[str, Any]) -> bytes:
    """Serialise the program x [batch, time] float32 -> y [batch, outputs] for all PLATFORMS.

    y is what the bare network gives. Any batch; any time that the network has an output for, in
    whole steps of it (airband's are hops of 80 samples). `jax.export.deserialize` reads it.

    Raises ModuleNotFoundError without the package flatbuffers.
    """
    network = network_of(params)
    least = -(-network.min_samples // network.step)
    batch, steps = export.symbolic_shape("batch, steps", constraints=[f"steps >= {least}"])
    x = jax.ShapeDtypeStruct((batch, network.step * steps), jnp.float32)
    forward = NETWORKS[network.name].forward
    program = export.export(jax.jit(lambda x: forward(params, x)), platforms=PLATFORMS)(x)
    return bytes(program.serialize())
