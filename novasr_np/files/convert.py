"""Upsample one file to another, a few seconds at a time."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from ..errors import AudioError, message
from ..pipeline.look import edge_note, look
from ..pipeline.runner import Runner
from ..pipeline.upsampler import Upsampler
from ..samples import check_levels
from ..threads import ahead
from . import formats, layout
from .find import PIPE
from .reading import Source, reading
from .signals import deferred_signals
from .writing import int16_rule, writing

_CHOOSE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "each": lambda x: x,
    "first": lambda x: x[:1],
    "mono": lambda x: x.mean(axis=0, keepdims=True),
}
_HELD = 1 << 20  # samples, over all channels, of a sound that is held in memory


@dataclass(frozen=True)
class Options:
    """Options for all files of a run."""

    resampler: str = "auto"
    keep_lowband: str | float | bool | None = None  # as for `novasr_np.upsample`
    edge: float | None = None  # likewise
    channels: str = "each"  # each, first or mono
    format: str = "wav"  # a key of formats.FORMATS
    subtype: str | None = None  # libsndfile's name; None for the source's bit depth
    if_exists: str = "error"  # error, skip or overwrite


@dataclass
class Result:
    """Result of one source.

    Times are in seconds: work_seconds is all of it, of which read_seconds went by in waiting for
    samples and looking at them, compute_seconds for outputs, write_seconds for a file to take them.
    peak is the largest sample before clipping, full scale 1; saturated is the
    number of saturated samples in the output; errno is the system's error number. band_edge is the
    frequency in Hz at which the source's spectrum ends, if that was looked for and found;
    kept_below is the frequency in Hz up to which the source's sound was kept. notes: what the user
    should know of this source or target, as "3 tracks of sound: the second, its default, is taken".
    """

    source: str
    target: str
    status: str = "failed"  # done, skipped or failed
    error: str | None = None
    sample_rate: int | None = None  # Hz, of the source
    channels: int | None = None  # of the target
    subtype: str | None = None  # of the target, libsndfile's name
    audio_seconds: float = 0.0
    work_seconds: float = 0.0
    read_seconds: float = 0.0
    compute_seconds: float = 0.0
    write_seconds: float = 0.0
    peak: float = 0.0
    saturated: int = 0
    band_edge: float | None = None
    kept_below: float | None = None
    errno: int | None = None
    notes: str | None = None


def convert(
    source: str,
    target: str,
    options: Options,
    runner: Runner,
    progress: Callable[[float], object],
    begin: Callable[[Result], object] = lambda _: None,
    sync: bool = True,
) -> Result:
    """Upsample one file. Errors are reported in the result.

    runner: computes the pieces. progress: called with the seconds of audio done since the last
    call. begin: called before the work, with a result that describes the source.
    """
    result = Result(source, target)
    start = time.perf_counter()
    try:
        if target != PIPE and os.path.lexists(target):
            if source != PIPE and os.path.exists(target) and os.path.samefile(source, target):
                raise AudioError(f"the output must be another file than the input, got {target}")
            if options.if_exists == "skip":
                result.status = "skipped"
                return result
            if options.if_exists == "error":
                raise FileExistsError(f"{target} exists: -f replaces it, --if-exists skip skips it")
            if not os.path.isfile(target):
                raise FileExistsError(f"{target} exists and is no regular file")
        piped = PIPE in (source, target)
        with tempfile.TemporaryDirectory(prefix="novasr-") if piped else nullcontext("") as spool:
            path = _spooled_source(source, spool)
            _convert(path, target, spool, options, runner, result, progress, begin, sync)
        result.status = "done"
    except (OSError, ValueError, MemoryError) as error:
        if getattr(error, "filename", None) == source:  # the result already names it
            error.filename = None  # type: ignore[union-attr]
        result.error = message(error)
        result.errno = getattr(error, "errno", None)
        result.audio_seconds, result.peak, result.saturated = 0.0, 0.0, 0
    result.work_seconds = time.perf_counter() - start
    return result


def _convert(
    path: Path,
    target: str,
    spool: str,
    options: Options,
    runner: Runner,
    result: Result,
    progress: Callable[[float], object],
    begin: Callable[[Result], object],
    sync: bool,
) -> None:
    network, lap = runner.network, _stopwatch(result)
    with reading(path) as source:
        result.sample_rate = source.sample_rate
        is_each = options.channels == "each"
        result.channels = source.channels if is_each else 1
        result.subtype = options.subtype or formats.same_depth(source.subtype, options.format)
        speakers = source.layout if is_each else layout.MONO
        _, note = layout.place(speakers, result.channels, options.format, result.subtype)
        # A header is completed at the end, but a pipe cannot be rewound: spool, then send.
        final = Path(spool, "output") if target == PIPE else Path(target)
        keep, by = options.keep_lowband, options.resampler
        sound = _Sound(source, options, runner)
        facts = look(
            network,
            sound.looked_at,
            source.sample_rate,
            result.channels,
            resampler=by,
            keep_lowband=keep,
            edge=options.edge,
            dtype=runner.dtype,
        )
        lap("read_seconds")
        rule = int16_rule(options.format, result.subtype)
        stream = Upsampler(runner, facts, resampler=by, keep_lowband=keep, int16=rule)
        result.band_edge, result.kept_below = facts.edge, stream.kept_below
        frames = network.duration(source.frames, source.sample_rate)
        place = source.broadcast
        ends = edge_note(network, source.sample_rate, facts.edge)
        result.notes = "; ".join(filter(None, [*source.notes, note, ends])) or None
        begin(result)
        try:
            if target != PIPE:
                final.parent.mkdir(parents=True, exist_ok=True)
            with (
                deferred_signals() as interrupt,
                writing(
                    final,
                    network.rate_out,
                    result.channels,
                    options.format,
                    result.subtype,
                    frames,
                    source.tags,
                    speakers,
                    place and place.at_rate(source.sample_rate, network.rate_out),
                    behind=not sound.is_held,
                    sync=sync,
                ) as file,
                closing(sound.blocks()) as blocks,
            ):
                for y in _upsampled(blocks, stream, result.channels, runner, lap):
                    interrupt()
                    file.write(y)
                    lap("write_seconds")
                    seconds = y.shape[-1] / network.rate_out
                    result.audio_seconds += seconds
                    progress(seconds)
            lap("write_seconds")
            floats = stream.int16 or file
            result.peak, result.saturated = floats.peak, floats.saturated
        except OSError as error:
            raise OSError(error.errno, error.strerror, target) from error
    if target == PIPE:
        with open(final, "rb") as whole:
            shutil.copyfileobj(whole, sys.stdout.buffer)
        sys.stdout.buffer.flush()


class _Sound:
    """Sound of a file, which is looked at before the work.

    A short one is decoded once, and held; a long one is decoded ahead of the work, by a thread.
    """

    def __init__(self, source: Source, options: Options, runner: Runner) -> None:
        self._source, self._options = source, options
        channels = source.channels if options.channels == "each" else 1
        self.is_held = 0 < source.frames * source.channels <= _HELD
        samples = max(1, runner.chunk // channels // runner.multiple) * runner.multiple
        self._frames = max(1, samples * source.sample_rate // runner.network.rate_in)
        self._held = list(self._decoded()) if self.is_held else []

    def looked_at(self) -> Iterator[np.ndarray]:
        """Yield the sound from its beginning, any number of times."""
        if self.is_held:
            yield from self._held
            return
        with self._source.again() as other:
            decoded = ahead(_blocks(other.blocks(), self._options))
            with closing(decoded):
                yield from decoded

    def blocks(self) -> Generator[np.ndarray, None, None]:
        """Yield the blocks for the work, once. Close it before the source."""
        yield from self._held if self.is_held else ahead(self._decoded())

    def _decoded(self) -> Iterator[np.ndarray]:
        return _blocks(self._source.blocks(self._frames), self._options)


def _blocks(blocks: Iterable[np.ndarray], options: Options) -> Iterator[np.ndarray]:
    """Select the channels to upsample. Raises ValueError for NaN and the like, with its place."""
    offset = 0
    for x in map(_CHOOSE[options.channels], blocks):
        yield check_levels(x, offset)
        offset += x.shape[-1]


def _upsampled(
    blocks: Iterable[np.ndarray],
    stream: Upsampler,
    channels: int,
    runner: Runner,
    lap: Callable[[str], None],
) -> Iterator[np.ndarray]:
    last = np.zeros((channels, 0), runner.dtype)
    for x in chain(blocks, [last]):
        lap("read_seconds")
        y = stream.push(x.astype(runner.dtype, copy=False), last=x is last)
        lap("compute_seconds")
        yield y


def _stopwatch(result: Result) -> Callable[[str], None]:
    """Make a function that adds the time since its last call to a field of the result."""
    last = time.perf_counter()

    def lap(field: str) -> None:
        nonlocal last
        now = time.perf_counter()
        setattr(result, field, getattr(result, field) + now - last)
        last = now

    return lap


def _spooled_source(source: str, spool: str) -> Path:
    if source != PIPE:
        return Path(source)
    path = Path(spool, "input")
    with open(path, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return path
