"""Length of an Ogg stream, by its pages.

libsndfile skips damaged pages, and takes the end of the file for the end of the sound, without an
error.
"""

import os
import re
from pathlib import Path

# An Ogg page has at most 255 Vorbis packets of at most 8192 samples.
_PAGE_MAX_SAMPLES = 255 * 8192
_OPUS_RATE = 48_000  # Hz, at which Opus counts samples, whatever the rate of the sound


def length(path: Path, sample_rate: int, is_opus: bool) -> int | None:
    """Count an Ogg stream's samples at `sample_rate` Hz by its pages (RFC 3533, section 6).

    None if its last page is cut off or not marked as the end; 0 if the length is not known, as the
    first page's number is far from 0: a recording from the middle of a broadcast.
    """
    with open(path, "rb") as file:
        head = file.read(1 << 17)  # a page has at most 65 307 bytes
        file.seek(max(0, os.path.getsize(path) - (1 << 17)))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if not page.startswith(b"OggS") or len(page) < 27 or len(page) < 27 + page[26]:
        return None
    segments = page[27 : 27 + page[26]]
    if not page[5] & 4 or len(page) < 27 + len(segments) + sum(segments):
        return None
    numbers = (_page_number(head[match.start() :]) for match in re.finditer(b"OggS", head))
    first = next((number for number in numbers if number > 0), 0)
    if first >= _PAGE_MAX_SAMPLES:
        return 0
    if is_opus:
        return (_page_number(page) - _skip(head)) * sample_rate // _OPUS_RATE
    return _page_number(page)


def _skip(head: bytes) -> int:
    """Number of samples that an Opus decoder skips at the beginning (RFC 7845, section 5.1)."""
    at = head.find(b"OpusHead") + 10
    return int.from_bytes(head[at : at + 2], "little")


def _page_number(page: bytes) -> int:
    """Number of the last sample that an Ogg page completes (its granule position)."""
    return int.from_bytes(page[6:14], "little", signed=True)
