"""Read audio files whole and checked, write them complete or not at all, through libsndfile."""

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import cast

import numpy as np
import soundfile

from ..atomic import atomic_write
from ..errors import AudioError
from . import ffmpeg, mpeg, ogg

# The command's name for a format -> its suffixes, libsndfile's format and default subtype.
FORMATS = {
    "wav": ((".wav",), "WAV", "PCM_16"),
    "flac": ((".flac",), "FLAC", "PCM_16"),
    "ogg": ((".ogg", ".oga"), "OGG", "VORBIS"),
    "opus": ((".opus",), "OGG", "OPUS"),
    "mp3": ((".mp3",), "MP3", "MPEG_LAYER_III"),
    "aiff": ((".aiff", ".aif"), "AIFF", "PCM_16"),
}
# What libsndfile calls a sample of more than 16 bits -> what it becomes where a format has that.
_DEPTHS = {
    "PCM_24": ("PCM_24",),
    "PCM_32": ("PCM_32", "PCM_24"),
    "FLOAT": ("FLOAT", "PCM_24"),
    "DOUBLE": ("FLOAT", "PCM_24"),
}
# What is kept of a file besides its samples.
_TAGS = (
    *("title", "artist", "album", "tracknumber", "date"),
    *("genre", "copyright", "license", "comment"),
)

# Frames read or written at a time. libsndfile's Vorbis encoder overruns its stack on huge ones.
_BLOCK = 1 << 16
# Bytes of a sample, and how many a WAV or AIFF file can hold (their sizes have 32 bits).
_BYTES = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
_MAX_BYTES = (1 << 32) - (1 << 16)
# libsndfile's Vorbis encoder crashes on more.
_MAX_CHANNELS = 255
# A recorder writing WAV to a pipe cannot know its size, and puts the largest there is: near 2 GB
# (sox, arecord) or 4 GB (ffmpeg).
_UNKNOWN_SIZES = (1 << 31, 1 << 32)
_UNKNOWN_MARGIN = 4096  # bytes
_SET_ADD_PEAK_CHUNK = 0x1050  # libsndfile's number of that command
_UNKNOWN_FORMAT = 1  # libsndfile's number of that error
_UNKNOWN_FRAMES = (1 << 63) - 1  # libsndfile's word for a FLAC stream that does not tell


class _Forward(soundfile.SoundFile):
    """A file that is read from its beginning to its end.

    soundfile seeks after each read, which fails where FLAC does not tell how long it is.
    """

    def seekable(self) -> bool:
        return False


