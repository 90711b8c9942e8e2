"""Read sound files completely and checked, by libsndfile, or by ffmpeg for other formats."""

import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import soundfile

from ..errors import AudioError
from . import broadcast, ffmpeg, mpeg, ogg
from .formats import BLOCK, message_of, path_name

# Tags of a file that are kept.
_TAGS = (
    *("title", "artist", "album", "tracknumber", "date"),
    *("genre", "copyright", "license", "comment"),
)
# A program that writes WAV to a pipe cannot know its size, and states the largest there is: near
# 2 GB (sox, arecord) or 4 GB (ffmpeg).
_UNKNOWN_SIZES = (1 << 31, 1 << 32)
_UNKNOWN_MARGIN = 4096  # bytes
_UNKNOWN_FORMAT = 1  # libsndfile's number of that error
_UNKNOWN_FRAMES = (1 << 63) - 1  # libsndfile's number for a FLAC stream without a length


class _Forward(soundfile.SoundFile):
    """Sound file that is read from its beginning to its end, without seeking.

    soundfile seeks after each read, which fails in a FLAC file without a length.
    """

    def seekable(self) -> bool:
        return False


class Source:
    """Open audio file: sample_rate (Hz), channels, frames (number of samples of each channel).

    frames is 0 if it is not known before the end. subtype: libsndfile's name of the encoding;
    tags: title, artist and so on; broadcast: the broadcast extension or None. notes: sentences
    for the user on what is not as it may seem.
    """

    def __init__(self, path: Path, file: _Forward | ffmpeg.Decoder) -> None:
        self._path, self._file = path, file
        self.sample_rate: int = file.samplerate
        self.channels: int = file.channels
        self.frames: int = file.frames
        self.subtype: str = file.subtype
        self.tags = {k: v for k, v in file.copy_metadata().items() if k in _TAGS}
        is_piped = isinstance(file, ffmpeg.Decoder)
        self.broadcast = None if is_piped else broadcast.read(file)
        self.notes: list[str] = list(file.notes) if is_piped else []
        if self.frames == _UNKNOWN_FRAMES:
            self.frames = _count(path)

    def blocks(self, frames: int = BLOCK) -> Iterator[np.ndarray]:
        """Yield all samples in order, [channels, <= frames], float32 with full scale 1.

        Raises AudioError if the file is damaged or cut short, at the latest at its end.
        """
        there = 0
        try:
            while len(block := self._file.read(frames, "float32", always_2d=True)):
                there += len(block)
                yield block.T
        except soundfile.LibsndfileError as error:
            raise _unreadable(error) from error
        if there < self.frames:
            raise AudioError(f"cut short: {there} of {self.frames} samples are there")
        if self._file.format == "OGG":
            length = ogg.length(self._path, self.sample_rate, self.subtype == "OPUS")
            if length is None:
                raise AudioError(f"cut short: the Ogg stream has no end after {there} samples")
            if there < length:
                raise AudioError(f"damaged: {there} of {length} samples can be decoded")


@contextmanager
def reading(path: Path) -> Iterator[Source]:
    """Open an audio file, by ffmpeg if libsndfile does not know its format.

    Raises AudioError if it is not audio or its header promises more than it has; OSError if it
    cannot be opened.
    """
    with open(path, "rb"):  # for the system's error if the file is missing or forbidden
        pass
    with ExitStack() as stack:
        try:
            file = stack.enter_context(_Forward(path_name(path)))
            stream = mpeg.scan(path) if file.format == "MP3" else None
            if stream and (raw := mpeg.with_header(path, stream)):
                stack.enter_context(raw)
                file = stack.enter_context(_Forward(raw))
        except (soundfile.LibsndfileError, TypeError) as error:
            if getattr(error, "code", None) != _UNKNOWN_FORMAT or os.path.getsize(path) == 0:
                raise _unreadable(error) from error
            if not ffmpeg.is_installed():
                raise AudioError(f"{_unreadable(error)} {_hint(path)}") from error
            yield Source(path, stack.enter_context(ffmpeg.decoding(path)))
            return
        _refuse_cut_header(file)
        yield Source(path, file)


def read(path: Path) -> tuple[np.ndarray, int]:
    """Read all samples of a file, [channels, T] float32 with full scale 1, and its rate in Hz.

    Raises as `reading` and `Source.blocks` do.
    """
    with reading(path) as source:
        blocks = [np.zeros((source.channels, 0), np.float32), *source.blocks()]
        return np.concatenate(blocks, axis=-1), source.sample_rate


def first_channel(path: Path) -> tuple[int, Callable[[], Iterator[np.ndarray]]]:
    """Open a file: its rate in Hz, and a function that yields its first channel, [n] at a time.

    Both raise as `reading` and `Source.blocks` do, and AudioError for NaN or infinity, with the
    file's name in each message.
    """

    def pieces() -> Iterator[np.ndarray]:
        try:
            with reading(path) as source:
                for x in source.blocks():
                    if not np.isfinite(x[0]).all():
                        raise AudioError("its samples must be finite, got NaN or infinity")
                    yield x[0]
        except AudioError as error:
            raise AudioError(f"{path}: {error}") from error

    try:
        with reading(path) as source:
            return source.sample_rate, pieces
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error


def duration(path: Path) -> float:
    """Length of a file in seconds by its header; 0 if the header does not state it."""
    try:
        info = soundfile.info(path_name(path))
    except (soundfile.LibsndfileError, TypeError):
        return 0.0
    return 0.0 if info.frames == _UNKNOWN_FRAMES else info.frames / info.samplerate


def _count(path: Path) -> int:
    """Count the samples of each channel by reading the whole file. Raises AudioError."""
    try:
        with _Forward(path_name(path)) as file:
            return sum(iter(lambda: len(file.read(BLOCK, "float32", always_2d=True)), 0))
    except soundfile.LibsndfileError as error:
        raise _unreadable(error) from error


def _refuse_cut_header(file: soundfile.SoundFile) -> None:
    """Raise AudioError if libsndfile's log says that a header promises more than is there.

    The log is for people, and its wording may change: the patterns here fit libsndfile 1.1 and 1.2,
    and tests would fail with another.
    """
    log = file.extra_info
    for promised, there in re.findall(
        r"(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", log
    ):
        if int(there) < int(promised) and not _is_unknown(int(promised)):
            raise AudioError(f"cut short: {there} of {promised} bytes of samples are there")
    if found := re.search(r"Calculated frame count (\d+) does not match value .* of (\d+)", log):
        raise AudioError(f"cut short: {found[1]} of {found[2]} samples are there")
    if file.frames == 0 and "Unknown chunk marker" in log:
        raise AudioError("its header says 0 samples, but data follow: an unfinished recording")


def _is_unknown(size: int) -> bool:
    """Whether a size in a WAV header is the mark of a size unknown to its writer."""
    return any(abs(size - mark) <= _UNKNOWN_MARGIN for mark in _UNKNOWN_SIZES)


def _hint(path: Path) -> str:
    """Advice for a file that only ffmpeg reads; empty for any other."""
    if path.suffix.lower() not in ffmpeg.SUFFIXES:
        return ""
    wav = shlex.quote(f"{path.stem}.wav")
    return f"Install ffmpeg, or: ffmpeg -i {shlex.quote(path.name)} {wav}"


def _unreadable(error: BaseException) -> AudioError:
    return AudioError(f"not audio that libsndfile can read whole: {message_of(error)}")
