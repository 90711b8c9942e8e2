"""FlashSR's vocoder: from a mel spectrogram and the input sound to samples at 48 kHz.

BigVGAN's generator (arXiv 2206.04658). After each upsampling it also receives the input sound at
that rate, from a pyramid of strided convolutions, down to 1/2, 1/4, 1/8 and 1/48.
"""

from collections.abc import Iterator

import numpy as np

from ...fast.blocked import conv1d, conv_transpose1d, snake_beta_at_twice
from ...layers import prelu
from ...tensors import cast
from ..record import Params
from .spec import DILATIONS, RATES, TAPS


def stages(params: Params, mel: np.ndarray, wave: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage, in order; the last is ``wave`` [B, 480 F].

    mel [B, M, F], wave [B, 480 F] normalised, both float32 or both float64; params: as
    `spec.vocoder_tensors`, used in that dtype. A hidden activation is [B, channels, time].
    """
    p = cast(params, mel.dtype)
    levels: list[np.ndarray] = []
    for level in pyramid(p["audio_block"], wave):
        yield f"pyramid.{len(levels)}", level
        levels.append(level)
    h = conv1d(mel, **p["conv_pre"])
    yield "conv_pre", h
    for i, rate in enumerate(RATES):
        h = conv_transpose1d(h, **p["ups"][str(i)]["0"], stride=rate, padding=rate // 2)
        yield f"up.{i}", h
        h = h + levels.pop()
        total = np.zeros_like(h)
        for j in range(len(TAPS)):
            branch = residual(p["resblocks"][str(len(TAPS) * i + j)], h)
            yield f"level.{i}.amp.{j}", branch
            total += branch
        total /= len(TAPS)
        h = total
        yield f"level.{i}", h
    h = activation(p["activation_post"], h)
    yield "activation_post", h
    h = conv1d(h, **p["conv_post"])
    yield "conv_post", h
    yield "wave", np.tanh(h[:, 0])


def pyramid(p: Params, wave: np.ndarray) -> Iterator[np.ndarray]:
    """Yield wave [B, T] at each of the vocoder's rates, the highest first: [B, C, T / rate]."""
    h = conv1d(wave[:, np.newaxis], **p["emb"])
    yield h
    for i, rate in enumerate(reversed(RATES[1:])):
        wide = np.pad(h, [(0, 0), (0, 0), (rate - 1, rate - 1)])
        h = conv1d(wide, **p["downsamples"][str(i)]["0"], padded=False, stride=rate)
        h = prelu(h, np.array([0.1], h.dtype))
        yield h


def residual(p: Params, x: np.ndarray) -> np.ndarray:
    """Apply ``x + conv(act(conv(act(x))))`` three times, the first conv dilated: [B, C, T]."""
    for i, dilation in enumerate(DILATIONS):
        h = activation(p["activations"][str(2 * i)], x)
        h = conv1d(h, **p["convs1"][str(i)], dilation=dilation)
        h = activation(p["activations"][str(2 * i + 1)], h)
        h = conv1d(h, **p["convs2"][str(i)])
        h += x
        x = h
    return x


def activation(p: Params, x: np.ndarray) -> np.ndarray:
    """Apply the snake at twice the rate, so that its harmonics do not alias; all ends are held."""
    up, down = p["upsample"]["filter"], p["downsample"]["lowpass"]["filter"]
    # The original adds its 1e-9 to b where our layer adds epsilon to 2 b.
    return snake_beta_at_twice(x, up.reshape(-1), down.reshape(-1), **p["act"], epsilon=2e-9)
