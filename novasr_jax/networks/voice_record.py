"""The record of a voice in JAX."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np


class Voice(NamedTuple):
    """The functions of a network that speaks, under its name in `novasr_np`."""

    name: str
    # (params, ids, counts, size=, precision=) -> each stage's (name, activation), channels last,
    # for padded batches; counts [B]: each row's tokens
    stages: Callable[..., Iterator[tuple[str, jax.Array]]]
    # (params, utterances' ids, precision=) -> their waves, computed as one batch
    speak: Callable[..., list[np.ndarray]]
