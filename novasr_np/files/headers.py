"""The sound in files that are one header and samples: FLAC, AU, NIST SPHERE; and VOC's blocks."""

import mmap
import re

from ..errors import AudioError
from .parts import Held, Part, begins, is_over, more_than_stated

_STREAMINFO = 42  # bytes of FLAC's mark, and of its first block of metadata
_FLAC_TAIL = 1 << 17  # bytes in which the last frame begins
_AU_UNKNOWN = 0xFFFFFFFF
_VOC = b"Creative Voice File\x1a"


def walk_flac(data: mmap.mmap, at: int) -> Held:
    """Walk a FLAC file (RFC 9639) up to the next one, if files were joined.

    A stream whose header says fewer samples than its frames hold gets a header that says nothing.
    """
    end = at
    while (end := data.find(b"fLaC", end + 1)) >= 0:
        if data[end + 4 : end + 8] in (
            b"\0\0\0\x22",
            b"\x80\0\0\x22",
        ):  # its first block of metadata
            break
    end = len(data) if end < 0 else end
    stated = int.from_bytes(data[at + 21 : at + 26], "big") & (1 << 36) - 1
    if stated and _last_sample(data, at, end) > stated:
        head = bytearray(data[at : at + _STREAMINFO])
        head[21:26] = bytes((head[21] & 0xF0, 0, 0, 0, 0))
        head[26:42] = bytes(16)  # the checksum of the samples, which is not theirs either
        return Held([Part(at + _STREAMINFO, end, bytes(head))], end)
    return Held([Part(at, end)], end)


def _last_sample(data: mmap.mmap, at: int, end: int) -> int:
    """Number of samples up to the last frame, exclusive, by its header; 0 if none is found."""
    block = int.from_bytes(data[at + 8 : at + 10], "big")
    tail = data[max(at + _STREAMINFO, end - _FLAC_TAIL) : end]
    found = 0
    for match in re.finditer(b"\xff[\xf8\xf9]", tail):
        header = tail[match.start() : match.start() + 16]
        number, length = _coded_number(header)
        if length and _crc8(header[:length]) == header[length]:
            found = max(found, number * (1 if header[1] & 1 else block))
    return found


def _coded_number(header: bytes) -> tuple[int, int]:
    """A frame's number, of its first sample or of itself, and the length of its header.

    Length 0 for what is no header (RFC 9639, section 9.1).
    """
    if len(header) < 16 or header[2] >> 4 == 0 or header[3] >> 4 > 10 or header[3] & 1:
        return 0, 0
    more = next((n for n in range(8) if not header[4] << n & 0x80), 8)  # ones before a zero
    if more in (1, 8) or any(byte >> 6 != 2 for byte in header[5 : 4 + more]):
        return 0, 0
    number = header[4] & (0x7F >> more)
    for byte in header[5 : 4 + more]:
        number = number << 6 | byte & 0x3F
    block_bytes = {6: 1, 7: 2}.get(header[2] >> 4, 0)
    rate_bytes = {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)
    return number, 4 + max(1, more) + block_bytes + rate_bytes


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value << 1 ^ (0x107 if value & 0x80 else 0)
    return value


def walk_au(data: mmap.mmap, at: int) -> Held:
    """Walk an AU file, whose size of the samples may stand for "unknown"."""
    start = at + int.from_bytes(data[at + 4 : at + 8], "big")
    stated = int.from_bytes(data[at + 8 : at + 12], "big")
    there = max(0, len(data) - start)
    if stated == _AU_UNKNOWN:
        return Held([Part(at, len(data))], len(data))
    end = start + stated
    if end > len(data):
        raise AudioError(f"cut short: {there} of {stated} bytes of samples are there")
    if begins(data, end) or (is_over(data, end) and (stated or not there)):
        return Held([Part(at, end)], end)
    if stated:
        raise more_than_stated(stated, there)
    head = data[at : at + 8] + b"\xff" * 4 + data[at + 12 : start]
    return Held([Part(start, len(data), head)], len(data))


def walk_nist(data: mmap.mmap, at: int) -> Held | None:
    """Walk a NIST SPHERE file, whose header counts its samples in plain text."""
    size = re.match(rb"NIST_1A\s+(\d+)\s", data[at : at + 24])
    if not size:
        return None
    start = at + int(size[1])
    fields = dict(re.findall(rb"(\w+) -i (\d+)", data[at:start]))
    try:
        count, channels, width = (
            int(fields[name]) for name in (b"sample_count", b"channel_count", b"sample_n_bytes")
        )
    except KeyError:
        return None
    if b"pcm" not in (coding := _coding(data[at:start])) and coding not in (b"", b"ulaw", b"alaw"):
        return None
    if b"," in coding:  # compressed, which libsndfile refuses
        return None
    end = start + count * channels * width
    there = max(0, len(data) - start)
    if end > len(data):
        raise AudioError(f"cut short: {there} of {end - start} bytes of samples are there")
    if not (begins(data, end) or is_over(data, end)):
        raise more_than_stated(end - start, there)
    return Held([Part(at, end)], end)


def _coding(header: bytes) -> bytes:
    found = re.search(rb"sample_coding -s\d+ (\S+)", header)
    return found[1] if found else b""


def walk_voc(data: mmap.mmap, at: int) -> Held | None:
    """Walk the blocks of a Creative VOC file. libsndfile reads the first block of sound only."""
    if data[at : at + len(_VOC)] != _VOC:
        return None
    end, sounds = at + int.from_bytes(data[at + 20 : at + 22], "little"), 0
    while end < len(data) and data[end]:
        kind, size = data[end], int.from_bytes(data[end + 1 : end + 4], "little")
        if end + 4 + size > len(data):
            raise AudioError(
                f"cut short: {len(data) - end - 4} of {size} bytes of its last block are there"
            )
        sounds += kind in (1, 2, 3, 9)  # of two kinds of header, continued, silence
        end += 4 + size
    beyond = "its sound stands in several blocks of VOC" if sounds != 1 else None
    return Held([Part(at, min(len(data), end + 1))], min(len(data), end + 1), beyond=beyond)
