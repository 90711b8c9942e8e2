"""FlashSR's U-Net, as in `novasr_np.networks.flashsr.unet`.

Arrays are [B, row, column, channel], in the latent's size, or a half, a quarter, an eighth of it.
"""

from collections.abc import Generator, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from novasr_np.networks.flashsr.spec import GROUPS, HEAD

from ...fast import upsampling_conv2d
from ...layers import (
    attention,
    conv2d,
    gelu,
    group_norm,
    layer_norm,
    linear,
    silu,
)

Params = dict[str, Any]
Stages = Generator[tuple[str, jax.Array], None, jax.Array]


def stages(
    p: Params, x: Any, embedding: Any, *, precision: str = "highest"
) -> Iterator[tuple[str, jax.Array]]:
    """Yield (name, activation) for every stage, in order; the last is ``v`` [B, H, W, Z].

    x [B, H, W, 2 Z], the noise first, then the condition, H and W multiples of 8; embedding [B, E]
    or [1, E]: of the diffusion step; p: the U-Net's part of the weights; all of one dtype.
    """
    yield "t_emb", embedding
    emb = silu(linear(embedding, **p["time_embed"]["0"], precision=precision))
    emb = linear(emb, **p["time_embed"]["2"], precision=precision)
    yield "time_embed", emb
    h, kept = x, []
    for i, block in enumerate(_list(p["input_blocks"])):
        h = yield from _block(f"input_blocks.{i}", block, h, emb, precision)
        kept.append(h)
    h = yield from _block("middle_block", p["middle_block"], h, emb, precision)
    for i, block in enumerate(_list(p["output_blocks"])):
        h = jnp.concatenate([h, kept.pop()], axis=-1)
        h = yield from _block(f"output_blocks.{i}", block, h, emb, precision)
    h = silu(group_norm(h, **p["out"]["0"], groups=GROUPS))
    yield "v", conv2d(h, **p["out"]["2"], precision=precision)


def _block(name: str, p: Params, h: Any, emb: Any, precision: str) -> Stages:
    """Apply one layer after another; its parameters determine what each layer is."""
    for j, layer in enumerate(_list(p)):
        inner = f"{name}.{j}"
        if "in_layers" in layer:
            h = yield from _residual(inner, layer, h, emb, precision)
        elif "transformer_blocks" in layer:
            h = yield from _transformer(inner, layer, h, precision)
        elif "op" in layer:
            h = conv2d(h, **layer["op"], stride=2, precision=precision)
        elif "conv" in layer:
            h = upsampling_conv2d(h, **layer["conv"], precision=precision)
        else:
            h = conv2d(h, **layer, precision=precision)
        yield inner, h
    yield name, h
    return h


def _residual(name: str, p: Params, x: Any, emb: Any, precision: str) -> Stages:
    """Add two convolutions to x; the diffusion step shifts the channels between them."""
    first, last = p["in_layers"], p["out_layers"]
    h = silu(group_norm(x, **first["0"], groups=GROUPS))
    h = conv2d(h, **first["2"], precision=precision)
    yield f"{name}.in_layers", h
    shift = linear(silu(emb), **p["emb_layers"]["1"], precision=precision)
    yield f"{name}.emb_layers", shift
    h = h + shift[:, None, None]
    h = silu(group_norm(h, **last["0"], groups=GROUPS))
    h = conv2d(h, **last["3"], precision=precision)
    yield f"{name}.out_layers", h
    if "skip_connection" in p:
        x = conv2d(x, **p["skip_connection"], precision=precision)
        yield f"{name}.skip_connection", x
    return x + h


def _transformer(name: str, p: Params, x: Any, precision: str) -> Stages:
    """Add two attentions and a gated layer to x, with the pixels as a sequence."""
    h = group_norm(x, **p["norm"], groups=GROUPS, epsilon=1e-6)
    yield f"{name}.norm", h
    h = conv2d(h, **p["proj_in"], precision=precision)
    yield f"{name}.proj_in", h
    tokens = h.reshape(h.shape[0], -1, h.shape[-1])  # [B, H W, C]
    block, inner = p["transformer_blocks"]["0"], f"{name}.transformer_blocks.0"
    for i in (1, 2):
        h = layer_norm(tokens, **block[f"norm{i}"])
        yield f"{inner}.norm{i}", h
        h = _attention(block[f"attn{i}"], h, precision)
        yield f"{inner}.attn{i}", h
        tokens = tokens + h
    h = layer_norm(tokens, **block["norm3"])
    yield f"{inner}.norm3", h
    first, last = block["ff"]["net"]["0"]["proj"], block["ff"]["net"]["2"]
    value, gate = jnp.split(linear(h, **first, precision=precision), 2, axis=-1)
    h = value * gelu(gate)
    yield f"{inner}.ff.net.0", h
    h = linear(h, **last, precision=precision)
    yield f"{inner}.ff", h
    tokens = tokens + h
    yield inner, tokens
    h = conv2d(tokens.reshape(x.shape), **p["proj_out"], precision=precision)
    yield f"{name}.proj_out", h
    return x + h


def _attention(p: Params, x: Any, precision: str) -> jax.Array:
    q, k, v = (linear(x, **p[f"to_{name}"], precision=precision) for name in "qkv")
    y = attention(q, k, v, heads=x.shape[-1] // HEAD, precision=precision)
    return linear(y, **p["to_out"]["0"], precision=precision)


def _list(p: Params) -> list[Params]:
    return [p[str(i)] for i in range(len(p))]
