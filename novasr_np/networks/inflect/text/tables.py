"""The tables of the original's front-end: its symbols, and those of its tokeniser and g2p."""

import json
from importlib.resources import files

_TABLES = json.loads(files(__package__).joinpath("tables.json").read_text("utf-8"))


def _characters(ranges: str) -> frozenset[str]:
    """Expand ranges of code points in hexadecimal, "41-43 61", to their characters."""
    ends = (part.split("-") for part in ranges.split())
    return frozenset(
        chr(code) for end in ends for code in range(int(end[0], 16), int(end[-1], 16) + 1)
    )


# The phones of all languages that the front-end was made for; a phone's id is its index.
SYMBOLS: tuple[str, ...] = tuple(_TABLES["symbols"])
IDS: dict[str, int] = {symbol: id for id, symbol in enumerate(SYMBOLS)}

PAD, UNKNOWN = "_", "UNK"
ENGLISH = 2  # the language's id
FIRST_TONE = 7  # the id of English's tone 0: no stress mark

# The characters beyond ASCII that BERT's uncased vocabulary can spell a word with.
WORDPIECE_CHARACTERS = frozenset(_TABLES["wordpiece_chars"])

# Categories of characters as BERT's tokeniser knows them, those of Unicode 9.0: what was assigned
# later is a letter to it, whatever Python's own version says. Of a block of private use its table
# has only the first and the last.
CONTROLS = _characters(_TABLES["other"])  # Cc, Cf and Co
ACCENTS = _characters(_TABLES["nonspacing"])  # Mn
PUNCTUATION = _characters(_TABLES["punctuation"])  # P*

# Words with two readings -> ARPAbet of the one for all parts of speech but the one that g2p_en's
# table (Apache-2.0) names, in most rows the verb; to know that one would need a tagger.
HOMOGRAPHS: dict[str, tuple[str, ...]] = {
    word: tuple(phones.split()) for word, phones in _TABLES["homographs"].items()
}

# ARPAbet. A vowel has its stress behind it: 0 none, 1 primary, 2 secondary.
_ARPABET = (
    "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW",
    "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH",
)
VOWELS, CONSONANTS = (phones.split() for phones in _ARPABET)
