"""Write sound files by libsndfile, complete or not at all."""

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import numpy as np
import soundfile

from ..atomic import atomic_write
from ..errors import AudioError
from ..samples import SATURATION, Int16Rule, count_saturated, floor_int16, peak, round_int16
from . import broadcast as bext
from . import layout as layouts
from .formats import BLOCK, FORMATS, check_format, message_of, path_name

# Bytes of a sample, and of the largest WAV or AIFF file (their sizes have 32 bits).
_BYTES = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
_MAX_BYTES = (1 << 32) - (1 << 16)
_MAX_CHANNELS = 255  # libsndfile's Vorbis encoder crashes on more
_SET_ADD_PEAK_CHUNK = 0x1050  # libsndfile's number of that command
# Formats of 16 bits, and how libsndfile makes these of floats: it encodes integers faster.
_INT16 = {"WAV": floor_int16, "AIFF": floor_int16, "FLAC": round_int16}
# Numbers of errors that an encoder's arithmetic leaves behind, and a write that was tried again.
_HARMLESS = {0, errno.EDOM, errno.ERANGE, errno.EINTR}


def int16_rule(format: str, subtype: str) -> Int16Rule | None:
    """Rule of floats in a format (a key of FORMATS) of 16 bits; None for another subtype."""
    return _INT16.get(FORMATS[format][1]) if subtype == "PCM_16" else None


@contextmanager
def writing(
    path: Path,
    sample_rate: int,
    channels: int,
    format: str,
    subtype: str | None = None,
    frames: int = 0,
    tags: Mapping[str, str] | None = None,
    layout: int | None = None,
    broadcast: bext.Broadcast | None = None,
    behind: bool = True,
    sync: bool = True,
) -> Iterator["Sink"]:
    """Open a sound file that appears under `path` when the block ends without error.

    format: a key of FORMATS. subtype: libsndfile's name of an encoding, None for the usual one.
    frames: the expected number; a WAV file that would exceed its 4 GB becomes RF64.
    tags: title, artist and the like; broadcast: the broadcast extension, at `sample_rate`; the
    format keeps what it has room for.
    layout: the speakers that the channels are for, as in `layout`, which they are in the order of.
    behind: write on a thread, so that the caller computes meanwhile. Without it, an interrupt must
    not come between (`deferred_signals`), or libsndfile's memory may be freed twice. sync: as for
    `atomic_write`.
    Raises ValueError for a pair that does not exist (`check_format`), AudioError if libsndfile
    fails or the format filters a channel of this layout, OSError if the file system fails.
    """
    major, subtype = check_format(format, subtype)
    if frames * channels * _BYTES.get(subtype, 0) > _MAX_BYTES:
        if major == "AIFF":
            raise AudioError("an AIFF file must have at most 4 GB, got more: choose wav or flac")
        major = "RF64" if major == "WAV" else major
    order, _ = layouts.place(layout, channels, format, subtype)
    if major == "WAV" and not layouts.is_plain(layout, channels):
        major = "WAVEX" if layouts.can_state(layout, channels, subtype) else major
    tags = dict(tags or {})
    if major == "FLAC" and not layouts.is_flac_default(layout, channels):
        tags["software"] = layouts.PLACEHOLDER
    if channels > _MAX_CHANNELS:
        raise AudioError(f"channels must be at most {_MAX_CHANNELS} in a file, got {channels}")
    is_limited = major in ("WAV", "WAVEX", "AIFF")
    limit = _MAX_BYTES // (channels * _BYTES.get(subtype, 1)) if is_limited else None
    encode = int16_rule(format, subtype)
    with atomic_write(path, sync) as file:
        with ThreadPoolExecutor(1) if behind else nullcontext() as thread:
            sink = Sink(Path(file.name), thread, order, encode, limit)
            try:
                try:
                    sink.open(sample_rate, channels, subtype, major, tags, broadcast)
                    yield sink
                    sink.wait()
                finally:
                    sink.close()
            except (soundfile.LibsndfileError, AssertionError) as error:
                raise AudioError(
                    f"libsndfile cannot write {channels} channels as {format} {subtype}: "
                    f"{message_of(error)}"
                ) from error
        layouts.state(Path(file.name), format, layout, channels)
        if sink.frames == 0:
            _refuse_unreadable(Path(file.name), format)


