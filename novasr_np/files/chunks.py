"""The sound in files that are made of chunks: WAV, RF64, W64, AIFF, CAF.

Each chunk has a name and a size. The size of the chunk with the samples may be a mark that stands
for "unknown" (a program that writes to a pipe), may have wrapped at 4 GB, or may be from before a
recorder stopped. The chunks that have to follow tell which.
"""

import mmap
import struct
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import AudioError
from .parts import MAGIC, Held, Part, begins, is_over, more_than_stated


class _Kind(NamedTuple):
    """How a container writes its chunks."""

    types: tuple[bytes, ...]  # what a file has to be, behind its first bytes
    type_at: int
    first: int  # bytes before the first chunk
    whole_at: int | None  # byte at which the size of the whole file stands
    size: struct.Struct
    name: int  # bytes of a chunk's name
    aside: int  # bytes of a chunk that its size does not count
    align: int  # bytes to a multiple of which chunks are filled up
    sound: bytes  # name of the chunk with the samples
    before: int  # bytes in that chunk before the samples


_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # of W64's names
_LE32, _BE32, _LE64, _BE64 = map(struct.Struct, ("<I", ">I", "<Q", ">Q"))
_KINDS = {
    b"RIFF": _Kind((b"WAVE",), 8, 12, 4, _LE32, 4, 8, 2, b"data", 0),
    b"RIFX": _Kind((b"WAVE",), 8, 12, 4, _BE32, 4, 8, 2, b"data", 0),
    b"RF64": _Kind((b"WAVE",), 8, 12, 4, _LE32, 4, 8, 2, b"data", 0),
    b"BW64": _Kind((b"WAVE",), 8, 12, 4, _LE32, 4, 8, 2, b"data", 0),
    b"FORM": _Kind((b"AIFF", b"AIFC"), 8, 12, 4, _BE32, 4, 8, 2, b"SSND", 8),
    b"caff": _Kind((b"\0\1",), 4, 8, None, _BE64, 4, 12, 1, b"data", 4),
    b"riff": _Kind((b"wave" + _TAIL,), 24, 40, 16, _LE64, 16, 0, 8, b"data" + _TAIL, 0),
}
_GSM, _FLOAT, _EXTENSIBLE = b"\x31\0", b"\3\0", b"\xfe\xff"  # tags of codings
_ASIDE = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"_PMX", b"cue ", b"smpl", b"PEAK", b"JUNK")
# A size at or near one of these stands for "unknown": the largest that a field holds, and round
# numbers that servers write.
_MARKS = (10**9, 1 << 30, 2 * 10**9, 1 << 31, 4 * 10**9, 1 << 32, (1 << 63) - 1, 1 << 64)
_MARGIN = 8192  # bytes


class Chunk(NamedTuple):
    """A chunk of a file."""

    name: bytes
    at: int
    start: int  # byte of its content
    size: int  # of the content, in bytes, as stated


def each(data: mmap.mmap, at: int = 0) -> Iterator[Chunk]:
    """Yield the chunks of a file, by the sizes that it states."""
    kind = _KINDS.get(data[at : at + 4])
    at += kind.first if kind else 0
    while kind and (chunk := _chunk(data, at, kind)):
        yield chunk
        at = _aligned(data, chunk.start + chunk.size, kind)


def walk(data: mmap.mmap, at: int) -> Held | None:
    """Walk the chunks of a file; None if it is of another type, or has no sound.

    Raises AudioError if samples are missing, or are more than the header says.
    """
    kind = _KINDS[data[at : at + 4]]
    if not data[at + kind.type_at : at + kind.first].startswith(kind.types):
        return None
    parts, large, form, end = [], None, 0, at + kind.first
    while chunk := _chunk(data, end, kind):
        stop = chunk.start + chunk.size
        if chunk.name[:4] == b"fmt ":
            form = chunk.start
        elif chunk.name == b"ds64":
            large = _LE64.unpack(data[chunk.start + 8 : chunk.start + 16])[0]
        elif chunk.name == kind.sound:
            start = chunk.start + kind.before
            stated = large if large is not None and chunk.size == 0xFFFFFFFF else chunk.size
            stated = max(0, stated - kind.before)
            stop = _sound_stop(data, start, stated, kind)
            parts.append((chunk, start, stop, stop - start == stated))
        end = _aligned(data, stop, kind)
    if not parts:
        return None
    # libsndfile misreads two codings in W64: GSM, and floating point that is called extensible.
    tag = data[form : form + 2] if kind.name == 16 else b""
    if tag == _GSM:
        return Held([Part(at, end)], end, "its coding in W64 is GSM")
    is_float = tag == _EXTENSIBLE and data[form + 24 : form + 26] == _FLOAT
    if len(parts) == 1 and parts[0][-1] and not is_float:
        return Held([Part(at, end)], end)
    found = []
    for chunk, start, stop, _ in parts:
        head = _head(data, at, chunk, start, stop - start, kind)
        if is_float:
            head[form - at : form - at + 2] = _FLOAT
        found.append(Part(start, stop, bytes(head)))
    return Held(found, end)


