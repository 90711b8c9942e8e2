"""Split a text of any length into sentences that are short enough for the acoustic model."""

import operator
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from . import fixed, pronounce
from .pronounce import Pronouncer

# The model cuts off after 1,400 frames. Its author's eight examples take 2.6 to 3.5 frames for an
# id, so this number of ids leaves a third of the frames free, for slower speech.
MAX_TOKENS = 280
MIN_TOKENS = 64  # no word of the dictionary is longer

_PIECE = 4096  # characters of a text that are read at once
_PARAGRAPH = re.compile(r"\n\s*\n\s*")
# Where a text may be cut without changing how it is read; the first kind that is found counts. No
# abbreviation that ends in a full stop has five lower-case letters.
_CUTS = (
    _PARAGRAPH,
    re.compile(r"[a-z]{5}[.?!][\"')]*\s+(?=[\"'(]*[A-Z])"),
    re.compile(r"[a-z]{3}[,;:]?\s+(?=[a-z]{3})"),
    re.compile(r"\s+"),
)


def sentences(
    text: str | Iterable[str],
    max_tokens: int = MAX_TOKENS,
    pronouncer: Pronouncer | None = None,
) -> Iterator[str]:
    """Yield the text's sentences, in words, for `to_ids` in fixed mode; nothing is lost.

    text: a str, or its parts, of any lengths, which are taken as they are needed: memory does not
        grow with the text, even if it never has a full stop or a space.
    max_tokens: largest number of ids in one. A longer sentence is cut at a pause near its middle,
        or between words, or within a word that is too long.

    Raises TypeError or ValueError for invalid arguments.
    """
    if isinstance(text, bytes) or not isinstance(text, Iterable):
        raise TypeError(f"text must be a str or strings, got {type(text).__name__}")
    try:
        most = operator.index(max_tokens)
    except TypeError:
        raise TypeError(f"max_tokens must be an int, got {max_tokens!r}") from None
    if most < MIN_TOKENS:
        raise ValueError(f"max_tokens must be at least {MIN_TOKENS}, got {most}")
    parts = [text] if isinstance(text, str) else text
    return _sentences(parts, most, pronouncer or pronounce.default("fixed"))


def _sentences(parts: Iterable[str], most: int, pronouncer: Pronouncer) -> Iterator[str]:
    for piece in _pieces(parts):
        for sentence in re.split(r"(?<=[.?!])\s+", fixed.normalise(piece)):
            chunks = [c for chunk in sentence.split() for c in _parts(chunk, most, pronouncer)]
            sizes = [_phones(chunk, pronouncer) for chunk in chunks]
            if chunks:
                yield from _cut(chunks, sizes, most)


def _pieces(parts: Iterable[str]) -> Iterator[str]:
    """Join the parts of a text, and cut it where its reading does not change, if that is near.

    A piece is followed by at least as much text, so that neither end of a long number is short
    enough to have a name.
    """
    text = ""
    for part in parts:
        if not isinstance(part, str):
            raise TypeError(f"a part of a text must be a str, got {type(part).__name__}")
        for start in range(0, len(part), _PIECE):
            text += part[start : start + _PIECE]
            while len(text) >= 2 * _PIECE:
                piece, text = _divided(text)
                yield piece
    yield text


def _divided(text: str) -> tuple[str, str]:
    for kind in _CUTS:
        *_, found = [None, *kind.finditer(text, _PIECE // 2, _PIECE)]
        if found:
            piece = text[: found.end()].rstrip()
            stop = "." if piece and kind is _PARAGRAPH else ""  # an empty line ends a sentence
            return piece + stop, text[found.end() :]
    cut = _PIECE
    while cut > _PIECE // 2 and unicodedata.combining(text[cut]):
        cut -= 1
    return text[:cut], text[cut:]


def _cut(chunks: Sequence[str], sizes: Sequence[int], most: int) -> Iterator[str]:
    """Cut a sequence of chunks that is too long into halves, and those again."""
    if _tokens(sum(sizes)) <= most or len(chunks) == 1:
        yield " ".join(chunks)
        return
    half = sum(sizes) / 2
    before = list(accumulate(sizes))[:-1]  # phones up to a cut after each chunk but the last
    pauses = [i for i, n in enumerate(before) if chunks[i][-1] == "," and half / 2 < n < 1.5 * half]
    cut = min(pauses or range(len(before)), key=lambda i: abs(before[i] - half)) + 1
    yield from _cut(chunks[:cut], sizes[:cut], most)
    yield from _cut(chunks[cut:], sizes[cut:], most)


def _parts(chunk: str, most: int, pronouncer: Pronouncer) -> Iterator[str]:
    """Cut a chunk without spaces that is too long alone into words, or words into halves."""
    if len(chunk) == 1 or _tokens(_phones(chunk, pronouncer)) <= most:
        yield chunk
        return
    parts = [word for word in fixed.words(chunk) if word != "-"]
    if len(parts) == 1:
        middle = len(chunk) // 2
        parts = [chunk[:middle], chunk[middle:]]
    for part in parts:
        yield from _parts(part, most, pronouncer)


def _phones(chunk: str, pronouncer: Pronouncer) -> int:
    return sum(len(pronounce.fixed(word, pronouncer).phones) for word in fixed.words(chunk))


def _tokens(phones: int) -> int:
    """Number of ids for a number of phones: with a pad at either end, and blanks around all."""
    return 2 * (phones + 2) + 1
