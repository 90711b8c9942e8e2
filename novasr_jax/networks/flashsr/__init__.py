"""FlashSR in JAX."""

from functools import partial
from typing import Any

import jax

from ..record import Windowed
from . import model


@partial(jax.jit, static_argnums=2)
def _forward(folded: Any, inputs: Any, precision: str) -> jax.Array:
    return model.forward(folded, *inputs, precision=precision)


NETWORK = Windowed(name="FlashSR", fold=model.fold, inputs=model.inputs, forward=_forward)
