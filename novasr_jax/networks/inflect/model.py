"""Inflect-Nano: ids of phones to samples, for batches of utterances of any lengths.

Rows of a batch are padded. After each layer that could make something of zeros the padding is zero
again, as what lies beyond an utterance's end is, so a row is what it would be alone.
"""

from collections.abc import Sequence
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
    Options,
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
Stages = dict[str, jax.Array]

TOKENS, FRAMES = 32, 128  # a batch has whole multiples of these, so that few shapes are compiled


def encode(
    p: dict[str, Any], ids: Ids, counts: Any, speaker: int = 0, options: Options = AS_IT_IS
) -> Stages:
    """The acoustic model up to durations, by the stages' names, channels last.

    ids [B, L] each, counts [B] of the tokens that are a row's own; p: the acoustic part of the
    weights. ``conditioned`` and ``pitch_token`` are what `decode` takes.
    """
    phones, tones, languages = ids
    found: Stages = {}
    who = linear(p["speaker"]["weight"][speaker], **p["speaker_proj"])
    x = p["phone"]["weight"][phones] + p["tone"]["weight"][jnp.minimum(tones, 15)]
    x = x + p["lang"]["weight"][jnp.minimum(languages, 3)] + who
    found["embedded"] = x
    for i in range(len(p["encoder"])):
        x = _block(found, f"encoder.{i}", p["encoder"][str(i)], x, counts)
    found["encoded"] = x
    log_length = head(p["duration_head"], x)[..., 0]
    energy, bright, pitch = (head(p[f"{name}_head"], x) for name in ("energy", "bright", "pitch"))
    found |= {"log_dur": log_length, "energy": energy[..., 0], "bright": bright[..., 0]}
    found["pitch"] = pitch
    frames = jnp.clip(jnp.expm1(log_length), 0, MAX_LENGTH) * options.length
    durations = jnp.maximum(1, jnp.rint(frames)).astype(jnp.int32)
    found["durations"] = zero_from(durations[..., None], counts)[..., 0]
    x = x + linear(energy * options.energy, **p["energy_proj"])
    found["conditioned"] = x + linear(bright, **p["bright_proj"])
    voicing = jnp.clip(pitch[..., 1], 0, 1)
    found["pitch_token"] = jnp.stack([pitch[..., 0] * options.pitch, voicing], axis=-1)
    return found


