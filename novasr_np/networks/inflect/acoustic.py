"""Inflect-Nano's acoustic model: from ids of phones to a mel spectrogram, stage by stage.

Arrays are [time, channel] here. A time step is first a token, then a frame of 256 samples.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...layers import conv1d, gru, layer_norm, linear, sigmoid, silu
from ...tensors import cast
from ..record import Params
from .spec import AS_IT_IS, MAX_FRAMES, MAX_LENGTH, POSTNET_SCALE, Prosody


def stages(
    params: Params,
    phones: np.ndarray,
    tones: np.ndarray,
    languages: np.ndarray,
    speaker: int = 0,
    prosody: Prosody = AS_IT_IS,
    max_frames: int = MAX_FRAMES,
    dtype: Any = np.float32,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage, in order; the last is ``mel`` [80, F].

    phones, tones, languages: ids [L]. params: the acoustic part of `load`, used in `dtype`, float32
    or float64. speaker: row of the table of speakers, which `load` begins with the voice's. An
    utterance is cut off after max_frames, as in the original.

    The mel is the natural logarithm of the magnitude in 80 bands (24 kHz, frames of 1024 samples,
    256 apart, 0 to 12 kHz).
    """
    p = cast(params, dtype)
    who = linear(p["speaker"]["weight"][speaker], **p["speaker_proj"])
    tone, language = np.minimum(tones, 15), np.minimum(languages, 3)
    x = p["phone"]["weight"][phones] + p["tone"]["weight"][tone]
    x = x + p["lang"]["weight"][language] + who
    yield "embedded", x
    for i, block in enumerate(_list(p["encoder"])):
        x = yield from _block(f"encoder.{i}", block, x)
    yield "encoded", x

    log_length = head(p["duration_head"], x)[:, 0]
    yield "log_dur", log_length
    energy = head(p["energy_head"], x)
    yield "energy", energy[:, 0]
    bright = head(p["bright_head"], x)
    yield "bright", bright[:, 0]
    pitch = head(p["pitch_head"], x)  # the normalised logarithm of the frequency, and voicing
    yield "pitch", pitch
    durations = lengths(log_length, prosody.length)
    yield "durations", durations
    x = x + linear(energy * dtype(prosody.energy), **p["energy_proj"])
    x = x + linear(bright, **p["bright_proj"])
    yield "conditioned", x

    token, place = regulate(durations, max_frames, dtype)
    yield "frame_meta", place
    frames = x[token]
    yield "regulated", frames
    placed = mlp(p["frame_proj"], place)
    yield "frame_proj", placed
    beside = np.concatenate(
        [x[np.maximum(token - 1, 0)], frames, x[np.minimum(token + 1, len(x) - 1)]], axis=1
    )
    near = mlp(p["local_ctx"], beside)
    yield "local_ctx", near
    bins = p["abs_frame"]["weight"]
    where = bins[np.minimum(len(bins) * np.arange(len(token)) // max_frames, len(bins) - 1)]
    yield "abs_frame", where
    scaled = np.stack([pitch[:, 0] * dtype(prosody.pitch), np.clip(pitch[:, 1], 0, 1)], axis=1)
    yield "pitch_frame", scaled[token]
    sung = mlp(p["pitch_proj"], scaled[token])
    yield "pitch_proj", sung
    x = frames + placed + near + where + sung
    yield "decoder_in", x
    for i, block in enumerate(_list(p["decoder"])):
        x = yield from _block(f"decoder.{i}", block, x)
    both = _both_ways(p["frame_gru"], x)
    yield "gru", both
    mel = head(p["mel_head"], x + both)
    yield "mel_head", mel
    smooth = mel.T
    for i, layer in enumerate(("0", "2", "4")):
        smooth = conv1d(smooth, **p["postnet"][layer])
        smooth = np.tanh(smooth) if i < 2 else smooth
    yield "postnet", smooth
    yield "mel", mel.T + dtype(POSTNET_SCALE) * smooth


def lengths(log_length: np.ndarray, scale: float) -> np.ndarray:
    """Frames of each token [L]: ``max(1, round(clip(exp(log_length) - 1, 0, 80) scale))``.

    Halves are rounded to even, and the clip comes before the scale.
    """
    frames = np.clip(np.expm1(log_length), 0, MAX_LENGTH) * log_length.dtype.type(scale)
    return np.maximum(1, np.rint(frames)).astype(np.int64)


def regulate(durations: np.ndarray, most: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Each frame's token [F], and 8 features of the frame's position in the token [F, 8].

    For frame j of the d of token i of L, with ``r = j / (d - 1)``, or 0: ``r``, ``1 - r``,
    ``1 - |2 r - 1|``, ``sin(pi r)``, ``cos(pi r)``, ``i / max(1, L - 1)``, ``log(1 + d) / 6``,
    ``d / 40``.
    """
    token = np.repeat(np.arange(len(durations)), durations)[:most]
    first = np.cumsum(durations) - durations
    count = durations[token].astype(dtype)
    r = (np.arange(len(token)) - first[token]).astype(dtype) / np.maximum(count - 1, 1)
    place = token.astype(dtype) / dtype(max(1, len(durations) - 1))
    wave = (np.sin(np.pi * r), np.cos(np.pi * r))
    columns = (r, 1 - r, 1 - np.abs(2 * r - 1), *wave, place, np.log1p(count) / 6, count / 40)
    return token, np.stack(columns, axis=1).astype(dtype)


def head(p: Params, x: np.ndarray) -> np.ndarray:
    """Apply LayerNorm, linear, SiLU, linear."""
    return linear(silu(linear(layer_norm(x, **p["0"]), **p["1"])), **p["3"])


def mlp(p: Params, x: np.ndarray) -> np.ndarray:
    """Apply linear, SiLU, linear."""
    return linear(silu(linear(x, **p["0"])), **p["2"])


def depth(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Convolve so that output channel o depends only on input channel ``o // 2``.

    x [C, T], weight [2 C, 1, 7] -> [2 C, T]
    """
    taps, steps = weight.shape[-1], x.shape[-1]
    wide = np.pad(np.repeat(x, 2, axis=0), [(0, 0), (taps // 2, taps // 2)])
    y = sum(weight[:, :, k] * wide[:, k : k + steps] for k in range(taps))
    return y + bias[:, np.newaxis]


def _block(name: str, p: Params, x: np.ndarray) -> Any:
    """Apply a convolution with gates and two linear layers, both residual; x [T, H]."""
    parts = depth(layer_norm(x, **p["norm1"]).T, **p["depth"])
    yield f"{name}.depth", parts
    # The gates are the second half of the channels, so each comes from another input channel than
    # the channel that it gates.
    value, gate = np.split(parts, 2)
    point = conv1d(value * sigmoid(gate), **p["point"])
    yield f"{name}.point", point
    x = x + point.T
    inner = silu(linear(layer_norm(x, **p["norm2"]), **p["ff"]["0"]))
    x = x + linear(inner, **p["ff"]["3"])
    yield name, x
    return x


def _both_ways(p: Params, x: np.ndarray) -> np.ndarray:
    """Run a GRU from each end: [T, H] -> [T, 2 H / 2]."""

    def way(x: np.ndarray, suffix: str) -> np.ndarray:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return gru(x, *(p[f"{name}_l0{suffix}"] for name in names))

    return np.concatenate([way(x, ""), way(x[::-1], "_reverse")[::-1]], axis=1)


def _list(p: Params) -> list[Params]:
    return [p[str(i)] for i in range(len(p))]
