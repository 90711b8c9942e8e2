"""SpeechSR's inside of a signal: the plain layers, of which the context is cut off.

What they pad at the ends of a row never gets further than the context.
"""

from functools import partial
from typing import Any

import jax
import numpy as np

from novasr_np.networks.speechsr.spec import CONTEXT_LEFT, CONTEXT_RIGHT, UPSAMPLING
from novasr_np.tensors import cast

from .model import forward


def fold(params: dict[str, Any], dtype: Any = np.float32) -> dict[str, Any]:
    """The weights in `dtype`, as they are."""
    return cast(params, dtype)


@partial(jax.jit, static_argnames="precision")
def interior(folded: dict[str, Any], x: jax.Array, precision: str = "highest") -> jax.Array:
    """x [B, n + 72] at 16 kHz, context included -> [B, 3 n] at 48 kHz, by one program."""
    y = forward(folded, x, precision=precision)
    return y[:, UPSAMPLING * CONTEXT_LEFT : y.shape[-1] - UPSAMPLING * CONTEXT_RIGHT]
