"""The Carnegie Mellon Pronouncing Dictionary, read from the package at the first lookup.

The file is compressed with xz. It holds two lists, separated by a blank line: the sorted words,
each as a letter for the length of the prefix that it shares with the word before (a is 0) and the
rest of the word; and the pronunciations, a character for each phone. `build_dictionary` writes it.
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

# Words that can occur in a text: letters and digits, and parts joined by an apostrophe.
_WORD = re.compile(r"[A-Z0-9']+")


def parse(text: str) -> dict[str, str]:
    """Parse the dictionary's published text: word -> phones, each as its character.

    Lines are ``WORD  PH PH - PH``, with " - " between syllables; of equal words the last one
    counts. Variants such as ``WORD(2)`` and names of punctuation are left out.
    """
    entries = (line.split("  ", 1) for line in text.splitlines()[HEADER_LINES:])
    return {
        word: "".join(_CODE[phone] for phone in phones.split() if phone != "-")
        for word, phones in entries
        if _WORD.fullmatch(word)
    }


def pack(entries: Mapping[str, str]) -> bytes:
    """Make the file's content for these words, before compression."""
    words = sorted(entries)
    shortened = (_shorten(word, last) for last, word in zip(["", *words], words, strict=False))
    return "\n".join([*shortened, "", *(entries[word] for word in words)]).encode("ascii")


def unpack(data: bytes) -> dict[str, str]:
    """Undo `pack`."""
    words, phones = data.decode("ascii").split("\n\n")
    return dict(zip(_lengthen(words.split("\n")), phones.split("\n"), strict=True))


def lookup(word: str) -> tuple[str, ...] | None:
    """Look up a word's phones in ARPAbet, ("HH", "AH0", "L", "OW1"), or None; in any case."""
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
