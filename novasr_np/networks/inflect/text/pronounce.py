"""Convert words to phones in ARPAbet: by dictionary, by rule, by a guess, or letter by letter."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from . import dictionary, g2p
from .tables import HOMOGRAPHS

# A word -> its phones in ARPAbet ("OW1"; the digit is the stress), or None if it is not known.
Source = Callable[[str], Sequence[str] | None]

# Names of numbers and signs that the dictionary lacks, and newer words.
_ADDED = {
    "quadrillion": "K W AA0 D R IH1 L Y AH0 N",
    "quintillion": "K W IH0 N T IH1 L Y AH0 N",
    "sextillion": "S EH0 K S T IH1 L Y AH0 N",
    "septillion": "S EH0 P T IH1 L Y AH0 N",
    "nonillion": "N OW0 N IH1 L Y AH0 N",
    "decillion": "D IH0 S IH1 L Y AH0 N",
    "kilohertz": "K IH1 L AH0 HH ER0 T S",
    "gigahertz": "G IH1 G AH0 HH ER0 T S",
    "terabyte": "T EH1 R AH0 B AY2 T",
    "tilde": "T IH1 L D AH0",
    "caret": "K EH1 R AH0 T",
    "paisa": "P AY1 S AH0",
    "paise": "P AY1 S EY0",
    "kopeck": "K OW1 P EH2 K",
    "bitcoin": "B IH1 T K OY2 N",
    "covid": "K OW1 V IH0 D",
    "emoji": "IH0 M OW1 JH IY0",
    "wi": "W AY1",  # of Wi-Fi
    "wifi": "W AY1 F AY2",
    "hmm": "HH AH1 M",
}
_PHONES_OF_ADDED = {word: tuple(phones.split()) for word, phones in _ADDED.items()}

# Endings after an apostrophe -> their phones; "s" depends on the sound before it.
_SUFFIXES = {
    "ll": ("AH0", "L"),
    "re": ("ER0",),
    "ve": ("AH0", "V"),
    "d": ("D",),
    "m": ("M",),
    "t": ("T",),
}
_SIBILANTS = {"S", "Z", "SH", "ZH", "CH", "JH"}
_VOICELESS = {"P", "T", "K", "F", "TH"}

_LONGEST_INITIALISM = 5


class Pronouncer(NamedTuple):
    """Sources of pronunciations.

    sources: looked up in order; the first that knows a word counts.
    guess: a function that pronounces any word of a to z, such as `g2p.Network`. Without it, a word
        that no source knows is spelled.
    """

    sources: tuple[Source, ...]
    guess: Source | None = None

    def known(self, word: str) -> tuple[str, ...] | None:
        """Look up the phones in the first source that knows the word, or None."""
        for source in self.sources:
            phones = source(word)
            if phones is not None:
                return tuple(phones)
        return None


class Phones(NamedTuple):
    """Phones of a word in ARPAbet, and whether they only spell its letters."""

    phones: tuple[str, ...]
    spelled: bool = False


@lru_cache(maxsize=2)
def default(mode: str) -> Pronouncer:
    """Make the default pronouncer: the dictionary and, if g2p_en is installed, its network.

    In exact mode also g2p_en's readings of homographs; in fixed mode some words of our own, and
    plurals and ordinals by rule. The original then looks a word up in nltk's dictionary, which this
    dictionary replaces.
    """
    path = g2p.installed()
    guess = None if path is None else lru_cache(maxsize=4096)(g2p.load(path))
    if mode == "exact":
        return Pronouncer((HOMOGRAPHS.get, dictionary.lookup), guess)
    return Pronouncer((dictionary.lookup, added, inflected), guess)


def added(word: str) -> tuple[str, ...] | None:
    """Look up words that the dictionary lacks."""
    return _PHONES_OF_ADDED.get(word.lower())


def inflected(word: str) -> tuple[str, ...] | None:
    """Pronounce plurals and ordinals whose stem is known: "emails", "octillionth"."""
    for ending, phones in (("th", ("TH",)), ("s", None)):
        stem = word[: -len(ending)]
        if len(stem) > 2 and word.lower().endswith(ending) and not stem.lower().endswith("s"):
            known = dictionary.lookup(stem) or added(stem)
            if known:
                return (*known, *(phones or sibilant(known)))
    return None


def sibilant(phones: Sequence[str]) -> tuple[str, ...]:
    """Sound of an s after a word: "dogs" with Z, "cats" with S, "horses" with IH0 Z."""
    if phones and phones[-1] in _SIBILANTS:
        return ("IH0", "Z")
    return ("S",) if phones and phones[-1] in _VOICELESS else ("Z",)


def reduced(word: str) -> str:
    """Reduce a word as g2p_en does: to a to z and ``'.,?!-``, without accents, in lower case."""
    return re.sub(r"[^ a-z'.,?!-]", "", unicodedata.normalize("NFD", word).lower())


def exact(word: str, pronouncer: Pronouncer) -> Phones:
    """Pronounce a word as the original does: by the dictionary, else by g2p_en, from `reduced`.

    Punctuation that has a symbol is its own phone; other words without a letter are silent. A word
    that no source knows is spelled, which the original never does.
    """
    phones = dictionary.lookup(word)
    if phones is not None:
        return Phones(phones)
    word = reduced(word)
    if not re.search("[a-z]", word):
        return Phones(tuple(word))
    phones = pronouncer.known(word)
    return _guessed(word, pronouncer) if phones is None else Phones(phones)


def fixed(word: str, pronouncer: Pronouncer) -> Phones:
    """Pronounce a word as it is meant: contractions as one word, initialisms by their letters.

    Possessives also count as one word. Characters other than ASCII letters, apostrophes and
    punctuation are silent.
    """
    if word in {",", ".", "?", "!", "-"}:
        return Phones((word,))
    if not re.fullmatch("[A-Za-z']+", word):
        return Phones(())
    phones = pronouncer.known(word)
    if phones is not None:
        return Phones(phones)
    if "'" in word:
        return _joined(word, pronouncer)
    if word.isupper() and len(word) <= _LONGEST_INITIALISM:
        return Phones(letters(word))
    if not re.search("[aeiouy]", word.lower()):  # no one could pronounce it
        return Phones(letters(word), spelled=True)
    return _guessed(word.lower(), pronouncer)


def _guessed(word: str, pronouncer: Pronouncer) -> Phones:
    phones = None if pronouncer.guess is None else pronouncer.guess(word)
    return Phones(tuple(phones)) if phones else Phones(letters(word), spelled=True)


def letters(word: str) -> tuple[str, ...]:
    """Spell a word: the names of its letters, one after another."""
    return tuple(phone for c in word if c != "'" for phone in _letter(c))


def _letter(c: str) -> tuple[str, ...]:
    # The dictionary's "A" is the article.
    return ("EY1",) if c in "aA" else dictionary.lookup(c) or ()


def _joined(word: str, pronouncer: Pronouncer) -> Phones:
    """Pronounce words with apostrophes that the dictionary lacks: "Zwixled's", "y'all'd"."""
    stem, _, suffix = word.rpartition("'")
    known = pronouncer.known(stem) if stem else ()
    parts = (
        [fixed(part, pronouncer) for part in stem.split("'")] if known is None else [Phones(known)]
    )
    before = tuple(phone for part in parts for phone in part.phones)
    ending = sibilant(before) if suffix.lower() == "s" else _SUFFIXES.get(suffix.lower())
    after = fixed(suffix, pronouncer) if ending is None else Phones(ending)
    return Phones(before + after.phones, any(part.spelled for part in (*parts, after)))
