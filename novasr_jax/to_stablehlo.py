"""A network as a StableHLO artifact, with its weights inside, or, of a large one, beside it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from novasr_np.networks import Windowed
from novasr_np.weights import any_network_of

from .networks import NETWORKS, WINDOWED

PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(params: dict[str, Any]) -> bytes:
    """Serialise the program x [batch, time] float32 -> y [batch, outputs] for all PLATFORMS.

    y is what the bare network gives. Any batch; any time that the network has an output for, in
    whole steps of it (airband's are hops of 80 samples). `jax.export.deserialize` reads it.

    A network that hears windows, as FlashSR does, takes its weights as an argument: the program is
    (folded, inputs) -> windows [batch, window], as `networks.record.Windowed` has these.

    Raises ModuleNotFoundError without the package flatbuffers.
    """
    network = any_network_of(params)
    if isinstance(network, Windowed):
        return _windows(network, params)
    least = -(-network.min_samples // network.step)
    batch, steps = export.symbolic_shape("batch, steps", constraints=[f"steps >= {least}"])
    x = jax.ShapeDtypeStruct((batch, network.step * steps), jnp.float32)
    forward = NETWORKS[network.name].forward
    program = export.export(jax.jit(lambda x: forward(params, x)), platforms=PLATFORMS)(x)
    return bytes(program.serialize())


def _windows(network: Windowed, params: dict[str, Any]) -> bytes:
    ours = WINDOWED[network.name]
    silence = np.zeros((1, network.window), np.float32)
    prepare = network.prepare(params, network.checked({"overlap": 0}, network.window), np.float32)
    given, _ = prepare(silence, np.zeros(1, int), None)
    (batch,) = export.symbolic_shape("batch")
    weights = jax.tree.map(_shape_of, ours.fold(params, np.float32, "highest"))
    inputs = jax.tree.map(lambda x: _shape_of(x, batch), ours.inputs(given))
    program = export.export(
        jax.jit(lambda folded, inputs: ours.forward(folded, inputs, "highest")),
        platforms=PLATFORMS,
    )(weights, inputs)
    return bytes(program.serialize())


def _shape_of(x: Any, batch: Any = None) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape if batch is None else (batch, *x.shape[1:]), jnp.float32)
