"""Read sound files completely and checked, by libsndfile, or by ffmpeg for other formats."""

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from ..errors import AudioError
from . import broadcast, containers, ffmpeg, formats, layout
from .formats import BLOCK, message_of, path_name
from .parts import Held, Part, PartFile

# Tags of a file that are kept.
_TAGS = (
    *("title", "artist", "album", "tracknumber", "date"),
    *("genre", "copyright", "license", "comment"),
)
_UNKNOWN_FORMAT, _SYSTEM_ERROR = 1, 2  # libsndfile's numbers of these errors
_UNKNOWN_FRAMES = (1 << 63) - 1  # libsndfile's number for a FLAC stream without a length


class _Forward(soundfile.SoundFile):
    """Sound file that is read from its beginning to its end, without seeking.

    soundfile seeks after each read, which fails in a FLAC file without a length.
    """

    def seekable(self) -> bool:
        return False


class Source:
    """Open audio file: sample_rate (Hz), channels, frames (number of samples of each channel).

    frames is 0 if it is not known before the end. layout: the speakers that the channels are for,
    as in `layout`. subtype: libsndfile's name of the encoding; tags: title, artist and so on;
    broadcast: the broadcast extension or None. notes: sentences for the user on what is not as it
    may seem.
    """

    def __init__(
        self,
        path: Path,
        file: "_Forward | ffmpeg.Decoder",
        held: Held,
        refused: Exception | None = None,
    ) -> None:
        """refused: why libsndfile does not read it whole, if it is ffmpeg's."""
        self._path, self._file, self._held, self._refused = path, file, held, refused
        self.sample_rate: int = file.samplerate
        self.channels: int = file.channels
        self.layout, self._order = layout.of(path, file)
        self.frames: int = file.frames
        self.subtype: str = file.subtype
        self.tags = {k: v for k, v in file.copy_metadata().items() if k in _TAGS}
        is_piped = isinstance(file, ffmpeg.Decoder)
        self.broadcast = None if is_piped else broadcast.read(file)
        self.notes: list[str] = list(file.notes) if is_piped else []

    def blocks(self, frames: int = BLOCK) -> Iterator[np.ndarray]:
        """Yield all samples in order, [channels, <= frames], float32 with full scale 1.

        Channels are in the order of WAVE's mask, whatever the file's order is.
        Raises AudioError if the file is damaged or cut short, at the latest at its end.
        """
        if isinstance(self._file, ffmpeg.Decoder):
            seconds = sum(part.seconds for part in self._held.parts)
            try:
                yield from self._whole(self._file, seconds, frames)
            except AudioError as error:
                if isinstance(self._refused, _BeyondError):
                    raise AudioError(f"{self._refused}: {error}") from error
                raise
            return
        for number, part in enumerate(self._held.parts):
            with nullcontext(self._file) if number == 0 else _open(self._path, part) as file:
                yield from self._whole(file, part.seconds, frames)

    def again(self) -> AbstractContextManager["Source"]:
        """Open the same file once more, without another walk. Raises as `reading`."""
        return reading(self._path, self._held)

    def _whole(
        self, file: "_Forward | ffmpeg.Decoder", seconds: Fraction | int, frames: int
    ) -> Iterator[np.ndarray]:
        """Yield the samples of an open file. seconds: how long it has to last, by its container."""
        there = 0
        try:
            while len(block := file.read(frames, "float32", always_2d=True)):
                there += len(block)
                yield block.T[self._order]
        except soundfile.LibsndfileError as error:
            raise _unreadable(error) from error
        if file.frames != _UNKNOWN_FRAMES and there < file.frames:
            raise AudioError(f"cut short: {there} of {file.frames} samples are there")
        if there < (expected := int(seconds * self.sample_rate)):
            raise AudioError(f"damaged: {there} of {expected} samples can be decoded")


@contextmanager
def reading(path: Path, held: Held | None = None) -> Iterator[Source]:
    """Open an audio file, by ffmpeg if libsndfile does not read it whole.

    held: what a walk has found there, if there was one.
    Raises AudioError if it is not audio or does not hold what its header promises; OSError if it
    cannot be opened.
    """
    held = held or containers.walk(path)
    with ExitStack() as stack:
        try:
            if held.beyond:
                raise _BeyondError(held.beyond)
            file = stack.enter_context(_open(path, held.parts[0]))
            if file.format != "MP3" and file.subtype.startswith("MPEG"):
                raise _BeyondError("its chunks hold MPEG audio, whose length they do not tell")
            source = Source(path, file, held)
            if len(held.parts) > 1 or source.frames == _UNKNOWN_FRAMES:
                source.frames = _count(path, held.parts)
        except (_BeyondError, soundfile.LibsndfileError, TypeError) as error:
            if getattr(error, "code", None) == _SYSTEM_ERROR or os.path.getsize(path) == 0:
                raise _unreadable(error) from error
            # Of joined files ffmpeg may read the first only: it is asked if their length is known.
            if len(held.parts) > 1 and not all(part.seconds for part in held.parts):
                said = f"{_unreadable(error)} {len(held.parts)} files were joined: split it"
                raise AudioError(said) from error
            if not ffmpeg.is_installed():
                raise AudioError(f"{_unreadable(error)}{_hint(path, error)}") from error
            decoder = stack.enter_context(ffmpeg.decoding(path))
            source = Source(path, decoder, held, error)
        yield source


class _BeyondError(Exception):
    """A file holds what libsndfile does not read whole."""


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


def _open(path: Path, part: Part) -> _Forward:
    """Open a part of a file; one that is the whole file by its name, which is faster."""
    if not part.head and part.start == 0 and part.stop == os.path.getsize(path):
        return _Forward(path_name(path))
    return _Forward(PartFile(path, part))


def _count(path: Path, parts: list[Part]) -> int:
    """Count the samples of each channel in all parts, by reading those that do not state it.

    Raises _BeyondError if they differ in rate or channels, AudioError if they are damaged.
    """
    count, kinds = 0, dict[str, None]()  # in their order
    try:
        for part in parts:
            with _open(path, part) as file:
                n = file.channels
                # The order of more channels than two depends on the format.
                of = f"channel{'s' * (n > 1)}" + (f" of {file.format}" if n > 2 else "")
                kinds[f"{file.samplerate} Hz with {n} {of}"] = None
                if file.frames == _UNKNOWN_FRAMES:
                    count += sum(iter(lambda: len(file.read(BLOCK, "float32", always_2d=True)), 0))
                else:
                    count += file.frames
    except soundfile.LibsndfileError as error:
        raise _unreadable(error) from error
    if len(kinds) > 1:
        raise _BeyondError(f"its recordings are of different kinds, {' and '.join(kinds)}")
    return count


def _hint(path: Path, error: Exception) -> str:
    """Advice for a file that only ffmpeg reads; empty for what is hardly one."""
    is_unknown = getattr(error, "code", None) == _UNKNOWN_FORMAT
    if is_unknown and not formats.needs_ffmpeg(path.suffix.lower()):
        return ""
    wav = shlex.quote(f"{path.stem}.wav")
    return f" Install ffmpeg, or: ffmpeg -i {shlex.quote(path.name)} {wav}"


def _unreadable(error: BaseException) -> AudioError:
    if isinstance(error, _BeyondError):
        return AudioError(f"{error}.")
    return AudioError(f"not audio that libsndfile can read whole: {message_of(error).rstrip('.')}.")
