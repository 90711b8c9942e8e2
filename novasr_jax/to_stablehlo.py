"""A network as a StableHLO artifact, with its weights inside, or, of a large one, beside it."""

import jax
import jax.numpy as jnp
from jax import export

from novasr_np.weights import Source, load_weights

from .networks import NETWORKS

PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(weights: Source) -> bytes:
    """Serialise the program x [batch, time] float32 -> y [batch, outputs] for all PLATFORMS.

    y is what the bare network gives. Any batch; any time that the network has an output for, in
    whole steps of it (airband's are hops of 80 samples). `jax.export.deserialize` reads it.

    A network that hears windows, as FlashSR does, takes its weights as an argument: the program is
    (folded, inputs) -> windows [batch, window], as its `fold` and `prepare` give these.

    Raises ModuleNotFoundError without the package flatbuffers.
    """
    loaded = load_weights(weights)
    network, ours = loaded.network, NETWORKS[loaded.network.name]
    if ours.export:
        return bytes(ours.export(loaded.params, PLATFORMS).serialize())
    forward = ours.forward
    assert forward is not None
    least = -(-network.cut.min_samples // network.cut.step)
    batch, steps = export.symbolic_shape("batch, steps", constraints=[f"steps >= {least}"])
    x = jax.ShapeDtypeStruct((batch, network.cut.step * steps), jnp.float32)
    program = export.export(jax.jit(lambda x: forward(loaded.params, x)), platforms=PLATFORMS)(x)
    return bytes(program.serialize())
