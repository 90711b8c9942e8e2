"""From source files to target files: which ones, and one at a time."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import audio
from .api import count_saturated
from .errors import AudioError
from .files import walk
from .interrupts import held
from .spec import SAMPLE_RATE_IN, SAMPLE_RATE_OUT, UPSAMPLING
from .stream import Run, Stream
from .weights import Params

PIPE = "-"  # standard input as a source, standard output as a target
SUFFIX = "_48k"  # what a default target's name has behind the source's stem


@dataclass(frozen=True)
class Options:
    """How every file of a run is treated."""

    weights: Params
    resampler: str = "upstream"
    keep_lowband: bool | float = False
    channels: str = "each"  # each, first or mono
    format: str = "wav"  # a key of audio.FORMATS
    subtype: str | None = None  # libsndfile's name; None for the format's usual one
    if_exists: str = "error"  # error, skip or overwrite
    threads: int | None = None  # None for one on each core
    run: Run | None = None  # what computes instead of this package (`Stream`)
    chunk: int = 4 * SAMPLE_RATE_IN  # samples at 16 kHz at a time: enough to keep threads busy
    segment: int = 1  # of which each channel gets a multiple of this


@dataclass
class Result:
    """What became of one source.

    Times are in seconds; peak is the largest sample, full scale 1, before it is limited; saturated
    counts samples at 48 kHz; errno is the number of the system's refusal.
    """

    source: str
    target: str
    status: str = "failed"  # done, skipped or failed
    error: str | None = None
    sample_rate: int | None = None  # Hz, of the source
    channels: int | None = None  # of the target
    audio_seconds: float = 0.0
    work_seconds: float = 0.0
    peak: float = 0.0
    saturated: int = 0
    errno: int | None = None


def find(inputs: Iterable[str], recursive: bool) -> Iterator[tuple[str, str]]:
    """(source, its folder below the input that named it) for every file, folders walked in order.

    In folders only files with a known suffix count, and none that a run named itself (``_48k``).
    Raises IsADirectoryError for a folder if not recursive, OSError for one that cannot be read.
    """
    for name in inputs:
        if name == PIPE or not os.path.isdir(name):
            yield name, ""
            continue
        if not recursive:
            raise IsADirectoryError(f"{name} is a folder: add -r to take all audio below it")
        for path in map(Path, walk(name)):
            known = path.suffix.lower() in audio.SUFFIXES and not path.stem.endswith(SUFFIX)
            if known and not path.name.startswith(".") and path.is_file():
                yield str(path), str(path.parent.relative_to(name))


def targets(sources: Iterable[tuple[str, str]], folder: str | None, format: str) -> Iterator[str]:
    """The default target of each source: beside it, or below `folder` in the same tree."""
    suffix = audio.FORMATS[format][0][0]
    for source, below in sources:
        if source == PIPE:
            yield PIPE if folder is None else str(Path(folder, f"stdin{SUFFIX}{suffix}"))
            continue
        parent = Path(source).parent if folder is None else Path(folder, below)
        yield str(parent / f"{Path(source).stem}{SUFFIX}{suffix}")


def run(source: str, target: str, options: Options, progress: Callable[[float], object]) -> Result:
    """Upsample one file, a few seconds at a time. What goes wrong is told in the result.

    progress is called with seconds of audio as they are done.
    """
    result = Result(source, target)
    start = time.perf_counter()
    try:
        if target != PIPE and os.path.lexists(target):
            if source != PIPE and os.path.exists(target) and os.path.samefile(source, target):
                raise AudioError("the output would replace its own input")
            if options.if_exists == "skip":
                result.status = "skipped"
                return result
            if options.if_exists == "error":
                raise FileExistsError(f"{target} exists: see --if-exists")
            if not os.path.isfile(target):
                raise FileExistsError(f"{target} exists and is no regular file")
        piped = PIPE in (source, target)
        with tempfile.TemporaryDirectory(prefix="novasr-") if piped else nullcontext("") as spool:
            _convert(_spooled_source(source, spool), target, spool, options, result, progress)
        result.status = "done"
    except (OSError, ValueError, MemoryError) as error:
        result.error = words(error)
        result.errno = getattr(error, "errno", None)
        result.audio_seconds, result.peak, result.saturated = 0.0, 0.0, 0
    result.work_seconds = time.perf_counter() - start
    return result


def _convert(
    path: Path, target: str, spool: str, options: Options, result: Result, progress
) -> None:
    with audio.reading(path) as source:
        result.sample_rate = source.sample_rate
        result.channels = source.channels if options.channels == "each" else 1
        # A pipe cannot be wound back to complete a header: spool, then send.
        final = Path(spool, "output") if target == PIPE else Path(target)
        try:
            if target != PIPE:
                final.parent.mkdir(parents=True, exist_ok=True)
            frames = UPSAMPLING * -(-source.frames * SAMPLE_RATE_IN // source.sample_rate)
            with (
                held() as interrupt,
                audio.writing(
                    final, SAMPLE_RATE_OUT, result.channels, options.format, options.subtype, frames
                ) as file,
            ):
                for y in _upsampled(source, result.channels, options):
                    interrupt()
                    file.write(y)
                    result.audio_seconds += y.shape[-1] / SAMPLE_RATE_OUT
                    result.peak = max(result.peak, float(np.abs(y).max(initial=0.0)))
                    result.saturated += count_saturated(y)
                    progress(y.shape[-1] / SAMPLE_RATE_OUT)
        except OSError as error:
            raise OSError(error.errno, error.strerror, target) from error
    if target == PIPE:
        with open(final, "rb") as whole:
            shutil.copyfileobj(whole, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _upsampled(source: audio.Source, channels: int, options: Options) -> Iterator[np.ndarray]:
    choose = {
        "each": lambda x: x,
        "first": lambda x: x[:1],
        "mono": lambda x: x.mean(axis=0, keepdims=True),
    }[options.channels]
    with Stream(
        options.weights,
        source.sample_rate,
        channels,
        resampler=options.resampler,
        keep_lowband=options.keep_lowband,
        threads=options.threads,
        run=options.run,
    ) as stream:
        samples = max(1, options.chunk // channels // options.segment) * options.segment
        for x in source.blocks(max(1, samples * source.sample_rate // SAMPLE_RATE_IN)):
            yield stream.push(choose(x))
        yield stream.push(np.zeros((channels, 0), np.float32), last=True)


def _spooled_source(source: str, spool: str) -> Path:
    if source != PIPE:
        return Path(source)
    path = Path(spool, "input")
    with open(path, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return path


def words(error: BaseException) -> str:
    """What to tell the user about an error."""
    if isinstance(error, MemoryError):
        return f"out of memory: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__
