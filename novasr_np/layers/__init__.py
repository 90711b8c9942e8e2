"""The layers that the networks share, in plain numpy, exactly as in the formulas.

Activations are ``[..., channel, time]``, but for `linear`, `layer_norm`, `attention` and `gru`,
whose last axis is the channels, and for `conv2d`, `repeat2` and `group_norm`, which take images
``[..., channel, row, column]``. Every layer keeps the dtype of its input, float32 or float64, and
any leading batch dimensions. Loops run over taps, never over samples, except in recurrent layers.
This is the code to audit; faster versions elsewhere are tested against it.
"""

from .activations import elu, gelu, prelu, sigmoid, silu, snake
from .alias_free import downsample2, snake_beta, upsample2, upsample2_swapped
from .attention import attention
from .conv import (
    conv1d,
    conv_transpose1d,
    depthwise1d,
    interpolate,
    interpolate3,
    linear,
)
from .conv2d import conv2d, repeat2
from .norm import group_norm, layer_norm
from .recurrent import gru

__all__ = [
    "attention",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "depthwise1d",
    "downsample2",
    "elu",
    "gelu",
    "group_norm",
    "gru",
    "interpolate",
    "interpolate3",
    "layer_norm",
    "linear",
    "prelu",
    "repeat2",
    "sigmoid",
    "silu",
    "snake",
    "snake_beta",
    "upsample2",
    "upsample2_swapped",
]
