"""Inflect-Nano's vocoder: from a mel spectrogram to samples at 24 kHz, stage by stage.

HiFi-GAN's generator (arXiv 2010.05646) with the activation Snake. A frame's samples depend on 13
frames on either side, so a spectrogram can be cut into pieces.
"""

from collections.abc import Iterator

import numpy as np

from ...layers import conv1d, conv_transpose1d, snake
from ...tensors import cast
from ..record import Params
from .spec import DILATIONS, RATES, TAPS

_SNAKE_MIN, _SNAKE_MAX = 1e-4, 100.0


def stages(params: Params, mel: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage, in order; the last is ``wave`` [256 F].

    mel [80, F], float32 or float64; params: the vocoder's part of `load`, used in its dtype. A
    hidden activation is [channels, time].
    """
    p = cast(params, mel.dtype)
    h = conv1d(mel, **p["conv_pre"])
    yield "conv_pre", h
    for i, rate in enumerate(RATES):
        h = _snake(p["up_acts"][str(i)], h)
        yield f"up_acts.{i}", h
        h = conv_transpose1d(h, **p["ups"][str(i)], stride=rate, padding=rate // 2)
        yield f"ups.{i}", h
        total = np.zeros_like(h)
        for j in range(len(TAPS)):
            number = len(TAPS) * i + j
            branch = _residual(p["resblocks"][str(number)], h)
            yield f"resblocks.{number}", branch
            total += branch
        h = total / len(TAPS)
        yield f"mean.{i}", h
    h = conv1d(_snake(p["post_act"], h), **p["conv_post"])
    yield "conv_post", h
    yield "wave", np.tanh(h[0])


def _residual(p: Params, x: np.ndarray) -> np.ndarray:
    """Apply three times ``x + conv(snake(conv(snake(x))))``, the first of each pair dilated."""
    for i, dilation in enumerate(DILATIONS):
        k = str(i)
        h = conv1d(_snake(p["acts1"][k], x), **p["convs1"][k], dilation=dilation)
        h = conv1d(_snake(p["acts2"][k], h), **p["convs2"][k])
        x = x + h
    return x


def alpha(log_alpha: np.ndarray) -> np.ndarray:
    """Snake's frequency: ``exp(log_alpha)``, within 0.0001 and 100."""
    return np.clip(np.exp(log_alpha), _SNAKE_MIN, _SNAKE_MAX)


def _snake(p: Params, x: np.ndarray) -> np.ndarray:
    return snake(x, alpha(p["log_alpha"]))
