"""Run airband away from a signal's ends: the same layers, without padding."""

from functools import partial
from typing import Any

import jax

from novasr_np.networks.airband.spec import HOP_IN, OVERLAP, SILENCE, Variant

from .model import keep_silence, made_frames, overlap_add, result, spectra


def make_interior(variant: Variant) -> Any:
    """Make (folded, x [B, n + context] at 16 kHz, start= [B], facts=, precision=) -> y [B, 3 n].

    start: position of each x in its signal, in samples, a multiple of 80. facts: not needed.
    """

    @partial(jax.jit, static_argnames="precision")
    def interior(
        folded: dict[str, Any],
        x: jax.Array,
        *,
        start: Any = 0,
        facts: Any = None,
        precision: str = "highest",
    ) -> jax.Array:
        first = start // HOP_IN + OVERLAP + variant.frames_behind
        spectrum = spectra(x, precision)
        rest = made_frames(folded, spectrum, variant, first, lambda h, *_: h, precision)
        inside = slice(
            (OVERLAP + variant.frames_behind) * HOP_IN - SILENCE,
            x.shape[-1] - (OVERLAP + variant.frames_ahead) * HOP_IN + SILENCE,
        )
        return keep_silence(overlap_add(result(rest)), x[..., inside])

    return interior
