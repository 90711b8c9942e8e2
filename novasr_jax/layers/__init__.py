"""The layers of the networks on `jax.lax`, as the formulas have them.

Activations are ``[..., time, channel]``, or ``[..., row, column, channel]`` for `conv2d`, `repeat2`
and `group_norm`: channels last as accelerators like them. The layers of `novasr_np` have the same
names and parameters, channels first. Every layer keeps the dtype of its input and any leading
dimensions, and works under ``jit``, ``vmap`` and ``grad``. This is the text to audit; what runs
faster, in `fast` and the networks, is tested against it.
"""

from .activations import elu, gelu, prelu, sigmoid, silu, snake
from .alias_free import (
    downsample2,
    snake_beta,
    upsample2,
    upsample2_swapped,
)
from .attention import attention
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
    product,
    zero_from,
)
from .conv2d import conv2d, repeat2
from .norm import group_norm, layer_norm
from .recurrent import gru

__all__ = [
    "PRECISIONS",
    "attention",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "correlate",
    "depthwise1d",
    "downsample2",
    "elu",
    "fir",
    "gelu",
    "group_norm",
    "gru",
    "hold_from",
    "interpolate",
    "interpolate3",
    "layer_norm",
    "linear",
    "prelu",
    "product",
    "repeat2",
    "sigmoid",
    "silu",
    "snake",
    "snake_beta",
    "upsample2",
    "upsample2_swapped",
    "zero_from",
]
