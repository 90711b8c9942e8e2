"""Count the frames of an MP3, and correct its number of frames if that is missing or wrong.

libsndfile reads as many samples as the header in a stream's first frame says (Xing, Info, VBRI).
Without that header it computes the number from the file's size and the first frame's bit rate,
which loses sound if the bit rate varies, and expects too much if the file has tags. So the frames
are counted here, by their four-byte headers (ISO 11172-3, 2.4.2.3), and unless the stream has a
correct header, a first frame with the right number is put before it.
"""

import io
import mmap
import os
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..errors import AudioError

# kbit/s of Layer III by the header's index; 0 (free) and 15 (forbidden) are not read here.
_KBITS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8000)}
_DECODER_DELAY = 529  # samples that decoders skip besides the delay that a header states
_SEARCH = 1 << 16  # bytes in which the first frame has to begin
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN")  # tags that may follow the last frame


class Frame(NamedTuple):
    """Fields of a frame's header."""

    length: int  # bytes
    samples: int
    kind: tuple[int, int]  # version and rate, the same throughout a stream
    side: int  # bytes of side information after the header


class Layer3(NamedTuple):
    """Layer III stream in a file."""

    start: int  # byte of its first frame
    frames: int  # in all, including a first frame that only holds the number
    n_frames_stated: int | None  # number of frames that the first frame states, if it does
    delay: int | None  # samples to skip by the first frame, 0 if that states only the number
    missing: int  # bytes missing from the last frame
    first: bytes  # the first frame's header


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
    return Frame(length, samples, (version, rate), side)


def scan(path: Path) -> Layer3 | None:
    """Count the frames of a file; None if there is no Layer III stream at its beginning.

    Raises OSError.
    """
    if os.path.getsize(path) == 0:
        return None
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = _next(data, _behind_tags(data, 0), None, _SEARCH)
        if start is None:
            return None
        first = frame(data[start : start + 4])
        assert first
        at, frames, missing = start, 0, 0
        while True:
            here = frame(data[at : at + 4])
            if here is None or here.kind != first.kind:
                # After the last frame, or damaged: look for the next frame, as a decoder does.
                is_tag = any(data[at : at + len(tag)] == tag for tag in _TAGS)
                behind = _behind_tags(data, at)
                found = None if is_tag else _next(data, behind, first.kind, len(data))
                if found is None:
                    break
                at = found
                continue
            frames += 1
            at += here.length
            if at > len(data):
                missing = at - len(data)
                break
        whole = data[start : start + first.length]
        stated, delay = _n_frames_stated(whole, first), _delay(whole, first)
        return Layer3(start, frames, stated, delay, missing, data[start : start + 4])


def with_header(path: Path, stream: Layer3) -> io.RawIOBase | None:
    """Open the file behind a first frame with the right number; None if it already has one.

    The caller closes it. Raises AudioError if the stream's last frame is cut off and the number of
    frames is not stated; OSError.
    """
    if stream.n_frames_stated is not None and stream.frames <= stream.n_frames_stated + 1:
        return None
    if stream.missing:
        raise AudioError(f"cut short: {stream.missing} bytes of its last frame are missing")
    first = frame(stream.first)
    assert first
    is_misstated = stream.n_frames_stated is not None
    start = stream.start + (first.length if is_misstated else 0)
    new = _telling(stream.first, stream.frames - is_misstated, stream.delay)
    return _Prefixed(open(path, "rb"), start, new)


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


def _behind_tags(data: mmap.mmap, at: int) -> int:
    """Position after the ID3v2 tags that begin at `at`."""
    while data[at : at + 3] == b"ID3" and at + 10 <= len(data):
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if data[at + 5] & 0x10 else 0)
    return at


def _next(data: mmap.mmap, at: int, kind: tuple[int, int] | None, reach: int) -> int | None:
    """Find the first frame from `at` on that another frame or the end of the file follows."""
    end = min(len(data), at + reach)
    while (at := data.find(b"\xff", at, end)) >= 0:
        here = frame(data[at : at + 4])
        if here and kind in (None, here.kind):
            following = frame(data[at + here.length : at + here.length + 4])
            ends = at + here.length == len(data) and kind is not None
            if ends or (following and following.kind == here.kind):
                return at
        at += 1
    return None


class _Prefixed(io.RawIOBase):
    """Stream of some bytes, then those of a file from `start` on."""

    def __init__(self, file: IO[bytes], start: int, prefix: bytes) -> None:
        self._file, self._start, self._prefix = file, start, prefix
        self._size = len(prefix) + os.fstat(file.fileno()).st_size - start
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at < len(self._prefix):
            data = self._prefix[self._at : self._at + len(buffer)]
        else:
            self._file.seek(self._start + self._at - len(self._prefix))
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
