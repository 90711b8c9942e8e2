"""The network: the layers in order, under the names of the stages."""

from collections import deque

import numpy as np

from .layers import conv1d, downsample2, interpolate3, snake_beta, upsample2
from .spec import MIN_INPUT_SAMPLES


def stages(params, x):
    """Yield (name, activation) for every stage of the network, in order.

    x [..., T] float32 or float64 at 16 kHz; params as `load_weights` gives them, used in the
    dtype of x. A hidden activation is [..., 32, time], ``conv_post`` [..., 1, 3T-4], and the
    last stage, ``y``, [..., 3T-4].

    Raises TypeError if x is of another dtype, ValueError if T < 2.
    """
    x = np.asarray(x)
    x = x.astype(x.dtype.newbyteorder("="), copy=False)
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"the network takes float32 or float64, got {x.dtype}")
    if x.ndim == 0 or x.shape[-1] < MIN_INPUT_SAMPLES:
        raise ValueError(
            f"the network needs at least {MIN_INPUT_SAMPLES} samples in the last axis, "
            f"got shape {x.shape}"
        )
    p = cast(params, x.dtype)

    h = conv1d(x[..., np.newaxis, :], **p["conv_pre"])
    yield "conv_pre", h
    h = skip = interpolate3(h)
    yield "interpolate", h
    for activation, conv in (("activation0", "conv1"), ("activation1", "conv2")):
        h = upsample2(h, **p[activation]["upsample"])
        yield f"{activation}.upsample", h
        h = snake_beta(h, **p[activation]["snakebeta"])
        yield f"{activation}.snakebeta", h
        h = downsample2(h, **p[activation]["downsample"])
        yield f"{activation}.downsample", h
        h = conv1d(h, **p[conv])
        yield conv, h
    # The activations lost two samples at each end; upstream crops only the right of the skip.
    h = h + skip[..., : h.shape[-1]]
    yield "residual", h
    h = conv1d(h, **p["conv_post"])
    yield "conv_post", h
    yield "y", np.tanh(h[..., 0, :])


def forward(params, x):
    """Run the bare network: x [..., T] at 16 kHz -> [..., 3T - 4] at 48 kHz, the dtype of x.

    float32 in gives float32 out; float64 runs the same code and is the truth that the rest is
    measured against. Every layer holds the whole signal; the front door, `upsample`, works in
    blocks, and gives exactly 3T samples.

    Raises TypeError if x is neither float32 nor float64, ValueError if T < 2.
    """
    [(_, y)] = deque(stages(params, x), maxlen=1)
    return y


def cast(params, dtype):
    """The same tree of parameters with every array in `dtype`."""
    if isinstance(params, dict):
        return {name: cast(value, dtype) for name, value in params.items()}
    return np.asarray(params, dtype)
