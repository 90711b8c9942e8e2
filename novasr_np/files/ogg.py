"""The links of an Ogg file, by its pages (RFC 3533).

Joined Ogg files are one valid Ogg file, a chain of links. libsndfile reads the first, skips damaged
pages, and takes the end of the file for the end of the sound, all without an error.
"""

import mmap
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from ..errors import AudioError
from .parts import Held, Part

_OPUS_RATE = 48_000  # Hz, at which Opus counts samples, whatever the rate of the sound
_HEADER = struct.Struct("<4sBBqIIIB")
_FIRST, _LAST = 2, 4  # flags of a page
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
# First bytes of a stream -> its kind; of the others, such as video, libsndfile knows nothing.
_KINDS = {b"\x01vorbis": "Vorbis", b"OpusHead": "Opus", b"\x7fFLAC": "FLAC"}
_HEAD = 19  # bytes of the shortest first packet, that of Opus
_ASIDE = (b"fishead\0",)  # an index, which is no sound and no video
_OPUS_MAX, _FLAC_MAX = 5760, 65_535  # samples in a packet


class _Page(NamedTuple):
    start: int
    stop: int
    flags: int
    samples: int  # number of the last sample that the page completes: its granule position
    stream: int
    number: int
    packets: int  # that end in it
    body: int  # byte at which its content begins


class _Stream:
    """A stream of a link, as far as its pages have come."""

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.next = 0
        self.is_over = False
        self.last = 0
        self.from_middle: bool | None = None

    @property
    def kind(self) -> str | None:
        if len(self.head) < _HEAD:
            return None
        return next((kind for magic, kind in _KINDS.items() if self.head.startswith(magic)), None)

    def add(self, page: _Page) -> None:
        if page.number != self.next:
            raise AudioError(
                f"damaged: page {self.next} of its Ogg stream is missing at byte {page.start}"
            )
        self.next += 1
        self.is_over = bool(page.flags & _LAST)
        if page.samples > 0:
            self.last = page.samples
            if self.from_middle is None:
                self.from_middle = page.samples > page.packets * self._packet_max()

    def _packet_max(self) -> int:
        """Most samples in a packet."""
        if self.kind == "Vorbis":
            return 1 << (int.from_bytes(self.head[28:29], "big") >> 4)
        return _OPUS_MAX if self.kind == "Opus" else _FLAC_MAX

    def seconds(self) -> Fraction:
        """How long it lasts; 0 if it began in the middle of a broadcast, whose count goes on."""
        if self.from_middle:
            return Fraction(0)
        if self.kind == "Opus":  # RFC 7845, section 5.1
            skip = int.from_bytes(self.head[10:12], "little")
            return Fraction(max(0, self.last - skip), _OPUS_RATE)
        return Fraction(self.last, _rate(self.head))


def walk(data: mmap.mmap, at: int) -> Held:
    """Walk the links of an Ogg file, each a part. Raises AudioError for a page that is damaged,
    missing or cut off.
    """
    links, beyond = [], None
    start, streams = at, dict[int, _Stream]()
    end = at
    for page in _pages(data, at):
        begins = page.flags & _FIRST
        if begins and any(stream.next > 1 or stream.is_over for stream in streams.values()):
            links.append((start, page.start, streams))
            start, streams = page.start, {}
        if begins:
            streams[page.stream] = _Stream(data[page.body : min(page.stop, page.body + 64)])
        if page.stream not in streams:
            raise AudioError(f"damaged: the Ogg page at byte {page.start} belongs to no stream")
        streams[page.stream].add(page)
        end = page.stop
    links.append((start, end, streams))
    parts = []
    for start, stop, streams in links:
        if not all(stream.is_over for stream in streams.values()):
            raise AudioError(f"cut short: the Ogg stream has no end before byte {stop}")
        inside = [s for s in streams.values() if not s.head.startswith(_ASIDE)]
        if len(inside) != 1 or inside[0].kind is None:
            beyond = "its Ogg streams are more or other than one of Vorbis, Opus or FLAC"
            parts.append(Part(start, stop))
            continue
        parts.append(Part(start, stop, seconds=inside[0].seconds()))
    return Held(parts, end, beyond)


def _pages(data: mmap.mmap, at: int) -> Iterator[_Page]:
    """Yield the pages from `at` on, whole ones with the right checksum."""
    while data[at : at + 4] == b"OggS":
        body = at + _HEADER.size
        if body > len(data) or body + data[body - 1] > len(data):
            raise AudioError(f"cut short: its last Ogg page, at byte {at}, is not whole")
        _, _, flags, samples, stream, number, checksum, count = _HEADER.unpack(data[at:body])
        stop = body + count + sum(data[body : body + count])
        if stop > len(data):
            raise AudioError(f"cut short: its last Ogg page, at byte {at}, is not whole")
        page = data[at : at + 22] + bytes(4) + data[at + 26 : stop]
        if _checksum(page) != checksum:
            raise AudioError(f"damaged: the Ogg page at byte {at} has not the checksum it states")
        packets = sum(size < 255 for size in data[body : body + count])
        yield _Page(at, stop, flags, samples, stream, number, packets, body + count)
        at = stop


def _checksum(page: bytes) -> int:
    """CRC of a page: zlib's, of the same polynomial, with the bits mirrored and from zero."""
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_MIRRORED), "big")


def _rate(head: bytes) -> int:
    """Rate in Hz by a stream's first packet."""
    if head.startswith(b"\x01vorbis"):
        return int.from_bytes(head[12:16], "little") or 1
    # 13 bytes of Ogg's own, 4 and 10 of FLAC's, then 20 bits.
    return int.from_bytes(head[27:30], "big") >> 4 or 1
