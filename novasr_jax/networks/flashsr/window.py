"""Run windows on devices; the host computes their spectrograms, which need float64."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from novasr_np.networks import NETWORKS
from novasr_np.networks.record import Facts, Level

from ..record import Prepare
from . import model


def prepare(params: Any, options: Any, dtype: Any) -> Prepare:
    """Create the host's function for the work before and after `interior`."""
    folded = NETWORKS["FlashSR"].compute.fold(params, dtype, options)

    def prepared(
        x: np.ndarray, starts: np.ndarray, facts: list[Facts]
    ) -> tuple[Any, Callable[[np.ndarray], np.ndarray]]:
        levels = [known.level for known in facts if known.level is not None]
        whole = Level(*map(np.concatenate, zip(*levels, strict=True))) if levels else None
        inputs, level = folded.inputs(x, starts, whole)
        return model.inputs(inputs), partial(folded.finish, level=level)

    return prepared


def interior(
    folded: Any, x: Any, *, start: Any = 0, facts: Any = None, precision: str = "highest"
) -> jax.Array:
    """Run prepared windows: (folded, x as `prepare` returns it) -> [B, T], normalised.

    By a program compiled once for each shape. start, facts: ignored, as x includes them.
    """
    return jitted(folded, x, precision)


@partial(jax.jit, static_argnums=2)
def jitted(folded: Any, inputs: Any, precision: str) -> jax.Array:
    """Run `interior`'s program."""
    return model.forward(folded, *inputs, precision=precision)
