"""Convert text to words exactly as the original does, with its quirks: clean, normalise, words.

The original also has a rule for times. It never applies, as cleaning has already turned every
colon into a comma, so it is left out here.
"""

import re
import unicodedata
from collections.abc import Iterator

from .errors import TextError
from .numbers import cardinal, ordinal, year
from .tables import ACCENTS, CONTROLS, PUNCTUATION, WORDPIECE_CHARACTERS

UNKNOWN = "[UNK]"  # in place of a word that BERT's vocabulary cannot spell
_LONGEST_WORD = 100  # characters, of BERT's tokeniser

_REPLACED = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019", "'"),
        **dict.fromkeys("\u201c\u201d", ""),
        **dict.fromkeys("\u2014\u2013;:", ","),
        "\n": ".",
    }
)

# Applied in this order; the full stop is part of the abbreviation.
_ABBREVIATIONS = {
    "mrs": "misess",
    "mr": "mister",
    "dr": "doctor",
    "st": "saint",
    "co": "company",
    "jr": "junior",
    "maj": "major",
    "gen": "general",
    "drs": "doctors",
    "rev": "reverend",
    "lt": "lieutenant",
    "hon": "honorable",
    "sgt": "sergeant",
    "capt": "captain",
    "esq": "esquire",
    "ltd": "limited",
    "col": "colonel",
    "ft": "fort",
}

# Sign -> unit, units, sub-unit, sub-units.
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound sterling", "pounds sterling", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
}

# First and last of the blocks of ideographs, each of which is a word.
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def clean(text: str) -> str:
    """Simplify punctuation and spaces; of several full stops in a row the last one stays."""
    text = text.translate(_REPLACED).replace("...", "…")
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\s+([,.!?…])", r"\1", text)
    return re.sub(r"([,.!?…]){2,}", r"\1", text)


def normalise(text: str) -> str:
    """Convert cleaned text to lower case, with numbers, money and abbreviations in words.

    Raises TextError for a number that has no name, 10^36 or more.
    """
    text = text.lower()
    text = re.sub(r"[0-9][0-9,]+[0-9]", lambda m: m[0].replace(",", ""), text)
    text = re.sub(r"(£|\$|¥)([0-9,.]*[0-9]+)", lambda m: _money(m[1], m[2]), text)
    text = re.sub(r"([0-9]+)\.([0-9]+)", r"\1 point \2", text)
    text = re.sub(r"([0-9]+)(?:st|nd|rd|th)", lambda m: ordinal(_integer(m[1])), text)
    text = re.sub(r"-?[0-9]+", lambda m: _number(_integer(m[0])), text)
    for short, long in _ABBREVIATIONS.items():
        text = re.sub(rf"\b{short}\.", long, text, flags=re.IGNORECASE)
    return text


def words(text: str) -> list[str]:
    """Split normalised text into words without accents; each punctuation character is a word.

    They are the words of BERT's uncased tokeniser, with its pieces joined again. A word with
    characters outside its vocabulary, or more than 100 characters, is UNKNOWN; "#", taken for the
    mark of a continued word, vanishes. Raises TextError if "#" is the first word, on which the
    original fails.
    """
    found = [_known(word) for chunk in _plain(text).split() for word in _at_punctuation(chunk)]
    if found and found[0] == "#":
        raise TextError(f"a text must not begin with '#' in exact mode, got {text[:40]!r}")
    return [word for word in found if word != "#"]


def _money(sign: str, amount: str) -> str:
    """Write amount and unit in words, with numbers in digits: "$1.5" is 1 dollar and 5 cents."""
    unit, units, part, parts = _CURRENCIES[sign]
    amount = amount.replace(",", "")
    if amount.count(".") > 1:
        return f"{amount} {units}"
    whole, _, fraction = amount.partition(".")
    n, f = _integer(whole), _integer(fraction)
    # As the original looks up the value of 100 parts, it says "100 dollar" for them.
    of_parts = {1: part, 100: unit, 200: units}.get(f, parts)
    said = [f"{n} {unit if n == 1 else units}"] * (n > 0) + [f"{f} {of_parts}"] * (f > 0)
    return " ".join(said) or f"zero {units}"


def _number(number: int) -> str:
    return year(number) if 1000 < number < 3000 else cardinal(number)


def _integer(text: str) -> int:
    """Parse any digits, none being 0. Python itself refuses to parse thousands of them."""
    digits = text.lstrip("-").lstrip("0")
    if len(digits) > 36:
        raise TextError(f"numbers must be at most 10^36 - 1, got one of {len(digits)} digits")
    return int(text or 0) if digits else 0


def _plain(text: str) -> str:
    """Remove control characters and accents, separate ideographs, and convert to lower case."""
    kept = "".join(_character(c) for c in text)
    return "".join(c for c in unicodedata.normalize("NFD", kept) if c not in ACCENTS).lower()


def _character(c: str) -> str:
    if c.isspace():
        return " "
    if c == "\ufffd" or c in CONTROLS:
        return ""
    return f" {c} " if any(first <= ord(c) <= last for first, last in _IDEOGRAPHS) else c


def _at_punctuation(chunk: str) -> Iterator[str]:
    word = ""
    for c in chunk:
        if not _is_punctuation(c):
            word += c
            continue
        if word:
            yield word
        yield c
        word = ""
    if word:
        yield word


def _is_punctuation(c: str) -> bool:
    """Whether c is a printable ASCII character but no letter or digit, or Unicode punctuation."""
    return ("!" <= c <= "~" and not c.isalnum()) or c in PUNCTUATION


def _known(word: str) -> str:
    spelled = all(c.isascii() or c in WORDPIECE_CHARACTERS for c in word)
    return word if spelled and len(word) <= _LONGEST_WORD else UNKNOWN
