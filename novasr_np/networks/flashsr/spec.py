"""FlashSR on one page: rates, sizes, and the tables of tensors.

Data only, used by the rest of this folder. The networks take their widths from the tensors' shapes.
"""

from typing import Any, NamedTuple

SAMPLE_RATE = 48_000  # Hz, of input and output alike
WINDOW = 245_760  # samples, 5.12 s: the length in training
STEP = 30_720  # samples: the networks take any multiple; 64 frames, 8 rows of the latent
ROW = 3_840  # samples, 80 ms, of a row of the latent

# The spectrogram: logarithms of magnitudes, a frame every 10 ms.
HOP, N_FFT = 480, 2048  # samples
LOWEST, HIGHEST = 20, 24_000  # Hz
FLOOR = 1e-5  # of a magnitude, before the logarithm

LATENT_SCALE = 0.3342  # between the autoencoder's latent and the diffusion's
TIMESTEPS, LAST = 1000, 999  # of the diffusion; the single step starts from the last
GROUPS = 32  # of every group normalisation
HEAD = 32  # channels of an attention's head in the U-Net
VAE_LEVELS = (1, 2, 4, 8)  # times the autoencoder's width
UNET_LEVELS = (1, 2, 3, 5)  # times the U-Net's width; all but the first have attention

# The vocoder, whose channels are halved by each of
RATES = (10, 6, 2, 2, 2)
TAPS = (3, 7, 11)  # of the three residual blocks after each
DILATIONS = (1, 3, 5)  # of the convolutions in a block

Table = dict[str, tuple[int, ...]]


class Sizes(NamedTuple):
    """Sizes that differ in a smaller FlashSR. All three widths are multiples of 32."""

    mels: int = 256
    latent: int = 16  # channels
    vae: int = 128  # channels at full resolution
    unet: int = 128  # likewise
    vocoder: int = 1536  # channels before the first upsampling


FULL = Sizes()


def sizes_of(params: dict[str, Any]) -> Sizes:
    """Sizes of the networks that a tree of weights is for."""
    vocoder, mels, _ = params["vocoder"]["conv_pre"]["weight"].shape
    return Sizes(
        mels=mels,
        latent=params["vae"]["post_quant_conv"]["weight"].shape[1],
        vae=params["vae"]["encoder"]["conv_in"]["weight"].shape[0],
        unet=params["unet"]["time_embed"]["0"]["weight"].shape[1],
        vocoder=vocoder,
    )


def vae_tensors(sizes: Sizes = FULL) -> Table:
    """The autoencoder's tensors, name -> shape. Convolutions are [out, in, row, column]."""
    width, latent = sizes.vae, sizes.latent
    widths = [width * level for level in VAE_LEVELS]
    table = _conv("encoder.conv_in", width, 1, 3, 3)
    for i, out in enumerate(widths):
        for j in range(2):
            table |= _vae_block(f"encoder.down.{i}.block.{j}", width, out)
            width = out
        if i < len(widths) - 1:
            table |= _conv(f"encoder.down.{i}.downsample.conv", out, out, 3, 3)
    table |= _vae_middle("encoder.mid", width)
    table |= _norm("encoder.norm_out", width)
    table |= _conv("encoder.conv_out", 2 * latent, width, 3, 3)
    table |= _conv("quant_conv", 2 * latent, 2 * latent, 1, 1)

    table |= _conv("post_quant_conv", latent, latent, 1, 1)
    table |= _conv("decoder.conv_in", width, latent, 3, 3)
    table |= _vae_middle("decoder.mid", width)
    for i, out in reversed(list(enumerate(widths))):
        for j in range(3):
            table |= _vae_block(f"decoder.up.{i}.block.{j}", width, out)
            width = out
        if i > 0:
            table |= _conv(f"decoder.up.{i}.upsample.conv", out, out, 3, 3)
    return table | _norm("decoder.norm_out", width) | _conv("decoder.conv_out", 1, width, 3, 3)


def unet_tensors(sizes: Sizes = FULL) -> Table:
    """The U-Net's tensors, name -> shape. Convolutions are [out, in, row, column]."""
    width, inner = sizes.unet, 4 * sizes.unet
    table = _linear("time_embed.0", inner, width) | _linear("time_embed.2", inner, inner)
    table |= _conv("input_blocks.0.0", width, 2 * sizes.latent, 3, 3)
    kept = [width]  # channels of each input block, for the output blocks
    for level, times in enumerate(UNET_LEVELS):
        for _ in range(2):
            name, out = f"input_blocks.{len(kept)}", sizes.unet * times
            table |= _unet_block(name, width, out, inner, level > 0)
            width = out
            kept.append(width)
        if level < len(UNET_LEVELS) - 1:
            table |= _conv(f"input_blocks.{len(kept)}.0.op", width, width, 3, 3)
            kept.append(width)
    table |= _residual("middle_block.0", width, width, inner)
    table |= _transformer("middle_block.1", width) | _transformer("middle_block.2", width)
    table |= _residual("middle_block.3", width, width, inner)
    count = 0
    for level, times in reversed(list(enumerate(UNET_LEVELS))):
        for j in range(3):
            name, out = f"output_blocks.{count}", sizes.unet * times
            table |= _unet_block(name, width + kept.pop(), out, inner, level > 0)
            width, count = out, count + 1
            if level > 0 and j == 2:
                table |= _conv(f"{name}.3.conv", width, width, 3, 3)
    return table | _norm("out.0", width) | _conv("out.2", sizes.latent, width, 3, 3)


