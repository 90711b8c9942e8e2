"""Decode files that libsndfile cannot read with the program ffmpeg, if it is installed.

ffmpeg writes Sun's .au format to a pipe: a header with rate and channels, then samples. It is
allowed to read sound and video files only: it never follows a playlist to other files or hosts.
"""

import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import AudioError

# Suffixes that are searched for in folders, besides those that libsndfile reads.
SUFFIXES = (
    *(".3gp", ".aac", ".ac3", ".amr", ".ape", ".avi", ".flv", ".m4a", ".m4b", ".mka", ".mkv"),
    *(".mov", ".mp4", ".mpg", ".tta", ".webm", ".wma", ".wmv", ".wv"),
)
_DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,avi,caf,dsf,dts,eac3,flac,flv,gsm,matroska,webm,mov,mp4,m4a,mp3,mpc,"
    "mpc8,mpeg,mpegts,nistsphere,ogg,rm,sox,tak,tta,voc,w64,wav,wv"
)
_HEADER = struct.Struct(">4s5I")  # magic, its own size, bytes of samples, coding, Hz, channels
_FLOAT = np.dtype(">f4")


def is_installed() -> bool:
    """Whether ffmpeg is installed."""
    return shutil.which("ffmpeg") is not None


class Decoder:
    """Decode a file's first track of sound by ffmpeg; it has the interface that `reading` expects.

    That is the part of SoundFile's that `reading` uses. frames is 0, as the number is not known in
    advance. Raises AudioError if ffmpeg finds no sound.
    """

    format = subtype = "ffmpeg"
    frames = 0

    def __init__(self, process: subprocess.Popen, messages: IO[bytes]) -> None:
        self._process, self._messages = process, messages
        assert process.stdout
        self._samples: IO[bytes] = process.stdout
        header = self._samples.read(_HEADER.size)
        if len(header) < _HEADER.size:
            self._end()
            raise AudioError("not audio that ffmpeg can read: it returned no samples")
        _, size, _, _, self.samplerate, self.channels = _HEADER.unpack(header)
        self._samples.read(size - _HEADER.size)

    def read(self, frames: int, dtype: str, always_2d: bool) -> np.ndarray:
        """Read the next samples, [up to `frames`, channels] float32; none at the end.

        Raises AudioError if ffmpeg reported any error.
        """
        data = self._samples.read(frames * self.channels * _FLOAT.itemsize)
        if not data:
            self._end()
        return np.frombuffer(data, _FLOAT).reshape(-1, self.channels).astype(np.float32)

    def copy_metadata(self) -> dict[str, str]:
        """Return no tags: they do not come through the pipe."""
        return {}

    def _end(self) -> None:
        """Raise AudioError if ffmpeg reported an error, after which it often ends with status 0."""
        status = self._process.wait()
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").splitlines()
        if status or lines:
            said = "; ".join(lines[:2]) or f"status {status}"
            raise AudioError(f"not audio that ffmpeg can read whole: {said}")


def _refuse_cut_riff(path: Path) -> None:
    """Raise AudioError if an AVI file is shorter than its header says, which ffmpeg accepts."""
    with open(path, "rb") as file:
        head = file.read(8)
        there = file.seek(0, os.SEEK_END) - len(head)
    if head.startswith(b"RIFF") and (promised := int.from_bytes(head[4:], "little")) > there:
        raise AudioError(f"cut short: {there} of {promised} bytes are there")


@contextmanager
def decoding(path: Path) -> Iterator[Decoder]:
    """Decode a file. Raises as `Decoder` does, and OSError if ffmpeg cannot be started."""
    _refuse_cut_riff(path)
    command = ["ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file"]
    command += ["-format_whitelist", _DEMUXERS, "-i", f"file:{path}"]
    command += ["-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "-"]
    with tempfile.TemporaryFile() as messages:
        # In a separate session, so that Ctrl-C ends this program, and not ffmpeg before it.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            start_new_session=True,
        )
        try:
            yield Decoder(process, messages)
        finally:
            process.kill()
            process.communicate()
