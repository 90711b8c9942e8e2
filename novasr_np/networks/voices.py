"""The registry of voices, and which of them weights are for."""

import os
from pathlib import Path
from typing import Any

from . import inflect
from .voice_record import NATURAL, Reading, Speech, Voice

VOICES: dict[str, Voice] = {voice.name: voice for voice in (inflect.VOICE,)}

__all__ = ["NATURAL", "VOICES", "Reading", "Speech", "Voice", "find", "voice_at"]


def voice_at(path: Path) -> Voice | None:
    """The voice whose weights are in that folder, or None."""
    return next((voice for voice in VOICES.values() if voice.weights.holds(path)), None)


def find(weights: Any = None) -> Voice:
    """The voice that weights are for: a path, loaded ones, or None for the default's.

    The first of all where nothing tells: its `load` says what is missing.
    """
    known = voice_at(Path(weights)) if isinstance(weights, (str, os.PathLike)) else None
    return known or next(iter(VOICES.values()))
