"""Run airband away from a signal's ends: the same layers, without padding."""

from functools import partial
from typing import Any

import jax

from novasr_np.networks.airband.spec import SAMPLE_RATE_IN, Variant

from .model import edge_bin, made_frames, overlap_add, result, spectra


def make_interior(variant: Variant) -> Any:
    """Make (folded, x [B, n + context], facts=, rate=, precision=) -> y [B, 48000 n / rate].

    facts: of `Facts`, the edge of each row. rate: of x, Hz. start: not needed.
    """

    @partial(jax.jit, static_argnames=("rate", "precision"))
    def interior(
        folded: dict[str, Any],
        x: jax.Array,
        *,
        start: Any = 0,
        facts: Any = None,
        rate: int = SAMPLE_RATE_IN,
        precision: str = "highest",
    ) -> jax.Array:
        spectrum, edge = spectra(x, rate, precision), edge_bin(facts, rate)
        rest = made_frames(folded, spectrum, edge, variant, lambda h, *_: h, precision)
        return overlap_add(result(rest))

    return interior
