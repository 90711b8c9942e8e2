"""A part of a file, which libsndfile reads whole; and what may stand around parts."""

import io
import mmap
import os
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..errors import AudioError

# The first four bytes of the containers that are walked, but for MP3, which has none.
MAGIC = (
    *(b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b"caff"),
    *(b"OggS", b"fLaC", b".snd", b"Crea", b"NIST"),
)
_PADDING = 4096  # zeros at a file's end that are a file system's filling, in bytes
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN")  # tags that may follow the sound


class Part(NamedTuple):
    """A stretch of a file that libsndfile reads whole.

    Bytes [start, stop) behind `head`, which stands in for a header that is missing or wrong.
    seconds: how long it lasts at least by its container, where that says more than libsndfile does.
    """

    start: int
    stop: int
    head: bytes = b""
    seconds: Fraction = Fraction(0)


class Held(NamedTuple):
    """What a walker found: parts, and the byte behind them.

    beyond: what is in there that libsndfile does not read whole, None if nothing.
    """

    parts: list[Part]
    end: int
    beyond: str | None = None


def is_over(data: mmap.mmap, at: int) -> bool:
    """Whether nothing but tags and padding follows."""
    at = behind_tags(data, at)
    rest = data[at : at + _PADDING + 1]
    return (len(rest) <= _PADDING and not rest.strip(b"\0")) or rest.startswith(_TAGS)


def begins(data: mmap.mmap, at: int) -> bool:
    """Whether a container begins here."""
    return data[at : at + 4] in MAGIC


def more_than_stated(stated: int, there: int) -> AudioError:
    """The error of a header that says less than there is."""
    return AudioError(
        f"its header says {stated} bytes of samples, but {there - stated} more follow: a recording "
        "that was never finished (ffmpeg -ignore_length 1 -i IN.wav OUT.wav reads a WAV file to "
        "its end), or something that was put behind it"
    )


def behind_tags(data: mmap.mmap, at: int) -> int:
    """Position after the ID3v2 tags that begin at `at`."""
    while data[at : at + 3] == b"ID3" and at + 10 <= len(data):
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if data[at + 5] & 0x10 else 0)
    return at


class PartFile(io.RawIOBase):
    """A part as a file of its own, to be read."""

    def __init__(self, path: Path, part: Part) -> None:
        self._file: IO[bytes] = open(path, "rb")  # noqa: SIM115
        self._part, self._at = part, 0
        self._size = len(part.head) + part.stop - part.start

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
        head, length = self._part.head, max(0, min(len(buffer), self._size - self._at))
        if self._at < len(head):
            data = head[self._at : self._at + length]
        else:
            self._file.seek(self._part.start + self._at - len(head))
            data = self._file.read(length)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
