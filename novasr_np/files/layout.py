"""Layouts of channels: the speakers that they are for, and their order in each format.

Everywhere but in files, channels are in the order of the speakers' bits in WAVE's channel mask, and
a layout is this mask: 0x3F is FL FR FC LFE BL BR, 5.1. It is 0 if a file says that its channels are
for no speakers, and None if it says nothing; one channel or two are then mono or stereo.
"""

import io
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import soundfile

from ..errors import AudioError
from . import chunks

MONO = 0x4
_SPEAKERS = (  # by their bits
    *("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC"),
    *("SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR"),
)


def _bits(names: str) -> list[int]:
    return [_SPEAKERS.index(name) for name in names.split()]


(_LFE,) = _bits("LFE")
# Most formats have one pair of surround speakers, be they behind or at the sides.
_SWAPPED = dict(zip(_bits("BL BR SL SR"), _bits("SL SR BL BR"), strict=True))

# Orders of formats, by the number of channels.
_PLAIN = {1: _bits("FC"), 2: _bits("FL FR")}
_XIPH = _PLAIN | {  # Vorbis I, 4.3.9; RFC 7845, 5.1.1.2
    3: _bits("FL FC FR"),
    4: _bits("FL FR BL BR"),
    5: _bits("FL FC FR BL BR"),
    6: _bits("FL FC FR BL BR LFE"),
    7: _bits("FL FC FR SL SR BC LFE"),
    8: _bits("FL FC FR SL SR BL BR LFE"),
}
_FLAC = _PLAIN | {  # RFC 9639, 9.1.3, "back or side" as its tools take it
    3: _bits("FL FR FC"),
    4: _bits("FL FR BL BR"),
    5: _bits("FL FR FC SL SR"),
    6: _bits("FL FR FC LFE SL SR"),
    7: _bits("FL FR FC LFE BC SL SR"),
    8: _bits("FL FR FC LFE BL BR SL SR"),
}
_ALAC = _PLAIN | {
    3: _bits("FC FL FR"),
    4: _bits("FC FL FR BC"),
    5: _bits("FC FL FR BL BR"),
    6: _bits("FC FL FR BL BR LFE"),
    7: _bits("FC FL FR BL BR BC LFE"),
    8: _bits("FC FLC FRC FL FR BL BR LFE"),
}
# Core Audio's tags of layouts, in chunks of CAF and AIFF; their Ls and Rs are SL and SR.
_CORE_AUDIO = {
    tag: _bits(names)
    for tag, names in {
        100: "FC",
        101: "FL FR",
        108: "FL FR BL BR",
        109: "FL FR BL BR FC",
        110: "FL FR BL BR FC BC",
        111: "FL FR BL BR FC BC SL SR",
        113: "FL FR FC",
        114: "FC FL FR",
        115: "FL FR FC BC",
        116: "FC FL FR BC",
        117: "FL FR FC SL SR",
        118: "FL FR SL SR FC",
        119: "FL FC FR SL SR",
        120: "FC FL FR SL SR",
        121: "FL FR FC LFE SL SR",
        122: "FL FR SL SR FC LFE",
        123: "FL FC FR SL SR LFE",
        124: "FC FL FR SL SR LFE",
        125: "FL FR FC LFE SL SR BC",
        126: "FL FR FC LFE SL SR FLC FRC",
        127: "FC FLC FRC FL FR SL SR LFE",
        128: "FL FR FC LFE SL SR BL BR",
        129: "FL FR SL SR FC LFE FLC FRC",
        131: "FL FR BC",
        132: "FL FR SL SR",
        133: "FL FR LFE",
        134: "FL FR LFE BC",
        135: "FL FR LFE SL SR",
        136: "FL FR FC LFE",
        137: "FL FR FC LFE BC",
        138: "FL FR SL SR LFE",
        139: "FL FR SL SR FC BC",
        140: "FL FR SL SR FC BL BR",
        141: "FC FL FR SL SR BC",
        142: "FC FL FR SL SR BC LFE",
        143: "FC FL FR SL SR BL BR",
        144: "FC FL FR SL SR BL BR BC",
        148: "FL FR SL SR FC FLC FRC",
        149: "FC LFE",
        150: "FL FC FR",
        151: "FL FC FR BC",
        152: "FL FC FR LFE",
        153: "FL FR BC LFE",
        154: "FL FC FR BC LFE",
        155: "FL FC FR SL SR BC",
        156: "FL FC FR SL SR BL BR",
        157: "FL FC FR SL SR LFE BC",
        160: "FL FC FR SL SR LFE BL BR",
        161: "FL FC FR SL SR LFE FLC FRC",
        183: "FC FL FR SL SR BL BR LFE",
    }.items()
}
_BITMAP, _DISCRETE = 1, 147
# ffmpeg before version 7 gives these tags to channels that are in the order of their bits.
_FFMPEGS = (126, 128)
# Its labels of single channels, where they are not a bit's number + 1: with the last two, which are
# behind them, the first two are at the sides.
_LABELS = dict(zip((5, 6, 33, 34), _bits("SL SR BL BR"), strict=True))

