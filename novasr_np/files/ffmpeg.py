"""Decode what libsndfile cannot read, by the program ffmpeg where that is installed.

ffmpeg writes Sun's .au format to a pipe: a header that says rate and channels, then samples. What
it reads is held to sound and video files: it never follows a playlist, to other files or to hosts.
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

# What folders are searched for, besides what libsndfile reads.
SUFFIXES = (
    *(".3gp", ".aac", ".ac3", ".amr", ".ape", ".avi", ".flv", ".m4a", ".m4b", ".mka", ".mkv"),
    *(".mov", ".mp4", ".mpg", ".tta", ".webm", ".wma", ".wmv", ".wv"),
)
_DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,avi,caf,dsf,dts,eac3,flac,flv,gsm,matroska,webm,mov,mp4,m4a,mp3,mpc,"
    "mpc8,mpeg,mpegts,ogg,rm,tak,tta,w64,wav,wv"
)
_HEADER = struct.Struct(">4s5I")  # magic, its own size, bytes of samples, coding, Hz, channels
_FLOAT = np.dtype(">f4")


def is_installed() -> bool:
    """Whether there is an ffmpeg to call."""
    return shutil.which("ffmpeg") is not None


class Decoder:
    """A file's first track of sound as ffmpeg decodes it, with what `reading` uses of a SoundFile.

    frames is 0: how many will come is not known. Raises AudioError if ffmpeg finds no sound.
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
            raise AudioError("not audio that ffmpeg can read: it gives nothing")
        _, size, _, _, self.samplerate, self.channels = _HEADER.unpack(header)
        self._samples.read(size - _HEADER.size)

    def read(self, frames: int, dtype: str, always_2d: bool) -> np.ndarray:
        """The next samples, [up to `frames`, channels] float32; none at the end.

        Raises AudioError if ffmpeg had anything to complain of.
        """
        data = self._samples.read(frames * self.channels * _FLOAT.itemsize)
        if not data:
            self._end()
        return np.frombuffer(data, _FLOAT).reshape(-1, self.channels).astype(np.float32)

    def copy_metadata(self) -> dict[str, str]:
        """Nothing: tags do not come through the pipe."""
        return {}

    def _end(self) -> None:
        """ffmpeg goes on after errors, and then often ends as if all were well."""
        status = self._process.wait()
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").splitlines()
        if status or lines:
            said = "; ".join(lines[:2]) or f"status {status}"
            raise AudioError(f"not audio that ffmpeg can read whole: {said}")


def _refuse_cut_riff(path: Path) -> None:
    """Raise AudioError if an AVI file is shorter than it says, which ffmpeg does not mind."""
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
        # In a session of its own, so that Ctrl-C ends this program and not ffmpeg before it.
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
