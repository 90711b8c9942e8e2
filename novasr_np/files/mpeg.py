"""The parts of an MP3, by its frames; and a right number of frames where that is missing or wrong.

libsndfile reads as many samples as the header in a stream's first frame says (Xing, Info, VBRI).
Without that header it computes the number from the file's size and the first frame's bit rate,
which loses sound if the bit rate varies, and expects too much if the file has tags. So the frames
are counted here, by their four-byte headers (ISO 11172-3, 2.4.2.3), and unless the stream has a
correct header, a first frame with the right number is put before it. MP3s may be joined by putting
one behind the other: each is a part, so that the silence that its encoder added is cut off.
"""

import mmap
from fractions import Fraction
from typing import NamedTuple

from ..errors import AudioError
from .parts import Held, Part, begins, behind_tags

# kbit/s of Layer III by the header's index; 0 (free) and 15 (forbidden) are not read here.
_KBITS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8000)}
_DECODER_DELAY = 529  # samples that decoders skip besides the delay that a header states
_SEARCH = 1 << 16  # bytes in which the first frame has to begin
_CUT = 6  # frames that a decoder may cut off, as what the encoder put before and behind the sound
_RUN = 4  # frames in a row that are no chance


class Frame(NamedTuple):
    """Fields of a frame's header."""

    length: int  # bytes
    samples: int
    kind: tuple[int, int, bool]  # version, rate, mono: the same throughout a stream
    side: int  # bytes of side information after the header


