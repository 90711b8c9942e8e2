"""The tables of the original's front-end: its symbols, and those of its tokeniser and g2p."""

import json
from importlib.resources import files

_TABLES = json.loads(files(__package__).joinpath("tables.json").read_text("utf-8"))

# The phones of all languages that the front-end was made for; a phone's id is its index.
SYMBOLS: tuple[str, ...] = tuple(_TABLES["symbols"])
IDS: dict[str, int] = {symbol: id for id, symbol in enumerate(SYMBOLS)}

PAD, UNKNOWN = "_", "UNK"
ENGLISH = 2  # the language's id
FIRST_TONE = 7  # the id of English's tone 0: no stress mark

# The characters beyond ASCII that BERT's uncased vocabulary can spell a word with.
WORDPIECE_CHARACTERS = frozenset(_TABLES["wordpiece_chars"])

# Words with two readings that are not in the dictionary -> ARPAbet as a noun (g2p_en, Apache-2.0).
# The reading as a verb would need a part-of-speech tagger, with the whole sentence.
HOMOGRAPHS: dict[str, tuple[str, ...]] = {
    word: tuple(phones.split()) for word, phones in _TABLES["homographs"].items()
}

# ARPAbet. A vowel has its stress behind it: 0 none, 1 primary, 2 secondary.
_ARPABET = (
    "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW",
    "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH",
)
VOWELS, CONSONANTS = (phones.split() for phones in _ARPABET)