class Source:
    """An open audio file: sample_rate (Hz), channels, frames (how many samples of each).

    frames is 0 where that is not known before the end. subtype: libsndfile's name of the coding;
    tags: title, artist and so on.
    """

    def __init__(self, path: Path, file: _Forward | ffmpeg.Decoder) -> None:
        self._path, self._file = path, file
        self.sample_rate: int = file.samplerate
        self.channels: int = file.channels
        self.frames: int = file.frames
        self.subtype: str = file.subtype
        self.tags = {k: v for k, v in file.copy_metadata().items() if k in _TAGS}
        if self.frames == _UNKNOWN_FRAMES:
            self.frames = _count(path)

    def blocks(self, frames: int = _BLOCK) -> Iterator[np.ndarray]:
        """All samples in order, [channels, <= frames], float32 with full scale 1.

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
    """Open an audio file; by ffmpeg, where that is installed, if libsndfile does not know its kind.

    Raises AudioError if it is not audio or its header promises more than it has; OSError if it
    cannot be opened.
    """
    with open(path, "rb"):  # the system's own words for what is missing or forbidden
        pass
    with ExitStack() as stack:
        try:
            file = stack.enter_context(_Forward(_name(path)))
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
    """All samples of a file, [channels, T], float32 with full scale 1, and its rate in Hz.

    Raises as `reading` and `Source.blocks` do.
    """
    with reading(path) as source:
        blocks = [np.zeros((source.channels, 0), np.float32), *source.blocks()]
        return np.concatenate(blocks, axis=-1), source.sample_rate


def first_channel(path: Path) -> tuple[int, Callable[[], Iterator[np.ndarray]]]:
    """A file's rate in Hz, and what reads its first channel, [n] at a time, each time it is called.

    Both raise as `reading` and `Source.blocks` do, and AudioError for NaN or infinity, with the
    file's name in each.
    """

    def pieces() -> Iterator[np.ndarray]:
        try:
            with reading(path) as source:
                for x in source.blocks():
                    if not np.isfinite(x[0]).all():
                        raise AudioError("NaN or infinity in it")
                    yield x[0]
        except AudioError as error:
            raise AudioError(f"{path}: {error}") from error

    try:
        with reading(path) as source:
            return source.sample_rate, pieces
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error


@contextmanager
def writing(
    path: Path,
    sample_rate: int,
    channels: int,
    format: str,
    subtype: str | None = None,
    frames: int = 0,
    tags: Mapping[str, str] | None = None,
) -> Iterator["Sink"]:
    """A sound file to write to, that appears under `path` when the block ends without error.

    format: a key of FORMATS; subtype: libsndfile's name of a coding, None for the usual one.
    frames: how many are expected; WAV that they would take past its 4 GB becomes RF64.
    tags: title, artist and the like, of which those are kept that the format has room for.
    Raises ValueError for a pair that does not exist (`check_format`), AudioError if libsndfile
    fails, OSError if the file system does.
    """
    major, subtype = check_format(format, subtype)
    if frames * channels * _BYTES.get(subtype, 0) > _MAX_BYTES:
        if major == "AIFF":
            raise AudioError("an AIFF file holds at most 4 GB: choose wav or flac")
        major = "RF64" if major == "WAV" else major
    if channels > _MAX_CHANNELS:
        raise AudioError(f"{channels} channels; a file gets at most {_MAX_CHANNELS}")
    limit = _MAX_BYTES // (channels * _BYTES.get(subtype, 1)) if major in ("WAV", "AIFF") else None
    with atomic_write(path) as file:
        with ThreadPoolExecutor(1) as thread:
            output = _Output(cast(FileIO, file.raw))
            sink = Sink(output, thread, limit)
            try:
                try:
                    sink.open(sample_rate, channels, subtype, major, tags or {})
                    yield sink
                    sink.wait()
                finally:
                    sink.close()
            except (soundfile.LibsndfileError, AssertionError) as error:
                if output.error is None:
                    raise AudioError(
                        f"libsndfile cannot write {channels} channels as {format} {subtype}: "
                        f"{_message(error)}"
                    ) from error
            if output.error is not None:
                raise output.error
        if sink.frames == 0:
            _refuse_unreadable(Path(file.name), format)


class Sink:
    """A sound file that is being written, by a thread of its own.

    The thread is not for speed alone: Python raises KeyboardInterrupt in the main thread, and
    inside libsndfile's callbacks, where it would be lost, only if they run there.
    """

    def __init__(self, output: "_Output", thread: ThreadPoolExecutor, limit: int | None) -> None:
        self._output, self._thread, self._limit = output, thread, limit
        self._file: soundfile.SoundFile | None = None
        self._pending: Future | None = None
        self.frames = 0

    def open(
        self, sample_rate: int, channels: int, subtype: str, format: str, tags: Mapping[str, str]
    ) -> None:
        """Begin the file. Raises what libsndfile does."""

        def work():
            self._file = soundfile.SoundFile(
                self._output, "w", sample_rate, channels, subtype, format=format
            )
            # libsndfile puts the time into floating-point files, so that no two would be equal.
            # soundfile has no public way to tell it not to.
            soundfile._snd.sf_command(
                self._file._file, _SET_ADD_PEAK_CHUNK, soundfile._ffi.NULL, False
            )
            for name, text in tags.items():
                with suppress(soundfile.LibsndfileError):  # no room for it in this format
                    setattr(self._file, name, text)

        self._thread.submit(work).result()

    def close(self) -> None:
        """Complete the file, after all that the thread was given, an interrupted `open` too."""

        def work():
            if self._file:
                self._file.close()

        self._thread.submit(work).result()

    def write(self, y: np.ndarray) -> None:
        """Append samples [channels, T], full scale 1, which are not to change any more.

        Raises what went wrong with the samples before.
        """
        self.wait()
        self.frames += y.shape[-1]
        if self._limit is not None and self.frames > self._limit:
            raise AudioError("longer than the 4 GB that such a file can hold: choose flac")
        self._pending = self._thread.submit(self._write, y)

    def wait(self) -> None:
        """Wait until all samples are written. Raises what went wrong."""
        if self._pending:
            self._pending.result()

    def _write(self, y: np.ndarray) -> None:
        assert self._file
        for start in range(0, y.shape[-1], _BLOCK):
            self._file.write(y[:, start : start + _BLOCK].T)


def check_format(format: str, subtype: str | None = None) -> tuple[str, str]:
    """libsndfile's format and subtype for ours. Raises ValueError if it cannot write the pair."""
    if format not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}, got {format!r}")
    _, major, default = FORMATS[format]
    subtype = (subtype or default).upper()
    if not soundfile.check_format(major, subtype):
        known = ", ".join(soundfile.available_subtypes(major))
        raise ValueError(f"subtype of {format} is one of {known}; got {subtype}")
    return major, subtype