class _File(soundfile.SoundFile):
    """Sound file that libsndfile closes without waiting for the disk: `atomic_write` does that."""

    def flush(self) -> None:
        pass


class Sink:
    """Sound file that is being written, by a thread if there is one.

    Of what is written: frames, the number of samples of each channel; once the file is complete,
    peak, the largest magnitude before clipping, and saturated, the number of saturated samples, of
    those that came as floats.
    """

    def __init__(
        self,
        path: Path,
        thread: ThreadPoolExecutor | None,
        order: layouts.Order,
        encode: Int16Rule | None,
        limit: int | None,
    ) -> None:
        """encode: makes of floats what is written, None for floats. limit: samples a channel."""
        self._path, self._thread, self._order = path, thread, order
        self._encode, self._limit = encode, limit
        self._file: soundfile.SoundFile | None = None
        self._pending: Future | None = None
        self.frames, self.peak, self.saturated = 0, 0.0, 0

    def open(
        self,
        sample_rate: int,
        channels: int,
        subtype: str,
        format: str,
        tags: Mapping[str, str],
        broadcast: bext.Broadcast | None,
    ) -> None:
        """Begin the file. Raises the errors of libsndfile, OSError."""

        def work():
            self._file = _File(
                path_name(self._path), "w", sample_rate, channels, subtype, format=format
            )
            # libsndfile puts the time into floating-point files, so no two would be equal.
            # soundfile has no public way to turn that off.
            soundfile._snd.sf_command(
                self._file._file, _SET_ADD_PEAK_CHUNK, soundfile._ffi.NULL, False
            )
            for name, text in tags.items():
                with suppress(soundfile.LibsndfileError):  # this format has no room for the tag
                    setattr(self._file, name, text)
            if broadcast:
                bext.write(self._file, broadcast)

        self._submit(work).result()

    def close(self) -> None:
        """Complete the file after all tasks of the thread, even after an interrupted `open`."""

        def work():
            if self._file:
                self._file.close()

        self._submit(work).result()

    def write(self, y: np.ndarray) -> None:
        """Append samples [channels, T]; the caller must not change them any more.

        y: floats, full scale 1, or int16 for a file of 16 bits, by its `int16_rule`.
        Raises the error of writing the samples before.
        """
        self.wait()
        self.frames += y.shape[-1]
        if self._limit is not None and self.frames > self._limit:
            raise AudioError("the file must have at most 4 GB, got more: choose flac")
        self._pending = self._submit(self._write, y)

    def wait(self) -> None:
        """Wait until all samples are written. Raises the error of writing them."""
        if self._pending:
            self._pending.result()

    def _write(self, y: np.ndarray) -> None:
        assert self._file
        for start in range(0, y.shape[-1], BLOCK):
            block = y[self._order, start : start + BLOCK]
            if block.dtype != np.int16:
                highest = peak(block)
                self.peak = max(self.peak, highest)
                if highest >= SATURATION:
                    self.saturated += count_saturated(block)
                block = self._encode(block) if self._encode else block
            self._file.write(block.T)

    def _submit(self, work: Callable[..., None], *args: np.ndarray) -> Future:
        if self._thread:
            return self._thread.submit(_with_system_errors, work, *args)
        _with_system_errors(work, *args)
        done: Future = Future()
        done.set_result(None)
        return done


def _with_system_errors(work: Callable[..., None], *args: np.ndarray) -> None:
    """Call libsndfile. Raises OSError if the file system fails.

    libsndfile itself says "System error", or nothing while it closes a file.
    """
    soundfile._ffi.errno = 0
    try:
        work(*args)
    finally:
        number = soundfile._ffi.errno
        if number not in _HARMLESS:
            raise OSError(number, os.strerror(number))


def _refuse_unreadable(path: Path, format: str) -> None:
    try:
        soundfile.info(path_name(path))
    except soundfile.LibsndfileError as error:
        raise AudioError(f"a {format} file cannot hold 0 samples") from error