def vocoder_tensors(sizes: Sizes = FULL) -> Table:
    """The vocoder's tensors, name -> shape, weight normalisation folded.

    Convolutions are [out, in, tap], but those of `ups`, which are transposed, [in, out, tap].
    """
    width = sizes.vocoder
    table = _conv("conv_pre", width, sizes.mels, 7)
    for i, rate in enumerate(RATES):
        wide, width = width, width // 2
        table |= {f"ups.{i}.0.weight": (wide, width, 2 * rate), f"ups.{i}.0.bias": (width,)}
        for j, taps in enumerate(TAPS):
            name = f"resblocks.{len(TAPS) * i + j}"
            for k in range(len(DILATIONS)):
                table |= _conv(f"{name}.convs1.{k}", width, width, taps)
                table |= _conv(f"{name}.convs2.{k}", width, width, taps)
            for k in range(2 * len(DILATIONS)):
                table |= _activation(f"{name}.activations.{k}", width)
    table |= _activation("activation_post", width) | _conv("conv_post", 1, width, 7)
    table |= _conv("audio_block.emb", width, 1, 7)
    for i, rate in enumerate(reversed(RATES[1:])):
        table |= _conv(f"audio_block.downsamples.{i}.0", 2 * width, width, 2 * rate)
        width *= 2
    return table


def original_tensors(sizes: Sizes = FULL) -> dict[str, Table]:
    """Names and shapes in each of the original's files, without those that are `UNUSED`."""
    vocoder: Table = {}
    for name, shape in vocoder_tensors(sizes).items():
        if name.endswith(".weight") and not name.startswith("audio_block."):
            vocoder |= {f"{name}_g": (shape[0], 1, 1), f"{name}_v": shape}
        else:
            vocoder[name] = shape
    return {
        "vae.pth": vae_tensors(sizes),
        "student_ldm.pth": {f"model.{name}": s for name, s in unet_tensors(sizes).items()},
        "sr_vocoder.pth": vocoder,
    }


# Other contents of the original's files, by prefixes of the names: another vocoder, the diffusion's
# numbers for training, moving averages of weights, and a convolution that is never called.
UNUSED = {
    "vae.pth": ("vocoder.",),
    "student_ldm.pth": ("betas", "alphas_", "sqrt_", "log_", "posterior_", "model_ema."),
    "sr_vocoder.pth": ("audio_block.downsamples.4.",),
}


def _conv(name: str, out: int, into: int, *taps: int) -> Table:
    return {f"{name}.weight": (out, into, *taps), f"{name}.bias": (out,)}


def _linear(name: str, out: int, into: int) -> Table:
    return _conv(name, out, into)


def _norm(name: str, size: int) -> Table:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _vae_block(name: str, into: int, out: int) -> Table:
    return {
        **_norm(f"{name}.norm1", into),
        **_conv(f"{name}.conv1", out, into, 3, 3),
        **_norm(f"{name}.norm2", out),
        **_conv(f"{name}.conv2", out, out, 3, 3),
        **(_conv(f"{name}.nin_shortcut", out, into, 1, 1) if into != out else {}),
    }


def _vae_middle(name: str, size: int) -> Table:
    table = _vae_block(f"{name}.block_1", size, size) | _norm(f"{name}.attn_1.norm", size)
    for part in ("q", "k", "v", "proj_out"):
        table |= _conv(f"{name}.attn_1.{part}", size, size, 1, 1)
    return table | _vae_block(f"{name}.block_2", size, size)


def _unet_block(name: str, into: int, out: int, inner: int, attends: bool) -> Table:
    table = _residual(f"{name}.0", into, out, inner)
    if attends:
        table |= _transformer(f"{name}.1", out) | _transformer(f"{name}.2", out)
    return table


def _residual(name: str, into: int, out: int, inner: int) -> Table:
    return {
        **_norm(f"{name}.in_layers.0", into),
        **_conv(f"{name}.in_layers.2", out, into, 3, 3),
        **_linear(f"{name}.emb_layers.1", out, inner),
        **_norm(f"{name}.out_layers.0", out),
        **_conv(f"{name}.out_layers.3", out, out, 3, 3),
        **(_conv(f"{name}.skip_connection", out, into, 1, 1) if into != out else {}),
    }


def _transformer(name: str, size: int) -> Table:
    table = _norm(f"{name}.norm", size)
    table |= _conv(f"{name}.proj_in", size, size, 1, 1)
    table |= _conv(f"{name}.proj_out", size, size, 1, 1)
    block = f"{name}.transformer_blocks.0"
    for part in ("attn1", "attn2"):
        table |= {f"{block}.{part}.to_{x}.weight": (size, size) for x in "qkv"}
        table |= _linear(f"{block}.{part}.to_out.0", size, size)
    table |= _linear(f"{block}.ff.net.0.proj", 8 * size, size)
    table |= _linear(f"{block}.ff.net.2", size, 4 * size)
    for i in (1, 2, 3):
        table |= _norm(f"{block}.norm{i}", size)
    return table


def _activation(name: str, size: int) -> Table:
    return {
        f"{name}.act.alpha": (size,),
        f"{name}.act.beta": (size,),
        f"{name}.upsample.filter": (1, 1, 12),
        f"{name}.downsample.lowpass.filter": (1, 1, 12),
    }