def frame(header: bytes) -> Frame | None:
    """Read a frame's header, 4 bytes; None if it is not one of Layer III."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, rate = header[1] >> 3 & 3, header[2] >> 2 & 3
    kbits = _KBITS[1 if version == 3 else 2][header[2] >> 4]
    if version == 1 or rate == 3 or kbits == 0:
        return None
    samples = 1152 if version == 3 else 576
    length = samples // 8 * 1000 * kbits // _RATES[version][rate] + (header[2] >> 1 & 1)
    is_mono = header[3] >> 6 == 3
    side = (17 if is_mono else 32) if version == 3 else (9 if is_mono else 17)
    return Frame(length, samples, (version, rate, is_mono), side)


def is_other_layer(header: bytes) -> bool:
    """Whether these 4 bytes are the header of a frame of Layer I or II, which are not counted."""
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    is_frame = header[0] == 0xFF and header[1] & 0xE0 == 0xE0 and version != 1 and layer > 1
    return is_frame and header[2] >> 4 not in (0, 15) and header[2] >> 2 & 3 != 3


def walk(data: mmap.mmap, at: int) -> Held | None:
    """Walk the frames of Layer III from `at` on; None if none begins near there.

    A frame that states a number of frames begins a part, and so does one of another kind. Raises
    AudioError if the last frame is cut off, and the number of frames is not stated.
    """
    start = _next(data, at, min(len(data), at + _SEARCH), 2)
    if start is None:
        return None
    parts = []
    while start is not None:
        stream = _stream(data, start)
        parts.append(_part(data, stream))
        start = stream.next
    # What follows the last frame, and is neither frames nor another container, is no sound.
    follows = begins(data, behind_tags(data, stream.stop))
    return Held(parts, stream.stop if follows else len(data))


class _Stream(NamedTuple):
    """Frames of one kind, and where those of the next stream begin, if there is one."""

    start: int
    stop: int
    next: int | None
    frames: int  # in all, including a first frame that only holds the number
    n_frames_stated: int | None  # number of frames that the first frame states, if it does
    delay: int | None  # samples to skip by the first frame, 0 if that states only the number
    missing: int  # bytes missing from the last frame


def _stream(data: mmap.mmap, start: int) -> _Stream:
    first = frame(data[start : start + 4])
    assert first
    whole = data[start : start + first.length]
    stated, delay = _n_frames_stated(whole, first), _delay(whole, first)
    at = stop = start + first.length
    frames = 1
    while at < len(data):
        here = frame(data[at : at + 4])
        if here is None or here.kind != first.kind:
            # A tag, damage, or other sound: look for the next frame, as a decoder does.
            found = _next(data, at, len(data), _RUN)
            if found is None:
                break
            here = frame(data[found : found + 4])
            assert here
            if here.kind != first.kind:
                return _Stream(start, stop, found, frames, stated, delay, 0)
            at = found
        if _n_frames_stated(data[at : at + here.length], here) is not None:
            return _Stream(start, stop, at, frames, stated, delay, 0)
        frames += 1
        at = stop = at + here.length
    missing = max(0, stop - len(data))
    return _Stream(start, stop - missing, None, frames, stated, delay, missing)


def _part(data: mmap.mmap, stream: _Stream) -> Part:
    """The part of a stream, with a right first frame before it if it has none."""
    header = data[stream.start : stream.start + 4]
    first = frame(header)
    assert first
    seconds = Fraction(
        max(0, stream.frames - _CUT) * first.samples, _RATES[first.kind[0]][first.kind[1]]
    )
    if stream.n_frames_stated is not None and stream.frames <= stream.n_frames_stated + 1:
        return Part(stream.start, stream.stop, seconds=seconds)
    if stream.missing:
        raise AudioError(f"cut short: {stream.missing} bytes of its last frame are missing")
    is_misstated = stream.n_frames_stated is not None
    start = stream.start + (first.length if is_misstated else 0)
    head = _telling(header, stream.frames - is_misstated, stream.delay)
    return Part(start, stream.stop, head, seconds)


def _telling(header: bytes, frames: int, delay: int | None) -> bytes:
    """Make a silent frame of the same kind that states the number of frames and the delay.

    Without a delay, another silent frame follows, which is skipped in place of the stream's own
    samples: nobody knows how many of these the encoder put before the sound.
    """
    # No checksum, and a bit rate that leaves room for the number.
    header = bytes((0xFF, header[1] | 1, header[2] & 0x0C | 0x90, header[3]))
    here = frame(header)
    assert here
    silence = b"" if delay is not None else header.ljust(here.length, b"\0")
    if delay is None:
        frames, delay = frames + 1, here.samples - _DECODER_DELAY
    # No padding to cut, as decoders take their own delay off the number here.
    lame = b"LAME".ljust(21, b"\0") + (delay << 12 | _DECODER_DELAY).to_bytes(3, "big")
    tag = b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big") + lame
    return (header + bytes(here.side) + tag).ljust(here.length, b"\0") + silence


def _n_frames_stated(data: bytes, first: Frame) -> int | None:
    """Number of frames after the first one, if that only states the number."""
    if at := _xing(data, first):
        has_number = data[at + 7 : at + 8] and data[at + 7] & 1
        return int.from_bytes(data[at + 8 : at + 12], "big") if has_number else 0
    if data[36:40] == b"VBRI":
        return int.from_bytes(data[50:54], "big")
    return None


def _delay(data: bytes, first: Frame) -> int | None:
    """Samples that the encoder put before the sound, by LAME's extension of the first frame."""
    if not (at := _xing(data, first)):
        return None
    flags = int.from_bytes(data[at + 4 : at + 8], "big")
    fields = ((1, 4), (2, 4), (4, 100), (8, 4))  # frames, bytes, table of contents, quality
    at += 8 + sum(size for flag, size in fields if flags & flag)
    return int.from_bytes(data[at + 21 : at + 24], "big") >> 12


def _xing(data: bytes, first: Frame) -> int:
    """Where the first frame states the number of frames, as Xing did; 0 if it does not."""
    places = (4 + first.side, 6 + first.side)  # the latter after a checksum
    return next((at for at in places if data[at : at + 4] in (b"Xing", b"Info")), 0)


def _next(data: mmap.mmap, at: int, end: int, run: int) -> int | None:
    """Find the first of so many frames of one kind in a row, or of fewer at the end of the file."""
    while (at := data.find(b"\xff", at, end)) >= 0:
        kinds: list[tuple[int, int, bool]] = []
        behind = at
        while len(kinds) < run and (here := frame(data[behind : behind + 4])):
            kinds.append(here.kind)
            behind += here.length
        if len(set(kinds)) == 1 and (len(kinds) == run or (behind == len(data) and run == _RUN)):
            return at
        at += 1
    return None
