"""SpeechSR's inside of a signal: the plain layers, of which the context is cut off.

What they pad at the ends of a row never gets further than the context.
"""

from functools import partial
from typing import Any

import jax
import numpy as np

from novasr_np.networks.speechsr.spec import OUTPUTS, Variant
from novasr_np.tensors import cast

from .model import forward


def fold(
    params: dict[str, Any], dtype: Any = np.float32, precision: str = "highest", place: Any = None
) -> dict[str, Any]:
    """The weights in `dtype`, as they are, on the host."""
    return cast(params, dtype)


def make_interior(variant: Variant) -> Any:
    """(folded, x [B, n + context] at 16 kHz, start=, facts=, precision=) -> y [B, outputs], by one
    program, which is the same everywhere.
    """
    lost = OUTPUTS * variant.context // variant.step

    @partial(jax.jit, static_argnames="precision")
    def interior(
        folded: dict[str, Any],
        x: jax.Array,
        *,
        start: Any = 0,
        facts: Any = None,
        precision: str = "highest",
    ) -> jax.Array:
        y = forward(folded, x, precision=precision, variant=variant)
        return y[:, lost : y.shape[-1] - lost]

    return interior
