"""Convert text to the ids that the acoustic model takes."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from . import exact, fixed, pronounce
from .pronounce import Phones, Pronouncer
from .tables import ENGLISH, FIRST_TONE, IDS, PAD, UNKNOWN


class _Mode(NamedTuple):
    normalise: Callable[[str], str]
    words: Callable[[str], list[str]]
    pronounce: Callable[[str, Pronouncer], Phones]


_MODES = {
    "fixed": _Mode(fixed.normalise, fixed.words, pronounce.fixed),
    "exact": _Mode(lambda text: exact.normalise(exact.clean(text)), exact.words, pronounce.exact),
}
MODES = tuple(_MODES)


class Spoken(NamedTuple):
    """Reading of a text.

    normalised: the text in words.
    words: the words pronounced, one by one.
    phones, tones: symbols, and 0 for no stress mark or 1 to 3 for unstressed, primary, secondary; a
        pad at either end.
    phone_ids, tone_ids, language_ids: int64 [2 len(phones) + 1], a blank around each phone.
    spelled: unknown words, spelled by their letters.
    unspoken: parts of the text that have no sound.
    """

    normalised: str
    words: tuple[str, ...]
    phones: tuple[str, ...]
    tones: tuple[int, ...]
    phone_ids: np.ndarray
    tone_ids: np.ndarray
    language_ids: np.ndarray
    spelled: tuple[str, ...]
    unspoken: tuple[str, ...]

    @property
    def ids(self) -> dict[str, np.ndarray]:
        """The acoustic model's three inputs, in its order."""
        return {"phone": self.phone_ids, "tone": self.tone_ids, "language": self.language_ids}

    @property
    def transcript(self) -> str:
        """Phones with the dictionary's numbers of stress: "_ hh ah0 l ow1 . _"."""
        stresses = ("" if tone == 0 else str(tone - 1) for tone in self.tones)
        return " ".join(map("".join, zip(self.phones, stresses, strict=True)))

    @property
    def audible(self) -> bool:
        """Whether there is more than pauses, such as full stops and commas."""
        return any(phone.isalpha() for phone in self.phones)


def to_ids(text: str, mode: str = "fixed", pronouncer: Pronouncer | None = None) -> Spoken:
    """Convert an English text to ids, with the words that were spelled or had no sound.

    mode: "fixed" reads the text as it is meant, "exact" as the original does, mistakes included.
    pronouncer: source of the words' phones; None for the dictionary, and g2p_en's network if that
        is installed.

    Raises TypeError or ValueError for an invalid text or mode, TextError for texts on which the
    original fails in exact mode: with "#" as the first word, or numbers of 10^36 or more.
    """
    steps = _steps(text, mode)
    pronouncer = pronouncer or pronounce.default(mode)
    normalised = steps.normalise(text)
    words = steps.words(normalised)
    sounds = [steps.pronounce(word, pronouncer) for word in words]
    symbols = [(PAD, 0), *(symbol(phone) for sound in sounds for phone in sound.phones), (PAD, 0)]
    phones, tones = zip(*symbols, strict=True)
    return Spoken(
        normalised,
        tuple(words),
        phones,
        tones,
        *ids(phones, tones),
        spelled=tuple(word for word, sound in zip(words, sounds, strict=True) if sound.spelled),
        unspoken=tuple(word for word, sound in zip(words, sounds, strict=True) if not sound.phones),
    )


def symbol(phone: str) -> tuple[str, int]:
    """Convert ARPAbet's "OW1" to the original's symbol and tone: ("ow", 2)."""
    stressed = phone[-1:].isdecimal()
    name = (phone[:-1] if stressed else phone).lower()
    if name == "v":
        name = "V"
    if name not in IDS or phone == "UW":  # the original knows this vowel only with a stress
        return UNKNOWN, 0
    return name, int(phone[-1]) + 1 if stressed else 0


def ids(phones: Sequence[str], tones: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make phone, tone and language ids, int64 [2 n + 1], with blanks, all 0, around each phone."""
    return (
        _between_blanks(IDS[phone] for phone in phones),
        _between_blanks(tone + FIRST_TONE for tone in tones),
        _between_blanks(ENGLISH for _ in phones),
    )


def _between_blanks(ids: Iterable[int]) -> np.ndarray:
    values = list(ids)
    blanked = np.zeros(2 * len(values) + 1, np.int64)
    blanked[1::2] = values
    return blanked


def _steps(text: str, mode: str) -> _Mode:
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {type(text).__name__}")
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    return _MODES[mode]