_MOST = {"mp3": 2, "flac": 8}  # channels that a format has, where they are few
# Numbers of channels with which an encoder keeps only the lowest sound of the LFE.
_FILTERED_LFE = {"opus": (6, 7, 8), "ogg": (6,)}

_FLAC_ENTRY = b"WAVEFORMATEXTENSIBLE_CHANNEL_MASK=0x%08X"
# libsndfile cannot write that entry. It writes this text under another name, to be written over.
PLACEHOLDER = "libsndfile".ljust(len(_FLAC_ENTRY % 0) - len("software="), ".")
_MAX_CHUNKS = 1000  # that are looked through in a file
_MAX_CHUNK = 4096  # bytes that are read of one

Order = list[int] | slice  # of channels: an index of an array's first axis


def of(path: Path, file: Any) -> tuple[int | None, Order]:
    """Read the layout of a file that soundfile or ffmpeg has opened.

    Returns it, and the order in which its channels have to be taken. Raises OSError.
    """
    n = file.channels
    bits = _stated(path, file)
    if bits is None or (bits and not len(bits) == n == len(set(bits) & set(range(32)))):
        bits = _PLAIN.get(n)
    if not bits:
        return (None if bits is None else 0), slice(None)
    order = sorted(range(n), key=bits.__getitem__)
    return sum(1 << bit for bit in bits), _order(order)


def place(
    layout: int | None, channels: int, format: str, subtype: str | None = None
) -> tuple[Order, str | None]:
    """Find the order in which channels that are for a layout are written into a file.

    format: a key of FORMATS. Also returns a note for the user if the layout has no place there, so
    that readers take the channels for other speakers. Raises AudioError if this would filter one of
    them, or if the format cannot have so many.
    """
    if channels > _MOST.get(format, channels):
        raise AudioError(
            f"cannot write {channels} channels as {format}, which has at most {_MOST[format]}: "
            "choose wav or aiff"
        )
    mask = _known(layout, channels)
    if format in ("flac", "aiff") or (format == "wav" and can_state(mask, channels, subtype)):
        return slice(None), None
    own = _bits_of(mask)
    usual = (_XIPH if format in ("ogg", "opus") else _PLAIN).get(channels, [])
    for bits in (own, [_SWAPPED.get(bit, bit) for bit in own]):
        if set(bits) == set(usual):
            return _order([bits.index(bit) for bit in usual]), None
    named = f"the channels {_names(own)}" if own else f"{channels} channels without names"
    if channels in _FILTERED_LFE.get(format, ()) and own[_LFE : _LFE + 1] != [_LFE]:
        raise AudioError(
            f"channel {_LFE + 1} of {channels} must be the LFE in {format}, which keeps only its "
            f"lowest sound, got {named}: choose wav, flac or aiff"
        )
    if channels == 1 or not (own or usual):
        return slice(None), None
    taken = sorted(usual)
    note = (
        f"{named} are written as {_names(taken) or 'channels without names'}, since {format} has "
        "no place for them; wav, flac and aiff have"
    )
    return _order([taken.index(bit) for bit in usual]), note


def is_plain(layout: int | None, channels: int) -> bool:
    """Whether a file that says nothing of its channels has this layout."""
    return layout is None or (layout > 0 and _bits_of(layout) == _PLAIN.get(channels))


def can_state(layout: int | None, channels: int, subtype: str | None) -> bool:
    """Whether a WAV file with this encoding, libsndfile's name, can have this layout."""
    return is_plain(layout, channels) or soundfile.check_format("WAVEX", subtype)


def is_flac_default(layout: int | None, channels: int) -> bool:
    """Whether a FLAC file without an entry for it has this layout."""
    return _bits_of(_known(layout, channels)) == sorted(_FLAC.get(channels, []))


def state(path: Path, format: str, layout: int | None, channels: int) -> None:
    """Put a layout into a finished file, where it has room for one. Raises OSError."""
    mask = _known(layout, channels)
    with open(path, "r+b") as file:
        if format == "wav":
            for name, at, _ in _chunks(file):
                if name.startswith(b"fmt ") and _mask_of(file, at) is not None:
                    file.seek(at + 20)
                    file.write(mask.to_bytes(4, "little"))
        elif format == "flac":
            for at, entry in _comments(file):
                if entry == b"software=" + PLACEHOLDER.encode():
                    file.seek(at)
                    file.write(_FLAC_ENTRY % mask)
        elif format == "aiff" and not is_plain(layout, channels):
            tag = _BITMAP << 16 if mask else _DISCRETE << 16 | channels
            end = file.seek(0, os.SEEK_END)
            file.write(bytes(end % 2) + b"CHAN" + struct.pack(">4I", 12, tag, mask, 0))
            size = file.tell() - 8
            file.seek(4)
            file.write(size.to_bytes(4, "big"))