def suffixes() -> tuple[str, ...]:
    """What folders are searched for, in lower case."""
    own = tuple(suffix for suffixes, _, _ in FORMATS.values() for suffix in suffixes)
    return own + (ffmpeg.SUFFIXES if ffmpeg.is_installed() else ())


def same_depth(subtype: str, format: str) -> str:
    """The subtype of a format (a key of FORMATS) that has the bit depth of another file's."""
    _, major, default = FORMATS[format]
    known = soundfile.available_subtypes(major)
    return next((depth for depth in _DEPTHS.get(subtype, ()) if depth in known), default)


def duration(path: Path) -> float:
    """How long a file is by its header; 0 if that cannot be told."""
    try:
        info = soundfile.info(_name(path))
    except (soundfile.LibsndfileError, TypeError):
        return 0.0
    return 0.0 if info.frames == _UNKNOWN_FRAMES else info.frames / info.samplerate


def format_of(path: Path) -> str | None:
    """The format that a file name's suffix stands for, or None."""
    suffix = path.suffix.lower()
    return next((name for name, (suffixes, *_) in FORMATS.items() if suffix in suffixes), None)


def _count(path: Path) -> int:
    """How many samples a file has, by reading it. Raises AudioError."""
    try:
        with _Forward(_name(path)) as file:
            return sum(iter(lambda: len(file.read(_BLOCK, "float32", always_2d=True)), 0))
    except soundfile.LibsndfileError as error:
        raise _unreadable(error) from error


def _refuse_cut_header(file: soundfile.SoundFile) -> None:
    """Raise AudioError if libsndfile's log says that a header promises more than is there.

    The log is for people, and its words may change: those here are of libsndfile 1.1 and 1.2, and
    tests would tell.
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
        raise AudioError("its header says 0 samples, but data follow: a recording never finished")


def _is_unknown(size: int) -> bool:
    """Whether a size in a WAV header stands for one that its writer did not know."""
    return any(abs(size - mark) <= _UNKNOWN_MARGIN for mark in _UNKNOWN_SIZES)


def _refuse_unreadable(path: Path, format: str) -> None:
    try:
        soundfile.info(_name(path))
    except soundfile.LibsndfileError as error:
        raise AudioError(f"a {format} file cannot hold 0 samples") from error


class _Output:
    """A binary file that keeps what goes wrong, which cannot pass through libsndfile.

    libsndfile itself would say "System error", or for some formats on a full disk nothing. The
    file is unbuffered, so that only `write` can fail.
    """

    def __init__(self, raw: FileIO) -> None:
        self.raw = raw
        self.seek, self.tell = raw.seek, raw.tell
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        written = 0
        try:
            while self.error is None and written < len(data):
                written += self.raw.write(data[written:])
        except OSError as error:
            self.error = error
        return written


def _hint(path: Path) -> str:
    """How to get at a file that only ffmpeg reads."""
    if path.suffix.lower() not in ffmpeg.SUFFIXES:
        return ""
    wav = shlex.quote(f"{path.stem}.wav")
    return f"Install ffmpeg, or: ffmpeg -i {shlex.quote(path.name)} {wav}"


def _unreadable(error: BaseException) -> AudioError:
    return AudioError(f"not audio that libsndfile can read whole: {_message(error)}")


def _name(path: Path) -> Path | bytes:
    """What to call a file towards soundfile, which would refuse names that are not Unicode."""
    return os.fsencode(path) if os.name == "posix" else path


def _message(error: BaseException) -> str:
    return getattr(error, "error_string", "") or str(error) or type(error).__name__
