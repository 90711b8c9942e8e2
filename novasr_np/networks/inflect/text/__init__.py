"""English text to the ids of Inflect-Nano-v1's acoustic model."""

from .errors import TextError
from .pronounce import Pronouncer
from .speak import MODES, Spoken, to_ids
from .split import MAX_TOKENS, MIN_TOKENS, sentences

__all__ = [
    "MAX_TOKENS",
    "MIN_TOKENS",
    "MODES",
    "Pronouncer",
    "Spoken",
    "TextError",
    "sentences",
    "to_ids",
]
