"""The layers of the networks on `jax.lax`, as the formulas have them.

Activations are ``[..., time, channel]``, channels last as accelerators like them. The layers of
`novasr_np` have the same names and parameters, channels first. Every layer keeps the dtype of its
input and any leading dimensions, and works under ``jit``, ``vmap`` and ``grad``. This is the text
to audit; what runs faster elsewhere is tested against it.
"""

from .activations import elu, prelu, sigmoid, silu, snake
from .alias_free import downsample2, snake_beta, upsample2, upsample2_swapped
from .conv import (
    PRECISIONS,
    conv1d,
    conv_transpose1d,
    correlate,
    depthwise1d,
    fir,
    hold_from,
    interpolate,
    interpolate3,
    linear,
    zero_from,
)
from .norm import layer_norm
from .recurrent import gru

__all__ = [
    "PRECISIONS",
    "conv1d",
    "conv_transpose1d",
    "correlate",
    "depthwise1d",
    "downsample2",
    "elu",
    "fir",
    "gru",
    "hold_from",
    "interpolate",
    "interpolate3",
    "layer_norm",
    "linear",
    "prelu",
    "sigmoid",
    "silu",
    "snake",
    "snake_beta",
    "upsample2",
    "upsample2_swapped",
    "zero_from",
]
