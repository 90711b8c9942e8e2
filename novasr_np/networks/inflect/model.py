"""Inflect-Nano-v1 as a whole: from ids of phones to samples at 24 kHz."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..record import Params
from . import acoustic, fast, vocoder
from .spec import AS_IT_IS, MAX_FRAMES, Prosody

_LEVEL = -20.0  # dB of full scale, of an utterance
_PEAK = -1.0  # dB, at most


class Prepared(NamedTuple):
    """Weights that are ready to speak. Made by `prepare`."""

    acoustic: Params
    vocoder: fast.Folded
    dtype: Any


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
    """Yield (name, activation) for every stage of both networks, in order.

    Arguments as for `acoustic.stages`; params as `load` returns them. The vocoder's names begin
    with ``vocoder.``; the last is ``wave`` [256 F] at 24 kHz, the network's output.
    """
    mel = np.zeros(0)
    ids = (phones, tones, languages)
    for name, mel in acoustic.stages(params["acoustic"], *ids, speaker, prosody, max_frames, dtype):
        yield name, mel
    for name, activation in vocoder.stages(params["vocoder"], mel):
        yield ("wave" if name == "wave" else f"vocoder.{name}"), activation


def prepare(params: Params, dtype: Any = np.float32) -> Prepared:
    """Ready weights (`load`) to speak in `dtype`, float32 or float64."""
    return Prepared(params["acoustic"], fast.fold(params["vocoder"], dtype), dtype)


def speak(
    prepared: Prepared, ids: Iterable[np.ndarray], prosody: Prosody = AS_IT_IS
) -> tuple[np.ndarray, int]:
    """Speak an utterance at 24 kHz, scaled by `level`; also return its frames before the cut.

    ids: phones, tones and languages [L]. It is cut off after `MAX_FRAMES` frames.
    """
    phones, tones, languages = ids
    frames = 0
    for name, mel in acoustic.stages(
        prepared.acoustic, phones, tones, languages, prosody=prosody, dtype=prepared.dtype
    ):
        if name == "durations":
            frames = int(mel.sum())
    return level(fast.forward(prepared.vocoder, mel)), frames


def level(x: np.ndarray) -> np.ndarray:
    """Remove the mean of x [T], and scale it to a level of -20 dB of full scale.

    The peak is at most -1 dB. In float32, as in the original; silence stays silent, and an empty x
    becomes one zero.
    """
    if x.size == 0:
        return np.zeros(1, np.float32)
    x = np.float32(x) - np.float32(x).mean()
    loudness = 20 * np.log10(np.sqrt((np.float64(x) ** 2).mean()) + 1e-9)
    x = x * np.float32(10 ** ((_LEVEL - loudness) / 20))
    peak, most = float(np.abs(x).max()) + 1e-9, 10 ** (_PEAK / 20)
    if peak > most:
        x = x * np.float32(most / peak)
    return np.clip(x, -1, 1)
