"""Inflect-Nano: from ids of phones to samples, for batches of utterances of any lengths.

Rows of a batch are padded. After each layer that could change the zeros of the padding, they are
set to zero again, like the values beyond an utterance's end, so each row equals its result alone.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from novasr_np.networks.inflect.spec import (
    AS_IT_IS,
    DILATIONS,
    HOP,
    MAX_FRAMES,
    MAX_LENGTH,
    POSTNET_SCALE,
    RATES,
    TAPS,
    Prosody,
)

from ...layers import (
    conv1d,
    conv_transpose1d,
    gru,
    layer_norm,
    linear,
    sigmoid,
    silu,
    snake,
    zero_from,
)

Ids = tuple[Any, Any, Any]  # phones, tones, languages
Stages = Iterator[tuple[str, jax.Array]]

TOKENS, FRAMES = 32, 128  # a batch has whole multiples of these, so that few shapes are compiled


def stages(
    params: dict[str, Any],
    ids: Ids,
    counts: Any,
    speaker: int = 0,
    prosody: Prosody = AS_IT_IS,
    max_frames: int = MAX_FRAMES,
    size: int | None = None,
    precision: str = "highest",
) -> Stages:
    """Yield (name, activation) for every stage, under the names of `novasr_np`, channels last.

    Arguments as for `encode`, `decode` and `vocode`; params as `novasr_np` loads them. size: frames
    of each row; None for those of the longest, which works only outside `jit`. The last stage is
    ``wave`` [B, 256 size] at 24 kHz.
    """
    found: dict[str, Any] = {}
    for name, value in encode(params["acoustic"], ids, counts, speaker, prosody):
        found[name] = value
        yield name, value
    durations = found["durations"]
    lengths = jnp.minimum(durations.sum(axis=1), max_frames)
    size = int(lengths.max()) if size is None else size
    encoded = (found["conditioned"], found["pitch"], durations, counts)
    for name, value in decode(params["acoustic"], *encoded, size, prosody, max_frames):
        found[name] = value
        yield name, value
    for name, value in vocode(params["vocoder"], found["mel"], lengths, precision):
        yield ("wave" if name == "wave" else f"vocoder.{name}"), value


def encode(
    p: dict[str, Any], ids: Ids, counts: Any, speaker: int = 0, prosody: Prosody = AS_IT_IS
) -> Stages:
    """Yield the acoustic model's stages up to ``conditioned``.

    ids [B, L] each, counts [B]: each row's tokens; p: the acoustic part of the weights. `decode`
    takes ``conditioned``, ``pitch`` and ``durations``.
    """
    phones, tones, languages = ids
    who = linear(p["speaker"]["weight"][speaker], **p["speaker_proj"])
    x = p["phone"]["weight"][phones] + p["tone"]["weight"][jnp.minimum(tones, 15)]
    x = x + p["lang"]["weight"][jnp.minimum(languages, 3)] + who
    yield "embedded", x
    for i in range(len(p["encoder"])):
        x = yield from _block(f"encoder.{i}", p["encoder"][str(i)], x, counts)
    yield "encoded", x
    log_length = head(p["duration_head"], x)[..., 0]
    yield "log_dur", log_length
    energy = head(p["energy_head"], x)
    yield "energy", energy[..., 0]
    bright = head(p["bright_head"], x)
    yield "bright", bright[..., 0]
    yield "pitch", head(p["pitch_head"], x)
    frames = jnp.clip(jnp.expm1(log_length), 0, MAX_LENGTH) * prosody.length
    durations = jnp.maximum(1, jnp.rint(frames)).astype(jnp.int32)
    yield "durations", zero_from(durations[..., None], counts)[..., 0]
    x = x + linear(energy * prosody.energy, **p["energy_proj"])
    yield "conditioned", x + linear(bright, **p["bright_proj"])


def decode(
    p: dict[str, Any],
    conditioned: Any,
    pitch: Any,
    durations: Any,
    counts: Any,
    size: int,
    prosody: Prosody = AS_IT_IS,
    max_frames: int = MAX_FRAMES,
) -> Stages:
    """Yield the stages from tokens to frames; the last is ``mel`` [B, size, 80].

    conditioned [B, L, H], pitch [B, L, 2], durations [B, L] and counts [B] as in `encode`. A row
    has min(its durations' sum, max_frames) frames, followed by padding.
    """
    dtype = conditioned.dtype
    ends = jnp.cumsum(durations, axis=-1)
    lengths = jnp.minimum(ends[:, -1], max_frames)
    places = jnp.arange(size)
    token = jax.vmap(lambda end: jnp.searchsorted(end, places, side="right"))(ends)
    last = counts[:, None] - 1
    token = jnp.minimum(token, last)

    def at(values: Any, index: Any) -> jax.Array:
        return jnp.take_along_axis(values, index[..., None], axis=1)

    count = jnp.take_along_axis(durations, token, axis=1)
    inside = places - (jnp.take_along_axis(ends, token, axis=1) - count)
    long = count.astype(dtype)
    r = inside.astype(dtype) / jnp.maximum(long - 1, 1)
    place = token.astype(dtype) / jnp.maximum(last, 1).astype(dtype)
    columns = [r, 1 - r, 1 - jnp.abs(2 * r - 1), jnp.sin(np.pi * r), jnp.cos(np.pi * r), place]
    meta = jnp.stack([*columns, jnp.log1p(long) / 6, long / 40], axis=-1)
    yield "frame_meta", meta
    frames = at(conditioned, token)
    yield "regulated", frames
    placed = mlp(p["frame_proj"], meta)
    yield "frame_proj", placed
    beside = [at(conditioned, jnp.maximum(token - 1, 0)), frames]
    beside.append(at(conditioned, jnp.minimum(token + 1, last)))
    near = mlp(p["local_ctx"], jnp.concatenate(beside, axis=-1))
    yield "local_ctx", near
    bins = p["abs_frame"]["weight"]
    where = bins[np.minimum(len(bins) * np.arange(size) // max_frames, len(bins) - 1)]
    yield "abs_frame", jnp.broadcast_to(where, frames.shape)
    voicing = jnp.clip(pitch[..., 1], 0, 1)
    scaled = at(jnp.stack([pitch[..., 0] * prosody.pitch, voicing], axis=-1), token)
    yield "pitch_frame", scaled
    sung = mlp(p["pitch_proj"], scaled)
    yield "pitch_proj", sung
    x = frames + placed + near + where + sung
    yield "decoder_in", x
    for i in range(len(p["decoder"])):
        x = yield from _block(f"decoder.{i}", p["decoder"][str(i)], x, lengths)

    def way(suffix: str) -> jax.Array:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = {name: p["frame_gru"][f"{name}_l0{suffix}"] for name in names}
        return gru(x, **weights, reverse=bool(suffix), steps=lengths)

    both = jnp.concatenate([way(""), way("_reverse")], axis=-1)
    yield "gru", both
    mel = head(p["mel_head"], x + both)
    yield "mel_head", mel
    smooth = mel
    for i, layer in enumerate(("0", "2", "4")):
        smooth = conv1d(zero_from(smooth, lengths), **p["postnet"][layer])
        smooth = jnp.tanh(smooth) if i < 2 else smooth
    yield "postnet", smooth
    yield "mel", mel + POSTNET_SCALE * smooth


def vocode(p: dict[str, Any], mel: Any, lengths: Any, precision: str = "highest") -> Stages:
    """Yield the vocoder's stages, without the prefix ``vocoder.``.

    mel [B, F, 80], lengths [B]: each row's frames. The last stage is ``wave`` [B, 256 F] at 24 kHz.
    """
    conv = partial(conv1d, precision=precision)
    h = conv(zero_from(mel, lengths), **p["conv_pre"])
    yield "conv_pre", h
    for i, rate in enumerate(RATES):
        h = zero_from(_snake(p["up_acts"][str(i)], h), lengths)
        yield f"up_acts.{i}", h
        h = conv_transpose1d(h, **p["ups"][str(i)], stride=rate, padding=rate // 2)
        yield f"ups.{i}", h
        lengths = lengths * rate
        h = zero_from(h, lengths)
        total: Any = 0
        for j in range(len(TAPS)):
            number = len(TAPS) * i + j
            block, x = p["resblocks"][str(number)], h
            for k, dilation in enumerate(DILATIONS):
                a = zero_from(_snake(block["acts1"][str(k)], x), lengths)
                a = conv(a, **block["convs1"][str(k)], dilation=dilation)
                a = zero_from(_snake(block["acts2"][str(k)], a), lengths)
                x = x + conv(a, **block["convs2"][str(k)])
            yield f"resblocks.{number}", x
            total = total + x
        h = total / len(TAPS)
        yield f"mean.{i}", h
    h = conv(zero_from(_snake(p["post_act"], h), lengths), **p["conv_post"])
    yield "conv_post", h
    yield "wave", jnp.tanh(h[..., 0])


def speak(
    params: dict[str, Any],
    utterances: Sequence[Ids],
    prosody: Prosody = AS_IT_IS,
    precision: str = "highest",
) -> list[np.ndarray]:
    """Speak utterances, given as ids [L], in one batch: their waves at 24 kHz, float32.

    params as `novasr_np.networks.inflect.load.load` returns them. An utterance is cut off after
    14.93 s, as in the original; levels are the network's own.
    """
    p = jax.tree.map(partial(jnp.asarray, dtype=jnp.float32), params)
    counts = np.array([len(phones) for phones, *_ in utterances], np.int32)
    size = -(-int(counts.max()) // TOKENS) * TOKENS
    ids = tuple(
        np.stack([np.pad(u[k], (0, size - len(u[k]))) for u in utterances]).astype(np.int32)
        for k in range(3)
    )
    encoded = _encode(p["acoustic"], ids, counts, prosody)
    lengths = np.minimum(np.asarray(encoded[-1]).sum(axis=1), MAX_FRAMES)
    size = -(-int(lengths.max()) // FRAMES) * FRAMES
    mel = _decode(p["acoustic"], *encoded, counts, size, prosody)
    waves = np.asarray(_vocode(p["vocoder"], mel, lengths, precision))
    return [wave[: HOP * n] for wave, n in zip(waves, lengths, strict=True)]


@jax.jit
def _encode(p: Any, ids: Any, counts: Any, prosody: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    found = dict(encode(p, ids, counts, prosody=prosody))
    return found["conditioned"], found["pitch"], found["durations"]


@partial(jax.jit, static_argnums=5)
def _decode(
    p: Any, x: Any, pitch: Any, durations: Any, counts: Any, size: int, prosody: Any
) -> jax.Array:
    return dict(decode(p, x, pitch, durations, counts, size, prosody))["mel"]


@partial(jax.jit, static_argnums=3)
def _vocode(p: Any, mel: Any, lengths: Any, precision: str) -> jax.Array:
    return dict(vocode(p, mel, lengths, precision))["wave"]


def head(p: dict[str, Any], x: Any) -> jax.Array:
    """Apply LayerNorm, linear, SiLU, linear."""
    return linear(silu(linear(layer_norm(x, **p["0"]), **p["1"])), **p["3"])


def mlp(p: dict[str, Any], x: Any) -> jax.Array:
    """Apply linear, SiLU, linear."""
    return linear(silu(linear(x, **p["0"])), **p["2"])


def depth(x: Any, weight: Any, bias: Any) -> jax.Array:
    """Convolve; output channel o depends on input channel ``o // 2``: [..., T, C] -> [.., 2 C]."""
    taps, steps = weight.shape[-1], x.shape[-2]
    widths = [(0, 0)] * (x.ndim - 2) + [(taps // 2, taps // 2), (0, 0)]
    wide = jnp.pad(jnp.repeat(x, 2, axis=-1), widths)
    return sum(weight[:, 0, k] * wide[..., k : k + steps, :] for k in range(taps)) + bias


def _block(name: str, p: dict[str, Any], x: Any, lengths: Any) -> Any:
    parts = depth(zero_from(layer_norm(x, **p["norm1"]), lengths), **p["depth"])
    yield f"{name}.depth", parts
    value, gate = jnp.split(parts, 2, axis=-1)
    point = conv1d(value * sigmoid(gate), **p["point"])
    yield f"{name}.point", point
    x = x + point
    x = x + linear(silu(linear(layer_norm(x, **p["norm2"]), **p["ff"]["0"])), **p["ff"]["3"])
    yield name, x
    return x


def _snake(p: dict[str, Any], x: Any) -> jax.Array:
    return snake(x, jnp.clip(jnp.exp(p["log_alpha"]), 1e-4, 100.0))
