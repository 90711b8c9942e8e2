"""FlashSR in torch, from the spec, as a peer: what the original computes, layer by layer.

Arrays are [B, channel, frame, mel] up to the mel spectrogram that is decoded, then
[B, channel, time].
"""

import math
import warnings

import torch
from torch.nn import functional

from bench import torch_mirror
from novasr_np.networks.flashsr.sampler import schedule
from novasr_np.networks.flashsr.spec import DILATIONS, GROUPS, HEAD, LAST, LATENT_SCALE, RATES, TAPS


def prepare(params, dtype=torch.float32, device="cpu"):
    """``{"vae": tree, "unet": tree, "vocoder": tree}`` of numpy weights as torch tensors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a file that is mapped is not to be written, and is not
        return torch_mirror.prepare(params, dtype, device)


def forward(p, normalised, mel, noise):
    """normalised [B, T], mel [B, 1, T / 480, M], noise [B, Z, T / 3840, M / 8] -> [B, T]."""
    *_, (_, wave) = stages(p, normalised, mel, noise)
    return wave


@torch.inference_mode()
def stages(p, normalised, mel, noise):
    """Yield (name, what it gives) for each of the four networks; the last is forward's."""
    cond = encode(p["vae"], mel) * LATENT_SCALE
    yield "encoder", cond
    v = unet(p["unet"], torch.cat([noise, cond], 1), LAST)
    yield "U-Net", v
    alpha, sigma = (float(part[LAST]) for part in schedule())
    bands = decode(p["vae"], (alpha * noise - sigma * v) / LATENT_SCALE)
    yield "decoder", bands
    yield "vocoder", vocoder(p["vocoder"], bands[:, 0].transpose(1, 2), normalised)


def encode(p, mel):
    """mel [B, 1, F, M] -> the mean of the latent's distribution, [B, Z, F / 8, M / 8]."""
    part = p["encoder"]
    h = _conv2d(part["conv_in"], mel)
    for level in _list(part["down"]):
        for block in _list(level["block"]):
            h = _vae_residual(block, h)
        if "downsample" in level:
            h = functional.pad(h, (0, 1, 0, 1))
            h = functional.conv2d(h, **level["downsample"]["conv"], stride=2)
    h = _norm(part["norm_out"], _vae_middle(part["mid"], h), 1e-6)
    h = _conv2d(part["conv_out"], functional.silu(h))
    return _conv2d(p["quant_conv"], h).chunk(2, 1)[0]


def decode(p, latent):
    """latent [B, Z, H, W] -> a mel spectrogram [B, 1, 8 H, 8 W]."""
    part = p["decoder"]
    h = _conv2d(part["conv_in"], _conv2d(p["post_quant_conv"], latent))
    h = _vae_middle(part["mid"], h)
    for level in reversed(_list(part["up"])):
        for block in _list(level["block"]):
            h = _vae_residual(block, h)
        if "upsample" in level:
            h = _conv2d(level["upsample"]["conv"], _repeat2(h))
    return _conv2d(part["conv_out"], functional.silu(_norm(part["norm_out"], h, 1e-6)))


def unet(p, x, t):
    """x [B, 2 Z, H, W], the noise first; t: the diffusion's step -> v [B, Z, H, W]."""
    half = p["time_embed"]["0"]["weight"].shape[1] // 2
    i = torch.arange(half, dtype=torch.float64, device=x.device)
    angle = t * torch.exp(-math.log(10_000) / half * i)
    emb = torch.cat([angle.cos(), angle.sin()])[None].to(x.dtype)
    emb = functional.linear(emb, **p["time_embed"]["0"])
    emb = functional.silu(functional.linear(functional.silu(emb), **p["time_embed"]["2"]))
    h, kept = x, []
    for block in _list(p["input_blocks"]):
        h = _unet_block(block, h, emb)
        kept.append(h)
    h = _unet_block(p["middle_block"], h, emb)
    for block in _list(p["output_blocks"]):
        h = _unet_block(block, torch.cat([h, kept.pop()], 1), emb)
    return _conv2d(p["out"]["2"], functional.silu(_norm(p["out"]["0"], h, 1e-5)))


