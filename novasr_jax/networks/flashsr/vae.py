"""FlashSR's autoencoder of spectrograms, as in `novasr_np.networks.flashsr.vae`.

Arrays are [B, frame, mel, channel] here. The latent has an eighth of the frames and of the mels.
"""

from collections.abc import Generator, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from novasr_np.networks.flashsr.spec import GROUPS, VAE_LEVELS

from ...fast import upsampling_conv2d
from ...layers import attention, conv2d, group_norm, silu

_SMALLEST, _LARGEST = -30, 20  # of the logarithm of a variance

_norm = partial(group_norm, groups=GROUPS, epsilon=1e-6)

Params = dict[str, Any]
Stages = Generator[tuple[str, jax.Array], None, jax.Array]


def encode(p: Params, mel: Any, *, precision: str = "highest") -> Iterator[tuple[str, jax.Array]]:
    """Yield (name, activation) for every stage; the last is ``moments`` [B, F / 8, M / 8, 2 Z].

    mel [B, F, M, 1]; p: the autoencoder's part of the weights, of its dtype.
    """
    conv, part = partial(conv2d, precision=precision), p["encoder"]
    h = conv(mel, **part["conv_in"])
    yield "enc.conv_in", h
    for i in range(len(VAE_LEVELS)):
        level = part["down"][str(i)]
        for j in range(len(level["block"])):
            h = _residual(level["block"][str(j)], h, precision)
            yield f"enc.down.{i}.block.{j}", h
        if "downsample" in level:
            h = conv(h, **level["downsample"]["conv"], stride=2, pads=(0, 1))
            yield f"enc.down.{i}.downsample", h
    h = yield from _middle("enc.mid", part["mid"], h, precision)
    h = conv(silu(_norm(h, **part["norm_out"])), **part["conv_out"])
    yield "enc.conv_out", h
    yield "moments", conv(h, **p["quant_conv"])


def posterior(moments: Any, eps: Any = None) -> jax.Array:
    """Draw a latent of the distribution that `encode` returns: [B, H, W, Z].

    ``mean + exp(v / 2) eps``, v the logarithm of the variance; moments [B, H, W, 2 Z] hold the
    mean, then v; without eps the result is the mean.
    """
    mean, log_variance = jnp.split(moments, 2, axis=-1)
    if eps is None:
        return mean
    return mean + jnp.exp(jnp.clip(log_variance, _SMALLEST, _LARGEST) / 2) * eps


def decode(
    p: Params, latent: Any, *, precision: str = "highest"
) -> Iterator[tuple[str, jax.Array]]:
    """Yield (name, activation) for every stage; the last is ``dec.conv_out``, a mel spectrogram.

    latent [B, H, W, Z] gives [B, 8 H, 8 W, 1]; p as for `encode`.
    """
    conv, part = partial(conv2d, precision=precision), p["decoder"]
    h = conv(latent, **p["post_quant_conv"])
    yield "dec.post_quant", h
    h = conv(h, **part["conv_in"])
    yield "dec.conv_in", h
    h = yield from _middle("dec.mid", part["mid"], h, precision)
    for i in reversed(range(len(VAE_LEVELS))):
        level = part["up"][str(i)]
        for j in range(len(level["block"])):
            h = _residual(level["block"][str(j)], h, precision)
            yield f"dec.up.{i}.block.{j}", h
        if "upsample" in level:
            h = upsampling_conv2d(h, **level["upsample"]["conv"], precision=precision)
            yield f"dec.up.{i}.upsample", h
    yield "dec.conv_out", conv(silu(_norm(h, **part["norm_out"])), **part["conv_out"])


def _middle(name: str, p: Params, h: Any, precision: str) -> Stages:
    h = _residual(p["block_1"], h, precision)
    yield f"{name}.block_1", h
    h = _attention(p["attn_1"], h, precision)
    yield f"{name}.attn_1", h
    h = _residual(p["block_2"], h, precision)
    yield f"{name}.block_2", h
    return h


def _residual(p: Params, x: Any, precision: str) -> jax.Array:
    conv = partial(conv2d, precision=precision)
    h = conv(silu(_norm(x, **p["norm1"])), **p["conv1"])
    h = conv(silu(_norm(h, **p["norm2"])), **p["conv2"])
    return h + (conv(x, **p["nin_shortcut"]) if "nin_shortcut" in p else x)


def _attention(p: Params, x: Any, precision: str) -> jax.Array:
    """Apply attention over all pixels, with one head of all channels."""
    conv = partial(conv2d, precision=precision)
    h, (rows, *_, channels) = _norm(x, **p["norm"]), x.shape
    q, k, v = (conv(h, **p[name]).reshape(rows, -1, channels) for name in "qkv")
    y = attention(q, k, v, precision=precision).reshape(x.shape)
    return x + conv(y, **p["proj_out"])
