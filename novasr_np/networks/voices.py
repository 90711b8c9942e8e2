"""The registry of voices, and the search for the one that weights are for."""

import os
from pathlib import Path
from typing import Any

from . import inflect
from .voice_record import NATURAL, Reading, Speech, Voice

VOICES: dict[str, Voice] = {voice.name: voice for voice in (inflect.VOICE,)}

__all__ = ["NATURAL", "VOICES", "Reading", "Speech", "Voice", "find", "voice_at"]


def voice_at(path: Path) -> Voice | None:
    """Find the voice whose weights are in a folder, or None."""
    return next((voice for voice in VOICES.values() if voice.weights.holds(path)), None)


def find(weights: Any = None) -> Voice:
    """Find the voice that weights are for: a path, loaded weights, or None for the default.

    If none is recognised, it is the first voice, whose `load` reports what is missing.
    """
    known = voice_at(Path(weights)) if isinstance(weights, (str, os.PathLike)) else None
    return known or next(iter(VOICES.values()))
