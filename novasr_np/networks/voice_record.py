"""The record of a voice: all that `speech` and the commands know about it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..samples import number
from .record import Params

LEAST, MOST = 0.25, 4.0  # of speed, pitch and energy


@dataclass(frozen=True)
class Speech:
    """Manner of speaking, relative to the voice's default.

    speed, pitch, energy: factors; speed 2 is twice as fast, and pitch is that of the rise and fall.
    mode, pronouncer: as `FrontEnd.read` takes them. Raises TypeError for a speed, pitch or energy
    that is no number, ValueError for one outside 0.25 .. 4.
    """

    speed: float = 1.0
    pitch: float = 1.0
    energy: float = 1.0
    mode: str = "fixed"
    pronouncer: Any = None

    def __post_init__(self) -> None:
        for name in ("speed", "pitch", "energy"):
            value = number(name, getattr(self, name))
            if not LEAST <= value <= MOST:
                raise ValueError(f"{name} must be from {LEAST} to {MOST}, got {value}")
            object.__setattr__(self, name, value)

    @property
    def length(self) -> float:
        """Duration of the phones, relative to the voice's default."""
        return 1 / self.speed


NATURAL = Speech()


class Reading(Protocol):
    """A sentence as the front-end reads it."""

    @property
    def ids(self) -> Mapping[str, np.ndarray]:
        """The network's inputs, arrays [tokens], by name."""

    @property
    def transcript(self) -> str:
        """Phones, separated by spaces."""

    @property
    def audible(self) -> bool:
        """Whether it has more than pauses."""

    @property
    def spelled(self) -> tuple[str, ...]:
        """Unknown words, spelled by their letters."""

    @property
    def unspoken(self) -> tuple[str, ...]:
        """Words and signs without sound."""


class FrontEnd(NamedTuple):
    """Front-end, which converts text to the network's inputs."""

    modes: tuple[str, ...]  # "fixed": as the text is meant; "exact": as the original reads it
    min_tokens: int  # smallest limit for the tokens of a sentence
    max_tokens: int  # limit for the tokens of a sentence at the voice's default speed
    # (a text or its parts, max_tokens, pronouncer) -> sentences, in words
    sentences: Callable[[str | Iterable[str], int, Any], Iterator[str]]
    # (text, mode, pronouncer) -> `Reading`; raises ValueError for an unknown mode
    read: Callable[[str, str, Any], Any]


class Files(NamedTuple):
    """A voice's weights on disk."""

    described: str  # description of the path's file or folder, for the help
    variable: str  # the environment variable with their path, used if no path is given
    fetch: str  # the command that downloads them
    folder: str  # the folder that `fetch` downloads them to
    holds: Callable[[Any], bool]  # whether a path, or a tree, has them, by names alone
    load: Callable[[Any], Params]  # a path, loaded weights or None -> weights, checked
    save: Callable[[Params, Any], None]  # (weights, path): one safetensors file
    describe: Callable[[Path], Iterator[str]]  # lines for `novasr weights show`


@dataclass(frozen=True)
class Voice:
    """A network that speaks text."""

    name: str  # as in the metadata of its weights, and in messages
    language: str
    sample_rate: int  # Hz
    max_frames: int  # of an utterance, which is cut off there
    weights: Files
    text: FrontEnd
    # (params, *ids, ...) -> each stage's (name, activation); the last is the wave
    stages: Callable[..., Iterator[tuple[str, np.ndarray]]]
    prepare: Callable[[Params], Any]
    # (prepared, reading, speech) -> samples [n] float32, and the frames before the cut
    speak: Callable[[Any, Any, Speech], tuple[np.ndarray, int]]
