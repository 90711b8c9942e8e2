"""The registry of voices, and the search for the one that weights are for."""

import os
from collections.abc import Mapping
from typing import Any

from . import inflect
from .voice_record import NATURAL, Reading, Speech, Voice

VOICES: dict[str, Voice] = {voice.name: voice for voice in (inflect.VOICE,)}

__all__ = ["NATURAL", "VOICES", "Reading", "Speech", "Voice", "find", "voice_at"]


def voice_at(source: str | os.PathLike[str] | Mapping[str, Any]) -> Voice | None:
    """Find the voice whose weights are at a path, or in a tree, or None."""
    return next((voice for voice in VOICES.values() if voice.weights.holds(source)), None)


def find(weights: Any = None) -> Voice:
    """Find the voice that weights are for: a path, a tree, or None for what the environment names.

    If none is recognised, it is the first voice, whose `load` reports what is missing.
    """
    if weights is None:
        named = (v for v in VOICES.values() if os.environ.get(v.weights.variable))
        known = next(named, None)
    else:
        known = voice_at(weights)
    return known or next(iter(VOICES.values()))