def _chunk(data: mmap.mmap, at: int, kind: _Kind) -> Chunk | None:
    """The chunk that begins here; None if none does, or it would not fit and is not the sound."""
    start = at + kind.name + kind.size.size
    if start > len(data):
        return None
    name = data[at : at + kind.name]
    size = kind.size.unpack(data[at + kind.name : start])[0] - (0 if kind.aside else start - at)
    if name == kind.sound:
        size = max(0, size)  # in W64 a size of 0 stands for "unknown", too
    if name[:4] in MAGIC or not all(0x20 <= byte < 0x7F for byte in name[:4]) or size < 0:
        return None
    if name != kind.sound and start + size > len(data):
        if name not in _ASIDE:
            return None
        size = len(data) - start  # cut short, but no sound is lost
    return Chunk(name, at, start, size)


def _aligned(data: mmap.mmap, stop: int, kind: _Kind) -> int:
    """Where the next chunk begins; some writers leave the filling out."""
    filled = min(len(data), stop + -stop % kind.align)
    if filled != stop and not _chunk(data, filled, kind) and _chunk(data, stop, kind):
        return stop
    return filled


def _goes_on(data: mmap.mmap, stop: int, kind: _Kind) -> bool:
    """Whether what follows is chunks up to the end of the file, or to another file."""
    at = _aligned(data, stop, kind)
    while (chunk := _chunk(data, at, kind)) and chunk.name != kind.sound:
        at = _aligned(data, chunk.start + chunk.size, kind)
    return chunk is not None or is_over(data, at) or begins(data, at)


def _sound_stop(data: mmap.mmap, start: int, stated: int, kind: _Kind) -> int:
    """Where the samples end that begin at `start`. Raises AudioError if nothing tells."""
    there = len(data) - start
    wraps = range((there >> 32) + 1) if kind.size.size == 4 else range(1)
    for size in (stated + (wrap << 32) for wrap in wraps):
        if size <= there and _goes_on(data, start + size, kind):
            return start + size
    if stated == 0 or _is_mark(stated):
        return len(data)
    if stated > there:
        raise AudioError(f"cut short: {there} of {stated} bytes of samples are there")
    raise more_than_stated(stated, there)


def _is_mark(size: int) -> bool:
    """Whether a size is a mark of one that its writer did not know."""
    return any(abs(size - mark) <= _MARGIN for mark in _MARKS)


def _head(data: mmap.mmap, at: int, chunk: Chunk, start: int, size: int, kind: _Kind) -> bytearray:
    """All before the samples, with the right sizes in it."""
    head = bytearray(data[at:start])
    size += kind.before
    if kind.size.size == 4 and size + len(head) >= 1 << 32:
        if head[:4] != b"RIFF":
            raise AudioError(f"{size} bytes of samples, where the header has room for 4 GB")
        # As RF64 (EBU Tech 3306), whose sizes stand in a chunk of their own.
        ds64 = b"ds64" + _LE32.pack(28) + struct.pack("<QQQI", len(head) + size + 28, size, 0, 0)
        body = head[12 : chunk.at - at]
        return bytearray(b"RF64\xff\xff\xff\xffWAVE" + ds64) + body + b"data\xff\xff\xff\xff"
    whole = len(head) - kind.before + size
    if head[:4] in (b"RF64", b"BW64"):
        head[:4] = b"RF64"
        found = head.find(b"ds64")
        if found >= 0:
            head[found + 8 : found + 24] = struct.pack("<QQ", whole - 8, size)
        return head
    if kind.whole_at is not None:
        stated = kind.size.pack(whole if not kind.aside else whole - 8)
        head[kind.whole_at : kind.whole_at + kind.size.size] = stated
    where = chunk.start - at
    counted = size if kind.aside else size + kind.name + kind.size.size
    head[where - kind.size.size : where] = kind.size.pack(counted)
    return head
