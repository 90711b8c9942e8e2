"""The layers that the networks share, in plain numpy, as the formulas have them.

Activations are ``[..., channel, time]``. Every layer keeps the dtype of its input, float32 or
float64, and any leading batch dimensions. Loops run over taps, never over samples. This is the
text to audit; what runs faster elsewhere is tested against it.
"""

from .activations import elu, prelu
from .alias_free import downsample2, snake_beta, upsample2, upsample2_swapped
from .conv import conv1d, depthwise1d, interpolate, interpolate3

__all__ = [
    "conv1d",
    "depthwise1d",
    "downsample2",
    "elu",
    "interpolate",
    "interpolate3",
    "prelu",
    "snake_beta",
    "upsample2",
    "upsample2_swapped",
]
