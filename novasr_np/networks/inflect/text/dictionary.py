"""The Carnegie Mellon Pronouncing Dictionary, read from the package when the first word is asked.

The file is xz. Below it are two lists, a blank line between them: the words, sorted, each without
what it has in common with the word before, the length of which stands first as a letter (a is 0);
and the pronunciations, a character for each phone. `build_dictionary` writes it.
"""

import lzma
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files

from .tables import CONSONANTS, VOWELS

FILE = "cmudict.xz"
HEADER_LINES = 48

# All phones with their stress (0 none, 1 primary, 2 secondary) -> their character in the file.
_PHONES = [*CONSONANTS, *(f"{vowel}{stress}" for vowel in VOWELS for stress in ("", *"012"))]
_CODE = {phone: chr(ord("!") + i) for i, phone in enumerate(_PHONES)}
_PHONE = {character: phone for phone, character in _CODE.items()}

# What a text can reach: letters and digits, and what an apostrophe joins.
_WORD = re.compile(r"[A-Z0-9']+")


def parse(text: str) -> dict[str, str]:
    """Word -> phones, each as its character, of the dictionary's text as published.

    Lines are ``WORD  PH PH - PH``, with " - " between syllables; of equal words the last one
    holds. Variants such as ``WORD(2)`` and names of punctuation are left out.
    """
    entries = (line.split("  ", 1) for line in text.splitlines()[HEADER_LINES:])
    return {
        word: "".join(_CODE[phone] for phone in phones.split() if phone != "-")
        for word, phones in entries
        if _WORD.fullmatch(word)
    }


def pack(entries: Mapping[str, str]) -> bytes:
    """The file's content for these words, before compression."""
    words = sorted(entries)
    shortened = (_shorten(word, last) for last, word in zip(["", *words], words, strict=False))
    return "\n".join([*shortened, "", *(entries[word] for word in words)]).encode("ascii")


def unpack(data: bytes) -> dict[str, str]:
    """`pack` undone."""
    words, phones = data.decode("ascii").split("\n\n")
    return dict(zip(_lengthen(words.split("\n")), phones.split("\n"), strict=True))


def lookup(word: str) -> tuple[str, ...] | None:
    """A word's phones in ARPAbet, ("HH", "AH0", "L", "OW1"), or None; case does not matter."""
    phones = _entries().get(word.upper())
    return None if phones is None else tuple(_PHONE[character] for character in phones)


@lru_cache(maxsize=1)
def _entries() -> dict[str, str]:
    return unpack(lzma.decompress(files(__package__).joinpath(FILE).read_bytes()))


def _shorten(word: str, last: str) -> str:
    common = next((i for i, (a, b) in enumerate(zip(word, last, strict=False)) if a != b), None)
    if common is None:
        common = min(len(word), len(last))
    return chr(ord("a") + min(common, 25)) + word[min(common, 25) :]


def _lengthen(shortened: list[str]) -> Iterator[str]:
    word = ""
    for line in shortened:
        word = word[: ord(line[0]) - ord("a")] + line[1:]
        yield word
