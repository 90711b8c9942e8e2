"""Speak text, at the voice's own sampling rate or upsampled to 48 kHz."""

import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .api import Stream
from .networks.voices import NATURAL, VOICES, Reading, Speech, Voice, find
from .samples import whole_number
from .weights import DEFAULT, default_network

WIDE = default_network().rate_out  # Hz
MAX_EXACT = 10_000  # characters of an utterance, of which the first few hundred are spoken
_MAX_TOLD = 200  # characters of what was not said
RATES = (*(voice.sample_rate for voice in VOICES.values()), WIDE)


class Sentence(NamedTuple):
    """Part of a text, spoken."""

    text: str
    spoken: Reading | None  # its phones and ids; None for the upsampler's last samples
    samples: np.ndarray  # [n] float32
    lost: str = ""  # message on parts that were not said as written; empty if there are none


def say(
    text: str,
    *,
    weights: Any = None,
    sample_rate: int | None = None,
    speed: float = 1.0,
    pitch: float = 1.0,
    energy: float = 1.0,
    mode: str = "fixed",
    pronouncer: Any = None,
) -> tuple[np.ndarray, int]:
    """Speak a text, and return (samples [n] float32, their rate in Hz).

    weights: of a voice in `networks.voices`: a folder with the original's files, a safetensors
    file, or loaded weights; None for the path in the voice's environment variable, NOVASR_INFLECT.
    sample_rate: 24000, the voice's own and the default, or 48000, by the default super-resolution
    network. speed, pitch, energy: factors relative to the network's own; speed 2 is twice as fast,
    and pitch is that of the rise and fall. mode, pronouncer: as for `networks.inflect.text.to_ids`;
    "exact" takes the text as one utterance, as the original does, and cuts it off at 14.93 s.
    It may have at most 10,000 characters.

    Each sentence is scaled to a mean level of -20 dB of full scale, as the original scales an
    utterance. A warning tells of words that had to be spelled, characters without sound, and text
    that was cut off.

    Raises ValueError for another rate, a speed, pitch or energy outside 0.25 .. 4, or a text with
    nothing to say, TypeError if `text` is not a str or a number is none, WeightsError and OSError
    as `networks.inflect.load.load`.
    """
    rate = _rate(find(weights), sample_rate)
    speech = Speech(speed, pitch, energy, mode, pronouncer)
    parts = []
    for sentence in spoken(text, weights=weights, sample_rate=rate, speech=speech):
        parts.append(sentence.samples)
        if sentence.lost:
            warnings.warn(sentence.lost, stacklevel=2)
    return np.concatenate(parts), rate


def spoken(
    text: str | Iterable[str],
    *,
    weights: Any = None,
    sample_rate: int | None = None,
    speech: Speech = NATURAL,
) -> Iterator[Sentence]:
    """Speak a text sentence by sentence, and yield each as soon as it is computed.

    Arguments and errors as for `say`, which joins the samples. A text may also come in parts, of
    any lengths, which are taken as they are needed: memory does not grow with its length. At 48 kHz
    the samples come 0.65 s late, and the last ones in an additional part.
    """
    voice = find(weights)
    rate = _rate(voice, sample_rate)
    voice.text.read("", speech.mode, speech.pronouncer)  # refuses a wrong mode before weights
    prepared = voice.prepare(voice.weights.load(weights))
    sentences = _sentences(text, voice, prepared, speech)
    return sentences if rate == voice.sample_rate else _upsampled(sentences, voice.sample_rate)


def _rate(voice: Voice, sample_rate: Any) -> int:
    """Check the rate asked for, in Hz; None is the voice's own."""
    rates = (voice.sample_rate, WIDE)
    rate = rates[0] if sample_rate is None else whole_number("sample_rate", sample_rate, least=None)
    if rate not in rates:
        raise ValueError(f"sample_rate must be one of {rates}, got {rate}")
    return rate


def _upsampled(sentences: Iterator[Sentence], sample_rate: int) -> Iterator[Sentence]:
    with Stream(DEFAULT, sample_rate) as stream:
        for sentence in sentences:
            yield sentence._replace(samples=stream.push(sentence.samples))
        yield Sentence("", None, stream.push(np.zeros(0, np.float32), last=True))


def utterance(text: str | Iterable[str]) -> str:
    """Join the parts of a text for exact mode.

    Raises ValueError for more than MAX_EXACT characters, TypeError for what is no text.
    """
    if isinstance(text, bytes) or not isinstance(text, Iterable):
        raise TypeError(f"text must be a str or strings, got {type(text).__name__}")
    whole = ""
    for part in [text] if isinstance(text, str) else text:
        whole += part
        if len(whole) > MAX_EXACT:
            raise ValueError(f"a text must have at most {MAX_EXACT:,} characters in exact mode")
    return whole


def _sentences(
    text: str | Iterable[str], voice: Voice, prepared: Any, speech: Speech
) -> Iterator[Sentence]:
    if speech.mode == "exact":
        yield from _utterance(utterance(text), voice, prepared, speech)
        return
    found = False
    silent = ""
    # An utterance has a limited number of frames, so slow speech has room for fewer tokens.
    most = math.floor(voice.text.max_tokens * min(1.0, 1 / speech.length))
    most = max(voice.text.min_tokens, most)
    for sentence in voice.text.sentences(text, most, speech.pronouncer):
        for part in _utterance(sentence, voice, prepared, speech):
            if part.samples.size == 0:
                if len(silent) <= _MAX_TOLD:
                    silent = f"{silent} {part.text[:_MAX_TOLD]}".lstrip()
                continue
            lost = [f"not said: {_shortened(silent)}"] if silent else []
            silent, found = "", True
            yield part._replace(lost="; ".join([*lost, part.lost] if part.lost else lost))
    if not found:
        raise ValueError(f"the text must have something to say, got {_shortened(silent)!r}")
    if silent:
        yield Sentence("", None, np.zeros(0, np.float32), f"not said: {_shortened(silent)}")


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_TOLD else f"{text[:_MAX_TOLD]} ..."


def _utterance(text: str, voice: Voice, prepared: Any, speech: Speech) -> Iterator[Sentence]:
    """Speak a sentence, in halves if it has more frames than the network takes."""
    reading = voice.text.read(text, speech.mode, speech.pronouncer)
    if speech.mode != "exact" and not reading.audible:
        yield Sentence(text, reading, np.zeros(0, np.float32))
        return
    samples, frames = voice.speak(prepared, reading, speech)
    tokens, least = len(next(iter(reading.ids.values()))), voice.text.min_tokens
    if frames > voice.max_frames and speech.mode != "exact" and tokens > least:
        for part in voice.text.sentences(text, max(least, tokens // 2), speech.pronouncer):
            yield from _utterance(part, voice, prepared, speech)
        return
    lost = []
    if reading.spelled:
        lost.append(f"spelled by its letters: {', '.join(dict.fromkeys(reading.spelled))}")
    if reading.unspoken:
        lost.append(f"without sound: {' '.join(dict.fromkeys(reading.unspoken))}")
    if frames > voice.max_frames:
        lost.append(f"cut off after {voice.max_frames} of {frames} frames")
    yield Sentence(text, reading, samples, "; ".join(lost))
