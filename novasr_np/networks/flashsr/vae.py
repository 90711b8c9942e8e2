"""FlashSR's autoencoder of spectrograms: latent diffusion's (arXiv 2112.10752), as in AudioSR.

Arrays are [B, channel, frame, mel] here. The latent has an eighth of the frames and of the mels.
"""

from collections.abc import Callable, Generator, Iterator

import numpy as np

from ...fast.blocked import upsampling_conv2d
from ...layers import attention, conv2d, group_norm, silu
from ...tensors import cast
from ..record import Params
from .spec import GROUPS, VAE_LEVELS

_EPSILON = 1e-6  # of every normalisation
_SMALLEST, _LARGEST = -30, 20  # of the logarithm of a variance

Stages = Generator[tuple[str, np.ndarray], None, np.ndarray]


def encode(params: Params, mel: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage; the last is ``moments`` [B, 2 Z, F / 8, M / 8].

    mel [B, 1, F, M], float32 or float64; params: as `spec.vae_tensors`, used in its dtype.
    """
    p = cast({name: params[name] for name in ("encoder", "quant_conv")}, mel.dtype)
    part = p["encoder"]
    h = conv2d(mel, **part["conv_in"])
    yield "enc.conv_in", h
    for i in range(len(VAE_LEVELS)):
        level = part["down"][str(i)]
        for j in range(len(level["block"])):
            h = _residual(level["block"][str(j)], h)
            yield f"enc.down.{i}.block.{j}", h
        if "downsample" in level:
            h = conv2d(h, **level["downsample"]["conv"], stride=2, pads=(0, 1))
            yield f"enc.down.{i}.downsample", h
    h = yield from _middle("enc.mid", part["mid"], h)
    h = conv2d(_norm(part["norm_out"], h, silu), **part["conv_out"])
    yield "enc.conv_out", h
    yield "moments", conv2d(h, **p["quant_conv"])


def posterior(moments: np.ndarray, eps: np.ndarray | None = None) -> np.ndarray:
    """Draw a latent of the distribution that `encode` returns: [B, Z, H, W].

    ``mean + exp(v / 2) eps``, v the logarithm of the variance; moments [B, 2 Z, H, W] hold the
    mean, then v; without eps the result is the mean.
    """
    mean, log_variance = np.split(moments, 2, axis=1)
    if eps is None:
        return mean
    return mean + np.exp(np.clip(log_variance, _SMALLEST, _LARGEST) / 2) * eps


def decode(params: Params, latent: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage; the last is ``dec.conv_out``, a mel spectrogram.

    latent [B, Z, H, W], float32 or float64, gives [B, 1, 8 H, 8 W]; params as for `encode`.
    """
    p = cast({name: params[name] for name in ("decoder", "post_quant_conv")}, latent.dtype)
    part = p["decoder"]
    h = conv2d(latent, **p["post_quant_conv"])
    yield "dec.post_quant", h
    h = conv2d(h, **part["conv_in"])
    yield "dec.conv_in", h
    h = yield from _middle("dec.mid", part["mid"], h)
    for i in reversed(range(len(VAE_LEVELS))):
        level = part["up"][str(i)]
        for j in range(len(level["block"])):
            h = _residual(level["block"][str(j)], h)
            yield f"dec.up.{i}.block.{j}", h
        if "upsample" in level:
            h = upsampling_conv2d(h, **level["upsample"]["conv"])
            yield f"dec.up.{i}.upsample", h
    yield "dec.conv_out", conv2d(_norm(part["norm_out"], h, silu), **part["conv_out"])


def _middle(name: str, p: Params, h: np.ndarray) -> Stages:
    h = _residual(p["block_1"], h)
    yield f"{name}.block_1", h
    h = _attention(p["attn_1"], h)
    yield f"{name}.attn_1", h
    h = _residual(p["block_2"], h)
    yield f"{name}.block_2", h
    return h


def _residual(p: Params, x: np.ndarray) -> np.ndarray:
    h = conv2d(_norm(p["norm1"], x, silu), **p["conv1"])
    h = conv2d(_norm(p["norm2"], h, silu), **p["conv2"])
    h += conv2d(x, **p["nin_shortcut"]) if "nin_shortcut" in p else x
    return h


def _attention(p: Params, x: np.ndarray) -> np.ndarray:
    """Apply attention over all pixels, with one head of all channels."""
    h = _norm(p["norm"], x)
    q, k, v = (_tokens(conv2d(h, **p[name])) for name in "qkv")
    y = np.swapaxes(attention(q, k, v), 1, 2).reshape(x.shape)
    return x + conv2d(y, **p["proj_out"])


def _tokens(x: np.ndarray) -> np.ndarray:
    """[B, C, H, W] -> [B, H W, C]."""
    return np.swapaxes(x.reshape(*x.shape[:2], -1), 1, 2)


def _norm(
    p: Params, x: np.ndarray, then: Callable[[np.ndarray], np.ndarray] | None = None
) -> np.ndarray:
    return group_norm(x, **p, groups=GROUPS, epsilon=_EPSILON, then=then)
