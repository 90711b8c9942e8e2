"""Split a text into sentences that are short enough for the acoustic model."""

import operator
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate

from . import fixed, pronounce
from .pronounce import Pronouncer

# The model cuts off after 1,400 frames. Its author's eight examples take 2.6 to 3.5 frames for an
# id, so this number of ids leaves a third of the frames free, for slower speech.
MAX_TOKENS = 280
MIN_TOKENS = 64  # no word of the dictionary is longer


def sentences(
    text: str, max_tokens: int = MAX_TOKENS, pronouncer: Pronouncer | None = None
) -> Iterator[str]:
    """Yield the text's sentences, in words, for `to_ids` in fixed mode; nothing is lost.

    max_tokens: largest number of ids in one. A longer sentence is cut at a pause near its middle,
        or between words, or within a word that is too long.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {type(text).__name__}")
    try:
        most = operator.index(max_tokens)
    except TypeError:
        raise TypeError(f"max_tokens must be an int, got {max_tokens!r}") from None
    if most < MIN_TOKENS:
        raise ValueError(f"max_tokens must be at least {MIN_TOKENS}, got {most}")
    return _sentences(text, most, pronouncer or pronounce.default("fixed"))


def _sentences(text: str, most: int, pronouncer: Pronouncer) -> Iterator[str]:
    for sentence in re.split(r"(?<=[.?!])\s+", fixed.normalise(text)):
        chunks = [part for chunk in sentence.split() for part in _parts(chunk, most, pronouncer)]
        sizes = [_phones(chunk, pronouncer) for chunk in chunks]
        if chunks:
            yield from _cut(chunks, sizes, most)


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