def _known(layout: int | None, channels: int) -> int:
    """Layout of channels; 0 if they have none."""
    return sum(1 << bit for bit in _PLAIN.get(channels, [])) if layout is None else layout


def _bits_of(mask: int) -> list[int]:
    return [bit for bit in range(32) if mask >> bit & 1]


def _names(bits: Sequence[int]) -> str:
    return " ".join(_SPEAKERS[bit] if bit < len(_SPEAKERS) else f"bit {bit}" for bit in bits)


def _order(order: list[int]) -> Order:
    return slice(None) if order == list(range(len(order))) else order


def _stated(path: Path, file: Any) -> Sequence[int] | None:
    """Speakers of a file's channels, as bits; none if it says that; None if it does not say."""
    n = file.channels
    if file.format == "ffmpeg":
        mask = getattr(file, "layout", None)
        return None if mask is None else _bits_of(mask)
    if file.subtype.startswith("ALAC"):
        return _ALAC.get(n)
    # A pipe cannot be read twice: it says nothing here.
    with open(path, "rb") if path.is_file() else io.BytesIO() as data:
        if file.format in ("WAV", "WAVEX", "RF64", "W64"):
            masks = (_mask_of(data, at) for name, at, _ in _chunks(data) if name[:4] == b"fmt ")
            mask = next(masks, None)
            return None if mask is None else _bits_of(mask)
        if file.format in ("AIFF", "CAF"):
            return _core_audio(data)
        if file.format == "FLAC":
            for _, entry in _comments(data):
                mask = _mask_in(entry)
                if mask is not None and mask.bit_count() in (0, n):
                    return _bits_of(mask)
            return _FLAC.get(n)
        if file.format == "OGG":
            is_unnamed = file.subtype == "OPUS" and _family(data) > 1
            return [] if is_unnamed else _XIPH.get(n)
    return None


def _mask_of(file: IO[bytes], at: int) -> int | None:
    """Mask in the body of WAVE's chunk "fmt "; None if it has none."""
    file.seek(at)
    data = file.read(24)
    if len(data) < 24 or data[:2] not in (b"\xfe\xff", b"\xff\xfe"):
        return None
    return int.from_bytes(data[20:], "little" if data[0] == 0xFE else "big")


def _mask_in(entry: bytes) -> int | None:
    """Mask that an entry of a FLAC file's comments states; None if it does not."""
    name, _, text = entry.partition(b"=")
    if name.upper() != _FLAC_ENTRY.partition(b"=")[0]:
        return None
    try:
        mask = int(text, 0)
    except ValueError:
        return None
    return mask if 0 <= mask < 1 << 32 else None


def _core_audio(file: IO[bytes]) -> Sequence[int] | None:
    """Speakers that Core Audio's description of a layout names, in AIFF or CAF."""
    found, before, is_ffmpegs = b"", set(), False
    for name, at, size in _chunks(file):
        before.add(name)
        if name in (b"CHAN", b"chan", b"info"):
            file.seek(at)
            data = file.read(min(size, _MAX_CHUNK))
            found = found if name == b"info" else data
            is_ffmpegs |= b"Lavf" in data or (name == b"CHAN" and b"COMM" not in before)
    if len(found) < 12:
        return None
    tag, mask, count = struct.unpack(">HxxII", found[:12])
    if tag == _BITMAP:
        return _bits_of(mask)
    if tag == _DISCRETE:
        return []
    if tag:
        bits = _CORE_AUDIO.get(tag)
        return sorted(bits) if bits and is_ffmpegs and tag in _FFMPEGS else bits
    labels = [label for (label, *_) in struct.iter_unpack(">I16x", found[12 : 12 + 20 * count])]
    surround = _LABELS if {33, 34} & set(labels) else {}
    return [surround.get(label, label - 1) for label in labels] or None


def _family(file: IO[bytes]) -> int:
    """Family of an Opus stream's channel mapping (RFC 7845, 5.1.1)."""
    head = file.read(512)
    at = head.find(b"OpusHead") + 18
    return head[at] if 18 <= at < len(head) else 0


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each chunk in a WAV, RF64, W64, AIFF or CAF file, its place and size."""
    try:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:  # a pipe, or an empty file
        return
    with data:
        for chunk in islice(chunks.each(data), _MAX_CHUNKS):
            yield chunk.name, chunk.start, chunk.size


def _comments(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the place of each entry in a FLAC file's comments, and the entry (RFC 9639, 8.6)."""
    file.seek(0)
    at = file.read(1 << 16).find(b"fLaC") + 4  # tags may precede it
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        header = file.read(4)
        at, size = at + 4, int.from_bytes(header[1:], "big")
        if len(header) == 4 and header[0] & 0x7F == 4:
            data = file.read(size)
            begin = 8 + int.from_bytes(data[:4], "little")
            while begin + 4 <= len(data):
                end = begin + 4 + int.from_bytes(data[begin : begin + 4], "little")
                yield at + begin + 4, data[begin + 4 : end]
                begin = end
        if len(header) < 4 or header[0] & 0x80:
            return
        at += size
