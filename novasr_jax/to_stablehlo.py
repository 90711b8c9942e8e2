"""Export a network as StableHLO, with its weights inside, or as an argument if they are large."""

import jax
import jax.numpy as jnp
from jax import export

from novasr_np.weights import Source, load_weights

from .networks import NETWORKS

PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(weights: Source) -> bytes:
    """Serialise the program x [batch, time] float32 -> y [batch, outputs] for all PLATFORMS.

    y is the output of the bare network. Any batch; any time for which the network has an output, in
    whole steps (for airband, hops of 80 samples). `jax.export.deserialize` reads it.

    A network with windows, such as FlashSR, takes its weights as an argument: the program is
    (folded, inputs) -> windows [batch, window], with the results of its `fold` and `prepare`.

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
