"""The record of a voice: all that `speech` and the commands know of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from .record import Params

LEAST, MOST = 0.25, 4.0  # of speed, pitch and energy


@dataclass(frozen=True)
class Speech:
    """Manner of speaking, relative to the voice's own.

    speed: 2 is twice as fast; pitch: of its rise and fall; mode, pronouncer: as `FrontEnd.read`
    takes them. Raises ValueError for a speed, pitch or energy outside 0.25 .. 4.
    """

    speed: float = 1.0
    pitch: float = 1.0
    energy: float = 1.0
    mode: str = "fixed"
    pronouncer: Any = None

    def __post_init__(self) -> None:
        for name in ("speed", "pitch", "energy"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and LEAST <= value <= MOST):
                raise ValueError(f"{name} must be from {LEAST} to {MOST}, got {value!r}")

    @property
    def length(self) -> float:
        """Of the sounds, relative to the voice's own."""
        return 1 / self.speed


NATURAL = Speech()


class Reading(Protocol):
    """A sentence as the front-end reads it."""

    @property
    def ids(self) -> Mapping[str, np.ndarray]:
        """Arrays [tokens] that the network takes, by what they number."""

    @property
    def transcript(self) -> str:
        """Phones, with spaces between them."""

    @property
    def audible(self) -> bool:
        """Whether there is more in it than pauses."""

    @property
    def spelled(self) -> tuple[str, ...]:
        """Words that nothing knows, said by their letters."""

    @property
    def unspoken(self) -> tuple[str, ...]:
        """Words and signs without sound."""


class FrontEnd(NamedTuple):
    """From text to what the network takes."""

    modes: tuple[str, ...]  # "fixed" as the text is meant; "exact" as the original reads it
    min_tokens: int  # of the sentences that a text is cut into, at the least
    max_tokens: int  # at the most, at the voice's own speed
    # (text, max_tokens, pronouncer) -> sentences, in words
    sentences: Callable[[str, int, Any], Iterator[str]]
    # (text, mode, pronouncer) -> `Reading`; raises ValueError for an unknown mode
    read: Callable[[str, str, Any], Any]


class Files(NamedTuple):
    """A voice's weights on disk."""

    described: str  # what a path to them leads to, for the help
    variable: str  # the environment variable that names them where no path is given
    fetch: str  # the command that fetches them
    folder: str  # where they are then
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
    max_frames: int  # of an utterance; what is beyond is cut off
    weights: Files
    text: FrontEnd
    # (params, *ids, ...) -> each stage's (name, activation); the last is the wave
    stages: Callable[..., Iterator[tuple[str, np.ndarray]]]
    prepare: Callable[[Params], Any]
    # (prepared, reading, speech) -> samples [n] float32, and how many frames they should have had
    speak: Callable[[Any, Any, Speech], tuple[np.ndarray, int]]
