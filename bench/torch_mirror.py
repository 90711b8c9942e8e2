"""The network in torch, from the spec, as a peer: what the original computes, layer by layer."""

import torch
from torch.nn import functional

CHANNELS = 32


def prepare(params, dtype=torch.float32, device="cpu"):
    """A tree of numpy weights as torch tensors."""
    if isinstance(params, dict):
        return {name: prepare(value, dtype, device) for name, value in params.items()}
    return torch.from_numpy(params).to(device, dtype)


@torch.inference_mode()
def forward(p, x):
    """x [B, T] at 16 kHz -> [B, 3T - 4] at 48 kHz."""
    h = functional.conv1d(x[:, None], p["conv_pre"]["weight"], p["conv_pre"]["bias"], padding=3)
    h = skip = functional.interpolate(h, scale_factor=3, mode="linear", align_corners=False)
    for activation, conv in (("activation0", "conv1"), ("activation1", "conv2")):
        h = _snake(h, **p[activation])
        h = functional.conv1d(h, p[conv]["weight"], p[conv]["bias"], padding=5)
    h = h + skip[..., : h.shape[-1]]
    return torch.tanh(functional.conv1d(h, p["conv_post"]["weight"], padding=3))[:, 0]


@torch.inference_mode()
def speechsr(p, x):
    """The same of SpeechSR-48k: x [B, T] -> [B, 3T]."""
    h = functional.conv1d(x[:, None], p["conv_pre"]["weight"], p["conv_pre"]["bias"], padding=3)
    h = functional.interpolate(h, scale_factor=3, mode="linear", align_corners=False)
    total = 0
    for q in p["resblocks"].values():
        z = h
        for i, dilation in enumerate((1, 3, 5)):
            first, second = q["convs1"][str(i)], q["convs2"][str(i)]
            half = first["weight"].shape[-1] // 2
            v = _held_snake(z, **q["activations"][str(2 * i)])
            v = functional.conv1d(
                v, first["weight"], first["bias"], padding=half * dilation, dilation=dilation
            )
            v = _held_snake(v, **q["activations"][str(2 * i + 1)])
            z = z + functional.conv1d(v, second["weight"], second["bias"], padding=half)
        total = total + z
    h = _held_snake(total / len(p["resblocks"]), **p["activation_post"])
    return torch.tanh(functional.conv1d(h, p["conv_post"]["weight"], padding=3))[:, 0]


def _held_snake(h, upsample, snakebeta, downsample):
    """The textbook's activation, with the end samples held."""
    w, f = 2 * upsample["filter"].flip(0), downsample["filter"].expand(CHANNELS, 1, -1)
    zero = torch.zeros(1)
    bank = torch.stack([torch.cat([w[0::2], zero]), torch.cat([zero, w[1::2]])])[:, None]
    h = functional.pad(h, (3, 3), mode="replicate")
    h = functional.conv1d(h, bank.repeat(CHANNELS, 1, 1), groups=CHANNELS)
    h = h.reshape(len(h), CHANNELS, 2, -1).transpose(2, 3).reshape(len(h), CHANNELS, -1)
    a, b = (torch.exp(snakebeta[name])[:, None] for name in ("alpha", "beta"))
    h = h + torch.sin(a * h) ** 2 / (b + 1e-9)
    h = functional.pad(h, (5, 5), mode="replicate")
    return functional.conv1d(h, f, stride=2, groups=CHANNELS)


def _snake(h, upsample, snakebeta, downsample):
    # Both phases of the upsampler as one grouped convolution, [even, odd] for each channel.
    w = 2 * upsample["filter"]
    bank = torch.stack([w[0::2], w[1::2]])[:, None].repeat(CHANNELS, 1, 1)
    h = functional.conv1d(functional.pad(h, (2, 3)), bank, groups=CHANNELS)
    h = h.reshape(len(h), CHANNELS, 2, -1).transpose(2, 3).reshape(len(h), CHANNELS, -1)
    h = h[..., 2:-2]
    a, b = (torch.exp(snakebeta[name])[:, None] for name in ("alpha", "beta"))
    h = h + (1 - torch.cos(2 * a * h)) / (2 * b + 1e-9)
    f = downsample["filter"].expand(CHANNELS, 1, -1)
    return functional.conv1d(h, f, stride=2, padding=5, groups=CHANNELS)