def decode(
    p: dict[str, Any],
    conditioned: Any,
    pitch: Any,
    durations: Any,
    counts: Any,
    size: int,
    max_frames: int = MAX_FRAMES,
) -> Stages:
    """From tokens to frames: the last stage is ``mel`` [B, size, 80].

    conditioned [B, L, H], pitch [B, L, 2], durations [B, L] and counts [B] as `encode` has them.
    A row has min(its durations' sum, max_frames) frames of its own.
    """
    found: Stages = {}
    dtype = conditioned.dtype
    ends = jnp.cumsum(durations, axis=-1)
    own = jnp.minimum(ends[:, -1], max_frames)
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
    frames = at(conditioned, token)
    found |= {"frame_meta": meta, "regulated": frames, "frame_proj": mlp(p["frame_proj"], meta)}
    beside = [at(conditioned, jnp.maximum(token - 1, 0)), frames]
    beside.append(at(conditioned, jnp.minimum(token + 1, last)))
    found["local_ctx"] = mlp(p["local_ctx"], jnp.concatenate(beside, axis=-1))
    bins = p["abs_frame"]["weight"]
    where = bins[np.minimum(len(bins) * np.arange(size) // max_frames, len(bins) - 1)]
    found["abs_frame"] = jnp.broadcast_to(where, frames.shape)
    found["pitch_frame"] = at(pitch, token)
    found["pitch_proj"] = mlp(p["pitch_proj"], found["pitch_frame"])
    x = frames + found["frame_proj"] + found["local_ctx"] + where + found["pitch_proj"]
    found["decoder_in"] = x
    for i in range(len(p["decoder"])):
        x = _block(found, f"decoder.{i}", p["decoder"][str(i)], x, own)

    def way(suffix: str) -> jax.Array:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = {name: p["frame_gru"][f"{name}_l0{suffix}"] for name in names}
        return gru(x, **weights, reverse=bool(suffix), steps=own)

    found["gru"] = jnp.concatenate([way(""), way("_reverse")], axis=-1)
    mel = head(p["mel_head"], x + found["gru"])
    found["mel_head"] = mel
    smooth = mel
    for i, layer in enumerate(("0", "2", "4")):
        smooth = conv1d(zero_from(smooth, own), **p["postnet"][layer])
        smooth = jnp.tanh(smooth) if i < 2 else smooth
    found["postnet"] = smooth
    found["mel"] = mel + POSTNET_SCALE * smooth
    return found


def vocode(p: dict[str, Any], mel: Any, own: Any, precision: str = "highest") -> Stages:
    """The vocoder: mel [B, F, 80] -> ``wave`` [B, 256 F] at 24 kHz; own [B]: frames of each row."""
    found: Stages = {}
    conv = partial(conv1d, precision=precision)
    h = conv(zero_from(mel, own), **p["conv_pre"])
    found["conv_pre"] = h
    for i, rate in enumerate(RATES):
        h = zero_from(_snake(p["up_acts"][str(i)], h), own)
        found[f"up_acts.{i}"] = h
        h = conv_transpose1d(h, **p["ups"][str(i)], stride=rate, padding=rate // 2)
        own = own * rate
        found[f"ups.{i}"] = h
        h = zero_from(h, own)
        total: Any = 0
        for j in range(len(TAPS)):
            number = len(TAPS) * i + j
            block, x = p["resblocks"][str(number)], h
            for k, dilation in enumerate(DILATIONS):
                a = zero_from(_snake(block["acts1"][str(k)], x), own)
                a = conv(a, **block["convs1"][str(k)], dilation=dilation)
                a = zero_from(_snake(block["acts2"][str(k)], a), own)
                x = x + conv(a, **block["convs2"][str(k)])
            found[f"resblocks.{number}"] = x
            total = total + x
        h = total / len(TAPS)
        found[f"mean.{i}"] = h
    h = conv(zero_from(_snake(p["post_act"], h), own), **p["conv_post"])
    found["conv_post"] = h
    found["wave"] = jnp.tanh(h[..., 0])
    return found


def speak(
    params: dict[str, Any],
    utterances: Sequence[Ids],
    options: Options = AS_IT_IS,
    precision: str = "highest",
) -> list[np.ndarray]:
    """The waves at 24 kHz, float32, of utterances' ids [L], computed as one batch.

    params as `novasr_np.networks.inflect.load.load` gives them. What an utterance has beyond
    14.93 s is cut off, as in the original; levels are the network's own.
    """
    p = jax.tree.map(partial(jnp.asarray, dtype=jnp.float32), params)
    counts = np.array([len(phones) for phones, *_ in utterances], np.int32)
    size = -(-int(counts.max()) // TOKENS) * TOKENS
    ids = tuple(
        np.stack([np.pad(u[k], (0, size - len(u[k]))) for u in utterances]).astype(np.int32)
        for k in range(3)
    )
    conditioned, pitch, durations = _encode(p["acoustic"], ids, counts, options)
    own = np.minimum(np.asarray(durations).sum(axis=1), MAX_FRAMES)
    frames = -(-int(own.max()) // FRAMES) * FRAMES
    mel = _decode(p["acoustic"], conditioned, pitch, durations, counts, frames)
    waves = np.asarray(_vocode(p["vocoder"], mel, own, precision))
    return [wave[: HOP * n] for wave, n in zip(waves, own, strict=True)]


@jax.jit
def _encode(p: Any, ids: Any, counts: Any, options: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    found = encode(p, ids, counts, options=options)
    return found["conditioned"], found["pitch_token"], found["durations"]


@partial(jax.jit, static_argnums=5)
def _decode(p: Any, x: Any, pitch: Any, durations: Any, counts: Any, frames: int) -> jax.Array:
    return decode(p, x, pitch, durations, counts, frames)["mel"]


@partial(jax.jit, static_argnums=3)
def _vocode(p: Any, mel: Any, own: Any, precision: str) -> jax.Array:
    return vocode(p, mel, own, precision)["wave"]


def head(p: dict[str, Any], x: Any) -> jax.Array:
    """LayerNorm, linear, SiLU, linear."""
    return linear(silu(linear(layer_norm(x, **p["0"]), **p["1"])), **p["3"])


def mlp(p: dict[str, Any], x: Any) -> jax.Array:
    """Linear, SiLU, linear."""
    return linear(silu(linear(x, **p["0"])), **p["2"])


def depth(x: Any, weight: Any, bias: Any) -> jax.Array:
    """Output channel o of a convolution sees input channel ``o // 2``: [..., T, C] -> [.., 2 C]."""
    taps, steps = weight.shape[-1], x.shape[-2]
    widths = [(0, 0)] * (x.ndim - 2) + [(taps // 2, taps // 2), (0, 0)]
    wide = jnp.pad(jnp.repeat(x, 2, axis=-1), widths)
    return sum(weight[:, 0, k] * wide[..., k : k + steps, :] for k in range(taps)) + bias


def _block(found: Stages, name: str, p: dict[str, Any], x: Any, own: Any) -> jax.Array:
    parts = depth(zero_from(layer_norm(x, **p["norm1"]), own), **p["depth"])
    found[f"{name}.depth"] = parts
    value, gate = jnp.split(parts, 2, axis=-1)
    found[f"{name}.point"] = conv1d(value * sigmoid(gate), **p["point"])
    x = x + found[f"{name}.point"]
    x = x + linear(silu(linear(layer_norm(x, **p["norm2"]), **p["ff"]["0"])), **p["ff"]["3"])
    found[name] = x
    return x


def _snake(p: dict[str, Any], x: Any) -> jax.Array:
    return snake(x, jnp.clip(jnp.exp(p["log_alpha"]), 1e-4, 100.0))
