"""FlashSR as a program for other runtimes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from novasr_np.networks import NETWORKS
from novasr_np.networks.record import Facts

from . import model, window


def export_windows(params: Any, platforms: tuple[str, ...]) -> Any:
    """The program (folded, inputs) -> windows [batch, window], with its weights as an argument."""
    network = NETWORKS["FlashSR"]
    silence = np.zeros((1, network.cut.length), np.float32)
    prepare = window.prepare(params, network.choose({"overlap": 0}), np.float32)
    inputs, _ = prepare(silence, np.zeros(1, np.uint32), [Facts(network.rate_in, 1)])
    (batch,) = export.symbolic_shape("batch")
    return export.export(jax.jit(window.interior), platforms=platforms)(
        jax.tree.map(_shape_of, model.fold(params, np.float32, "highest")),
        jax.tree.map(lambda x: _shape_of(x, batch), inputs),
    )


def _shape_of(x: Any, batch: Any = None) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape if batch is None else (batch, *x.shape[1:]), jnp.float32)
