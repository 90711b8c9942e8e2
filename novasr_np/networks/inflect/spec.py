"""Inflect-Nano-v1 on one page: rates, sizes, and the tables of tensors.

Data only, used by the rest of this folder. The networks take their sizes from the tensors' shapes.
"""

from typing import NamedTuple

SAMPLE_RATE = 24_000  # Hz
HOP = 256  # samples of a frame
MAX_FRAMES = 1400  # of an utterance, 14.93 s: the positions were trained up to here

# The acoustic model.
HIDDEN, MELS, HEAD = 168, 80, 84
ENCODERS, DECODERS = 5, 6
KERNEL, SMOOTH = 7, 5  # taps in the blocks, and after the mel head
PHONES, TONES, LANGUAGES, SPEAKERS, SPEAKER = 256, 16, 4, 2, 64
BINS = 512  # positions of a frame in the utterance
FEATURES = 8  # of a frame's position in its phone
POSTNET_SCALE = 0.1
MAX_LENGTH = 80.0  # frames of a phone before the speed is applied

# The vocoder.
CHANNELS = 144  # halved by each of
RATES = (8, 8, 2, 2)
TAPS = (3, 7, 11)  # of the three residual blocks after each
DILATIONS = (1, 3, 5)  # of the convolutions in a block
CONTEXT = 13  # frames on either side that a frame's samples depend on


class Prosody(NamedTuple):
    """Length, pitch and energy of an utterance, relative to the network's own."""

    length: float = 1.0  # of the phones; 2 is half as fast
    pitch: float = 1.0  # of the deviation from the mean pitch
    energy: float = 1.0


AS_IT_IS = Prosody()


def _linear(name: str, out: int, into: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _norm(name: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _head(name: str, size: int, inner: int, out: int) -> dict[str, tuple[int, ...]]:
    parts = _norm(f"{name}.0", size), _linear(f"{name}.1", inner, size)
    return parts[0] | parts[1] | _linear(f"{name}.3", out, inner)


def _mlp(name: str, into: int, inner: int, out: int) -> dict[str, tuple[int, ...]]:
    return _linear(f"{name}.0", inner, into) | _linear(f"{name}.2", out, inner)


def _block(name: str, size: int, widen: int) -> dict[str, tuple[int, ...]]:
    return {
        **_norm(f"{name}.norm1", size),
        f"{name}.depth.weight": (2 * size, 1, KERNEL),
        f"{name}.depth.bias": (2 * size,),
        f"{name}.point.weight": (size, size, 1),
        f"{name}.point.bias": (size,),
        **_norm(f"{name}.norm2", size),
        **_linear(f"{name}.ff.0", widen * size, size),
        **_linear(f"{name}.ff.3", size, widen * size),
    }


def acoustic_tensors(
    hidden: int = HIDDEN,
    mels: int = MELS,
    encoders: int = ENCODERS,
    decoders: int = DECODERS,
    speaker: int = SPEAKER,
    bins: int = BINS,
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors. Convolutions are [out, in, tap], linear layers [out, in]."""
    half = hidden // 2
    table: dict[str, tuple[int, ...]] = {
        "phone.weight": (PHONES, hidden),
        "tone.weight": (TONES, hidden),
        "lang.weight": (LANGUAGES, hidden),
        "speaker.weight": (SPEAKERS, speaker),
        **_linear("speaker_proj", hidden, speaker),
    }
    for i in range(encoders):
        table |= _block(f"encoder.{i}", hidden, 4)
    for name, inner, out in (
        ("duration_head", hidden, 1),
        ("energy_head", half, 1),
        ("bright_head", half, 1),
        ("pitch_head", hidden, 2),
    ):
        table |= _head(name, hidden, inner, out)
    table |= _linear("energy_proj", hidden, 1) | _linear("bright_proj", hidden, 1)
    table |= _mlp("frame_proj", FEATURES, hidden, hidden)
    table |= _mlp("local_ctx", 3 * hidden, 2 * hidden, hidden)
    table |= _mlp("pitch_proj", 2, hidden, hidden) | {"abs_frame.weight": (bins, hidden)}
    for i in range(decoders):
        table |= _block(f"decoder.{i}", hidden, 3)
    for way in ("", "_reverse"):
        table |= {
            f"frame_gru.weight_ih_l0{way}": (3 * half, hidden),
            f"frame_gru.weight_hh_l0{way}": (3 * half, half),
            f"frame_gru.bias_ih_l0{way}": (3 * half,),
            f"frame_gru.bias_hh_l0{way}": (3 * half,),
        }
    table |= _head("mel_head", hidden, hidden, mels)
    widths = (mels, hidden, hidden, mels)
    for i in range(3):
        table |= {
            f"postnet.{2 * i}.weight": (widths[i + 1], widths[i], SMOOTH),
            f"postnet.{2 * i}.bias": (widths[i + 1],),
        }
    return table


def vocoder_tensors(mels: int = MELS, channels: int = CHANNELS) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the vocoder's tensors, weight normalisation folded.

    Convolutions are [out, in, tap], except those of `ups`, which are transposed, [in, out, tap].
    """
    table: dict[str, tuple[int, ...]] = _conv("conv_pre", channels, mels, 7)
    for i, rate in enumerate(RATES):
        wide, channels = channels, channels // 2
        table[f"up_acts.{i}.log_alpha"] = (wide,)
        table |= {f"ups.{i}.weight": (wide, channels, 2 * rate), f"ups.{i}.bias": (channels,)}
        for j, taps in enumerate(TAPS):
            name = f"resblocks.{len(TAPS) * i + j}"
            for k in range(len(DILATIONS)):
                for half in (1, 2):
                    table[f"{name}.acts{half}.{k}.log_alpha"] = (channels,)
                    table |= _conv(f"{name}.convs{half}.{k}", channels, channels, taps)
    return table | {"post_act.log_alpha": (channels,)} | _conv("conv_post", 1, channels, 7)


def _conv(name: str, out: int, into: int, taps: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, into, taps), f"{name}.bias": (out,)}


# The published files: sha256 -> name.
PUBLISHED = {
    "0129f730a25a1e44d1799a1d47166c9a3a5644e58fb84a3b554d5c036827ec89": (
        "inflect_nano_v1_acoustic.pt"
    ),
    "57482bee18ef72c2df0153f44dafd14f1666ce11cd1558e3437272b13fa18d08": (
        "inflect_nano_v1_vocoder.pt"
    ),
}

# The original's configuration of the acoustic model. A field that a file lacks has this value.
CONFIG: dict[str, float] = {
    "vocab_size": PHONES,
    "tone_size": TONES,
    "lang_size": LANGUAGES,
    "n_mels": MELS,
    "hidden": HIDDEN,
    "encoder_layers": ENCODERS,
    "decoder_layers": DECODERS,
    "decoder_ff_mult": 3,
    "kernel_size": KERNEL,
    "speaker_count": SPEAKERS,
    "speaker_dim": SPEAKER,
    "sample_rate": SAMPLE_RATE,
    "max_frames": MAX_FRAMES,
    "postnet_scale": POSTNET_SCALE,
    "use_frame_pitch": True,
    "abs_frame_bins": BINS,
    "use_contextual_predictors": False,
    "use_group_duration_planner": False,
}
UNUSED = "dropout"  # the only field that does not change speech
VARIANT = "snake_v2mid"  # of the vocoder; it fixes all of its other sizes
