"""FlashSR's vocoder, as in `novasr_np.networks.flashsr.vocoder`."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from novasr_np.networks.flashsr.spec import DILATIONS, RATES, TAPS

from ...fast import snake_beta_at_twice
from ...layers import conv1d, conv_transpose1d, prelu
from ...layers.conv import pad_time

Params = dict[str, Any]


def stages(
    p: Params, mel: Any, wave: Any, *, precision: str = "highest"
) -> Iterator[tuple[str, jax.Array]]:
    """Yield (name, activation) for every stage, in order; the last is ``wave`` [B, 480 F].

    mel [B, F, M], wave [B, 480 F] normalised; p: the vocoder's part of the weights; all of one
    dtype. A hidden activation is [B, time, channels].
    """
    conv = partial(conv1d, precision=precision)
    levels: list[jax.Array] = []
    for level in pyramid(p["audio_block"], wave, precision):
        yield f"pyramid.{len(levels)}", level
        levels.append(level)
    h = conv(mel, **p["conv_pre"])
    yield "conv_pre", h
    for i, rate in enumerate(RATES):
        up = p["ups"][str(i)]["0"]
        h = conv_transpose1d(h, **up, stride=rate, padding=rate // 2, precision=precision)
        yield f"up.{i}", h
        h = h + levels.pop()
        total: Any = 0
        for j in range(len(TAPS)):
            branch = residual(p["resblocks"][str(len(TAPS) * i + j)], h, precision)
            yield f"level.{i}.amp.{j}", branch
            total = total + branch
        h = total / len(TAPS)
        yield f"level.{i}", h
    h = activation(p["activation_post"], h)
    yield "activation_post", h
    h = conv(h, **p["conv_post"])
    yield "conv_post", h
    yield "wave", jnp.tanh(h[..., 0])


def pyramid(p: Params, wave: Any, precision: str) -> Iterator[jax.Array]:
    """Yield wave [B, T] at each of the vocoder's rates, the highest first: [B, T / rate, C]."""
    conv = partial(conv1d, precision=precision)
    h = conv(wave[..., None], **p["emb"])
    yield h
    for i, rate in enumerate(reversed(RATES[1:])):
        wide = pad_time(h, rate - 1, rate - 1)
        h = conv(wide, **p["downsamples"][str(i)]["0"], padded=False, stride=rate)
        h = prelu(h, 0.1)
        yield h


def residual(p: Params, x: Any, precision: str) -> jax.Array:
    """Apply ``x + conv(act(conv(act(x))))`` three times, the first conv dilated: [B, T, C]."""
    conv = partial(conv1d, precision=precision)
    for i, dilation in enumerate(DILATIONS):
        h = activation(p["activations"][str(2 * i)], x)
        h = conv(h, **p["convs1"][str(i)], dilation=dilation)
        h = activation(p["activations"][str(2 * i + 1)], h)
        x = x + conv(h, **p["convs2"][str(i)])
    return x


def activation(p: Params, x: Any) -> jax.Array:
    """Apply the snake at twice the rate, so that its harmonics do not alias; all ends are held."""
    up, down = p["upsample"]["filter"], p["downsample"]["lowpass"]["filter"]
    # The original adds its 1e-9 to b where our layer adds epsilon to 2 b.
    return snake_beta_at_twice(x, up.reshape(-1), down.reshape(-1), **p["act"], epsilon=2e-9)
