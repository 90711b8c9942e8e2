"""Run SpeechSR away from a signal's ends: the plain layers, without the outputs of the context.

The padding at the ends of a row affects only these outputs.
"""

from functools import partial
from typing import Any

import jax

from novasr_np.networks.speechsr.spec import OUTPUTS, Variant

from .model import forward


def make_interior(variant: Variant) -> Any:
    """Make (folded, x [B, n + context] at 16 kHz, start=, facts=, precision=) -> y [B, outputs].

    It is one program. start, facts: not needed.
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
