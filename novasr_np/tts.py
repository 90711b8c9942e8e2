"""Speak English text, at 24 kHz by Inflect-Nano, or at 48 kHz through our own networks."""

import math
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .api import Stream
from .networks import NETWORKS
from .networks.inflect import load, model
from .networks.inflect.spec import MAX_FRAMES, SAMPLE_RATE, Options
from .networks.inflect.text import MAX_TOKENS, Pronouncer, Spoken, sentences, to_ids
from .weights import DEFAULT

RATES = (SAMPLE_RATE, NETWORKS["airband"].rate_out)  # Hz
SPEEDS = (0.25, 4.0)  # the slowest and the fastest
_LEAST_TOKENS = 64  # what a sentence is cut into at the least


class Sentence(NamedTuple):
    """What was said at a time."""

    text: str
    spoken: Spoken | None  # its phones and ids; None for what the upsampler still held
    samples: np.ndarray  # [n] float32
    lost: str = ""  # what of it was not said as it stands, in words for the user; empty: nothing


def say(
    text: str,
    *,
    weights: Any = None,
    sample_rate: int = SAMPLE_RATE,
    speed: float = 1.0,
    pitch: float = 1.0,
    energy: float = 1.0,
    mode: str = "fixed",
    pronouncer: Pronouncer | None = None,
) -> tuple[np.ndarray, int]:
    """Speak a text: (samples [n] float32, their rate in Hz).

    weights: a folder with the original's two files, a safetensors file of both, or loaded ones;
    None for those in the folder that the environment variable NOVASR_INFLECT names. sample_rate:
    24000, the network's own, or 48000 by the default super-resolution network. speed: 2 is twice as
    fast; pitch: of its rise and fall; energy: each relative to what the network would do. mode,
    pronouncer: as for `networks.inflect.text.to_ids`; "exact" takes the text as one utterance, as
    the original does, and cuts it off at 14.93 s.

    Each sentence is brought to -20 dB of full scale on average, as the original does an utterance.
    Words that had to be spelled, characters without sound and what was cut off are warned of.

    Raises ValueError for another rate, a speed outside 0.25 .. 4, or a text in which there is
    nothing to say, TypeError for what is no text, WeightsError and OSError as
    `networks.inflect.load.load`.
    """
    parts = []
    for sentence in spoken(
        text,
        weights=weights,
        sample_rate=sample_rate,
        speed=speed,
        pitch=pitch,
        energy=energy,
        mode=mode,
        pronouncer=pronouncer,
    ):
        parts.append(sentence.samples)
        if sentence.lost:
            warnings.warn(sentence.lost, stacklevel=2)
    return np.concatenate(parts), sample_rate


def spoken(
    text: str,
    *,
    weights: Any = None,
    sample_rate: int = SAMPLE_RATE,
    speed: float = 1.0,
    pitch: float = 1.0,
    energy: float = 1.0,
    mode: str = "fixed",
    pronouncer: Pronouncer | None = None,
) -> Iterator[Sentence]:
    """Speak a text sentence by sentence, each as soon as it is computed.

    Arguments and errors as for `say`, which joins the samples. At 48 kHz they come 0.65 s late, the
    last of them in a part of its own. Memory does not grow with the text's length.
    """
    if sample_rate not in RATES:
        raise ValueError(f"sample_rate must be one of {RATES}, got {sample_rate!r}")
    for name, value in (("speed", speed), ("pitch", pitch), ("energy", energy)):
        if not (isinstance(value, (int, float)) and SPEEDS[0] <= value <= SPEEDS[1]):
            raise ValueError(f"{name} must be from {SPEEDS[0]} to {SPEEDS[1]}, got {value!r}")
    to_ids("", mode, pronouncer)  # so that a wrong mode is said before the weights are read
    voice = model.prepare(load.load(weights))
    options = Options(1 / speed, pitch, energy)
    return _at_rate(_said(text, voice, options, mode, pronouncer), sample_rate)


def _at_rate(said: Iterator[Sentence], sample_rate: int) -> Iterator[Sentence]:
    if sample_rate == SAMPLE_RATE:
        yield from said
        return
    with Stream(DEFAULT, SAMPLE_RATE) as stream:
        for sentence in said:
            yield sentence._replace(samples=stream.push(sentence.samples))
        yield Sentence("", None, stream.push(np.zeros(0, np.float32), last=True))


def _said(
    text: str,
    voice: model.Voice,
    options: Options,
    mode: str,
    pronouncer: Pronouncer | None,
) -> Iterator[Sentence]:
    if mode == "exact":
        yield from _utterance(text, voice, options, mode, pronouncer)
        return
    found = False
    silent: list[str] = []
    # Slow speech has fewer tokens in the frames that an utterance can have.
    most = max(_LEAST_TOKENS, math.floor(MAX_TOKENS * min(1.0, 1 / options.length)))
    for sentence in sentences(text, most, pronouncer):
        for part in _utterance(sentence, voice, options, mode, pronouncer):
            if part.samples.size == 0:
                silent += [part.text]
                continue
            lost = [f"not said: {' '.join(silent)}"] if silent else []
            silent, found = [], True
            yield part._replace(lost="; ".join([*lost, part.lost] if part.lost else lost))
    if not found:
        raise ValueError(f"there is nothing to say in {text[:60]!r}")
    if silent:
        yield Sentence("", None, np.zeros(0, np.float32), f"not said: {' '.join(silent)}")


def _utterance(
    text: str,
    voice: model.Voice,
    options: Options,
    mode: str,
    pronouncer: Pronouncer | None,
) -> Iterator[Sentence]:
    """A sentence; in halves, if it has more frames than the network takes."""
    given = to_ids(text, mode, pronouncer)
    # Stops and commas alone are pauses; with nothing between them there is nothing to say.
    if mode != "exact" and not any(phone.isalpha() for phone in given.phones):
        yield Sentence(text, given, np.zeros(0, np.float32))
        return
    ids = (given.phone_ids, given.tone_ids, given.language_ids)
    samples, frames = model.speak(voice, *ids, options)
    tokens = len(given.phone_ids)
    if frames > MAX_FRAMES and mode != "exact" and tokens > _LEAST_TOKENS:
        for part in sentences(text, max(_LEAST_TOKENS, tokens // 2), pronouncer):
            yield from _utterance(part, voice, options, mode, pronouncer)
        return
    lost = []
    if given.spelled:
        lost.append(f"spelled by its letters: {', '.join(dict.fromkeys(given.spelled))}")
    if given.unspoken:
        lost.append(f"without sound: {' '.join(dict.fromkeys(given.unspoken))}")
    if frames > MAX_FRAMES:
        lost.append(f"cut off after {MAX_FRAMES} of {frames} frames")
    yield Sentence(text, given, samples, "; ".join(lost))