def vocoder(p, mel, wave):
    """mel [B, M, F], wave [B, 480 F] -> [B, 480 F]."""
    audio = p["audio_block"]
    levels = [_conv1d(audio["emb"], wave[:, None])]
    for rate, down in zip(reversed(RATES[1:]), _list(audio["downsamples"]), strict=True):
        h = functional.conv1d(levels[-1], **down["0"], stride=rate, padding=rate - 1)
        levels.append(functional.leaky_relu(h, 0.1))
    h = _conv1d(p["conv_pre"], mel)
    for i, (rate, up) in enumerate(zip(RATES, _list(p["ups"]), strict=True)):
        h = functional.conv_transpose1d(h, **up["0"], stride=rate, padding=rate // 2)
        h = h + levels.pop()
        blocks = _list(p["resblocks"])[len(TAPS) * i :][: len(TAPS)]
        h = sum(_amp(block, h) for block in blocks) / len(TAPS)
    return torch.tanh(_conv1d(p["conv_post"], _activation(p["activation_post"], h)))[:, 0]


def _vae_residual(p, x):
    h = _conv2d(p["conv1"], functional.silu(_norm(p["norm1"], x, 1e-6)))
    h = _conv2d(p["conv2"], functional.silu(_norm(p["norm2"], h, 1e-6)))
    return h + (_conv2d(p["nin_shortcut"], x) if "nin_shortcut" in p else x)


def _vae_middle(p, x):
    x = _vae_residual(p["block_1"], x)
    q = p["attn_1"]
    h = _norm(q["norm"], x, 1e-6)
    h = _attention(*(_tokens(_conv2d(q[name], h)) for name in "qkv"), heads=1)
    return _vae_residual(p["block_2"], x + _conv2d(q["proj_out"], _places(h, x)))


def _unet_block(p, h, emb):
    for layer in _list(p):
        if "in_layers" in layer:
            h = _unet_residual(layer, h, emb)
        elif "transformer_blocks" in layer:
            h = _transformer(layer, h)
        elif "op" in layer:
            h = functional.conv2d(h, **layer["op"], stride=2, padding=1)
        elif "conv" in layer:
            h = _conv2d(layer["conv"], _repeat2(h))
        else:
            h = _conv2d(layer, h)
    return h


def _unet_residual(p, x, emb):
    first, last = p["in_layers"], p["out_layers"]
    h = _conv2d(first["2"], functional.silu(_norm(first["0"], x, 1e-5)))
    h = h + functional.linear(emb, **p["emb_layers"]["1"])[..., None, None]
    h = _conv2d(last["3"], functional.silu(_norm(last["0"], h, 1e-5)))
    return h + (_conv2d(p["skip_connection"], x) if "skip_connection" in p else x)


def _transformer(p, x):
    h = _tokens(_conv2d(p["proj_in"], _norm(p["norm"], x, 1e-6)))
    block = p["transformer_blocks"]["0"]
    for i in (1, 2):
        q = block[f"attn{i}"]
        a = functional.layer_norm(h, h.shape[-1:], **block[f"norm{i}"])
        a = [functional.linear(a, **q[f"to_{name}"]) for name in "qkv"]
        h = h + functional.linear(_attention(*a, heads=h.shape[-1] // HEAD), **q["to_out"]["0"])
    net = block["ff"]["net"]
    a = functional.layer_norm(h, h.shape[-1:], **block["norm3"])
    value, gate = functional.linear(a, **net["0"]["proj"]).chunk(2, -1)
    h = h + functional.linear(value * functional.gelu(gate), **net["2"])
    return x + _conv2d(p["proj_out"], _places(h, x))


def _amp(p, x):
    acts = _list(p["activations"])
    for i, dilation in enumerate(DILATIONS):
        h = _conv1d(p["convs1"][str(i)], _activation(acts[2 * i], x), dilation)
        x = x + _conv1d(p["convs2"][str(i)], _activation(acts[2 * i + 1], h))
    return x


def _activation(p, x):
    """As BigVGAN's own: twice the rate, the snake, and back, the end samples held."""
    channels = x.shape[1]
    up, down = p["upsample"]["filter"], p["downsample"]["lowpass"]["filter"]
    x = functional.pad(x, (5, 5), mode="replicate")
    up = up.expand(channels, -1, -1)
    u = 2 * functional.conv_transpose1d(x, up, stride=2, groups=channels)[..., 15:-15]
    a, b = (p["act"][name].exp()[:, None] for name in ("alpha", "beta"))
    u = u + torch.sin(u * a) ** 2 / (b + 1e-9)
    u = functional.pad(u, (5, 6), mode="replicate")
    return functional.conv1d(u, down.expand(channels, -1, -1), stride=2, groups=channels)


def _attention(q, k, v, heads):
    """q, k, v [B, N, C] -> the same."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _tokens(x):
    """[B, C, H, W] -> [B, H W, C]."""
    return x.flatten(2).transpose(1, 2)


def _places(tokens, like):
    return tokens.transpose(1, 2).reshape(like.shape)


def _conv2d(p, x):
    return functional.conv2d(x, **p, padding=p["weight"].shape[-1] // 2)


def _conv1d(p, x, dilation=1):
    half = p["weight"].shape[-1] // 2
    return functional.conv1d(x, **p, padding=half * dilation, dilation=dilation)


def _norm(p, x, epsilon):
    return functional.group_norm(x, GROUPS, **p, eps=epsilon)


def _repeat2(x):
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def _list(p):
    return [p[str(i)] for i in range(len(p))]
