"""Export a network as StableHLO, with its weights inside, or as an argument if they are large."""

import jax
import jax.numpy as jnp
from jax import export

from novasr_np.pipeline.look import place
from novasr_np.weights import WeightsLike, load_weights

from .networks import NETWORKS

PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(weights: WeightsLike, sample_rate: int | None = None) -> bytes:
    """Serialise the program x [batch, time] float32 -> y [batch, outputs] for all PLATFORMS.

    y is the output of the bare network. Any batch; any time for which the network has an output, in
    whole steps. `jax.export.deserialize` reads it. sample_rate: of x in Hz, one that the network
    takes; None for its own.

    airband's steps are hops of 5 ms, and its program is (x, edge) -> y, with the Hz at which each
    sound ends, [batch] float32; NaN for half the rate.

    A network with windows, such as FlashSR, takes its weights as an argument: the program is
    (folded, inputs) -> windows [batch, window], with the results of its `fold` and `prepare`.

    Raises ModuleNotFoundError without the package flatbuffers, TypeError or ValueError for a rate
    that the network does not take.
    """
    loaded = load_weights(weights)
    where = place(loaded.network, sample_rate, None)
    network, ours = loaded.network, NETWORKS[loaded.network.name]
    if ours.export:
        return bytes(ours.export(loaded.params, PLATFORMS).serialize())
    forward = ours.forward
    assert forward is not None
    facts = where["facts"]
    step = network.for_rate(facts.sample_rate).cut.step
    least = -(-network.cut.min_samples // step)
    batch, steps = export.symbolic_shape("batch, steps", constraints=[f"steps >= {least}"])
    x = jax.ShapeDtypeStruct((batch, step * steps), jnp.float32)
    edge = [jax.ShapeDtypeStruct((batch,), jnp.float32)] if network.takes else []

    def program(x: jax.Array, edge: jax.Array | None = None) -> jax.Array:
        return forward(loaded.params, x, **where | {"facts": facts._replace(edge=edge)})

    return bytes(export.export(jax.jit(program), platforms=PLATFORMS)(x, *edge).serialize())
