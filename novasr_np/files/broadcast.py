"""Broadcast extension of WAV files (EBU Tech 3285): who recorded a sound, when, and its place.

The place is a number of samples since midnight, by which editors align the recordings of a day.
"""

import struct
from typing import Any, NamedTuple

import soundfile

# libsndfile's SF_BROADCAST_INFO, and its numbers of two commands that soundfile does not offer.
_HISTORY = 8192  # bytes of the history that are read; libsndfile writes less than 16 KB
_INFO = struct.Struct(f"=256s32s32s10s8s2xQh64s10s180xI{_HISTORY}s")
_GET, _SET = 0x10F0, 0x10F1
_MAX_TIME = (1 << 64) - 1
_NO_LOUDNESS = struct.pack("=5h", *[0x7FFF] * 5)  # "not measured"


class Broadcast(NamedTuple):
    """Fields of the extension; texts are padded with zeros."""

    description: bytes
    originator: bytes
    originator_reference: bytes
    date: bytes
    time: bytes
    time_reference: int  # samples since midnight
    version: int
    umid: bytes
    loudness: bytes
    history_size: int
    history: bytes

    def at_rate(self, rate_in: int, rate_out: int) -> "Broadcast":
        """Return the extension for the same sound at another rate, both in Hz.

        The UMID and the loudness are left out: they belong to the samples as they were.
        """
        place = (2 * self.time_reference * rate_out + rate_in) // (2 * rate_in)
        return self._replace(time_reference=min(place, _MAX_TIME), umid=b"", loudness=_NO_LOUDNESS)


def read(file: soundfile.SoundFile) -> Broadcast | None:
    """Read the extension of an open file; None if it has none."""
    info = bytearray(_INFO.size)
    return Broadcast(*_INFO.unpack(info)) if _command(file, _GET, info) else None


def write(file: soundfile.SoundFile, broadcast: Broadcast) -> bool:
    """Write the extension before any samples, and say whether the format has room for it.

    libsndfile adds a line on the new file to its history.
    """
    return _command(file, _SET, bytearray(_INFO.pack(*broadcast)))


def _command(file: Any, command: int, info: bytearray) -> bool:
    pointer = soundfile._ffi.from_buffer(info)
    return bool(soundfile._snd.sf_command(file._file, command, pointer, len(info)))
