"""FlashSR's U-Net, which separates noise from latent: that of latent diffusion (arXiv 2112.10752).

Arrays are [B, channel, row, column], in the latent's size, or a half, a quarter, an eighth of it.
"""

from collections.abc import Generator, Iterator

import numpy as np

from ...fast.blocked import upsampling_conv2d
from ...layers import attention, conv2d, gelu, group_norm, layer_norm, linear, silu
from ...tensors import cast
from ..record import Params
from .spec import GROUPS, HEAD

Stages = Generator[tuple[str, np.ndarray], None, np.ndarray]


def stages(
    params: Params, x: np.ndarray, embedding: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage, in order; the last is ``v`` [B, Z, H, W].

    x [B, 2 Z, H, W], the noise first, then the condition, float32 or float64, H and W multiples of
    8; embedding [E]: of the diffusion step (`sampler.embedding`); params: as `spec.unet_tensors`,
    used in x's dtype.
    """
    p = cast(params, x.dtype)
    emb = embedding[np.newaxis].astype(x.dtype)
    yield "t_emb", emb
    emb = linear(silu(linear(emb, **p["time_embed"]["0"])), **p["time_embed"]["2"])
    yield "time_embed", emb
    h, kept = x, []
    for i, block in enumerate(_list(p["input_blocks"])):
        h = yield from _block(f"input_blocks.{i}", block, h, emb)
        kept.append(h)
    h = yield from _block("middle_block", p["middle_block"], h, emb)
    for i, block in enumerate(_list(p["output_blocks"])):
        h = np.concatenate([h, kept.pop()], axis=1)
        h = yield from _block(f"output_blocks.{i}", block, h, emb)
    yield "v", conv2d(group_norm(h, **p["out"]["0"], groups=GROUPS, then=silu), **p["out"]["2"])


def _block(name: str, p: Params, h: np.ndarray, emb: np.ndarray) -> Stages:
    """Apply one layer after another; its parameters determine what each layer is."""
    for j, layer in enumerate(_list(p)):
        inner = f"{name}.{j}"
        if "in_layers" in layer:
            h = yield from _residual(inner, layer, h, emb)
        elif "transformer_blocks" in layer:
            h = yield from _transformer(inner, layer, h)
        elif "op" in layer:
            h = conv2d(h, **layer["op"], stride=2)
        elif "conv" in layer:
            h = upsampling_conv2d(h, **layer["conv"])
        else:
            h = conv2d(h, **layer)
        yield inner, h
    yield name, h
    return h


def _residual(name: str, p: Params, x: np.ndarray, emb: np.ndarray) -> Stages:
    """Add two convolutions to x; the diffusion step shifts the channels between them."""
    first, last = p["in_layers"], p["out_layers"]
    h = conv2d(group_norm(x, **first["0"], groups=GROUPS, then=silu), **first["2"])
    yield f"{name}.in_layers", h
    shift = linear(silu(emb), **p["emb_layers"]["1"])
    yield f"{name}.emb_layers", shift
    h = h + shift[:, :, np.newaxis, np.newaxis]
    h = conv2d(group_norm(h, **last["0"], groups=GROUPS, then=silu), **last["3"])
    yield f"{name}.out_layers", h
    if "skip_connection" in p:
        x = conv2d(x, **p["skip_connection"])
        yield f"{name}.skip_connection", x
    return x + h


def _transformer(name: str, p: Params, x: np.ndarray) -> Stages:
    """Add two attentions and a gated layer to x, with the pixels as a sequence."""
    h = group_norm(x, **p["norm"], groups=GROUPS, epsilon=1e-6)
    yield f"{name}.norm", h
    h = conv2d(h, **p["proj_in"])
    yield f"{name}.proj_in", h
    tokens = np.swapaxes(h.reshape(*h.shape[:2], -1), 1, 2)  # [B, H W, C]
    block, inner = p["transformer_blocks"]["0"], f"{name}.transformer_blocks.0"
    for i in (1, 2):
        h = layer_norm(tokens, **block[f"norm{i}"])
        yield f"{inner}.norm{i}", h
        h = _attention(block[f"attn{i}"], h)
        yield f"{inner}.attn{i}", h
        tokens = tokens + h
    h = layer_norm(tokens, **block["norm3"])
    yield f"{inner}.norm3", h
    value, gate = np.split(linear(h, **block["ff"]["net"]["0"]["proj"]), 2, axis=-1)
    h = value * gelu(gate)
    yield f"{inner}.ff.net.0", h
    h = linear(h, **block["ff"]["net"]["2"])
    yield f"{inner}.ff", h
    tokens = tokens + h
    yield inner, tokens
    h = conv2d(np.swapaxes(tokens, 1, 2).reshape(x.shape), **p["proj_out"])
    yield f"{name}.proj_out", h
    return x + h


def _attention(p: Params, x: np.ndarray) -> np.ndarray:
    q, k, v = (linear(x, **p[f"to_{name}"]) for name in "qkv")
    return linear(attention(q, k, v, heads=x.shape[-1] // HEAD), **p["to_out"]["0"])


def _list(p: Params) -> list[Params]:
    return [p[str(i)] for i in range(len(p))]
