"""Upsample one file to another, a few seconds at a time."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from ..blocks import Runner
from ..dsp import band, crossover
from ..dsp import resample as resampling
from ..errors import AudioError, message
from ..networks.record import Level
from ..samples import count_saturated
from ..stream import Upsampler
from . import formats
from .find import PIPE
from .reading import Source, reading
from .signals import deferred_signals
from .writing import writing

_LOOK_SECONDS = 300  # of a file, for where its sound ends
_CHOOSE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "each": lambda x: x,
    "first": lambda x: x[:1],
    "mono": lambda x: x.mean(axis=0, keepdims=True),
}


@dataclass(frozen=True)
class Options:
    """How every file of a run is treated."""

    resampler: str = "upstream"
    # True: as much as the recording has, by its spectrum; None: as the network is made for
    keep_lowband: bool | float | None = None
    channels: str = "each"  # each, first or mono
    format: str = "wav"  # a key of formats.FORMATS
    subtype: str | None = None  # libsndfile's name; None for the source's bit depth
    if_exists: str = "error"  # error, skip or overwrite


@dataclass
class Result:
    """What became of one source.

    Times are in seconds; peak is the largest sample, full scale 1, before it is limited; saturated
    counts samples of the output; errno is the number of the system's refusal. band_edge is where
    the source's sound ends by its spectrum, in Hz, if that was looked for and found; kept_below,
    up to where it was kept.
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
    peak: float = 0.0
    saturated: int = 0
    band_edge: float | None = None
    kept_below: float | None = None
    errno: int | None = None


def convert(
    source: str,
    target: str,
    options: Options,
    runner: Runner,
    progress: Callable[[float], object],
    begin: Callable[[Result], object] = lambda _: None,
) -> Result:
    """Upsample one file. What goes wrong is told in the result.

    runner: what computes; progress is called with seconds of audio as they are done; begin before
    the first, when the result says what is known of the source.
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
                raise FileExistsError(f"{target} exists: -f replaces it, --if-exists skip goes on")
            if not os.path.isfile(target):
                raise FileExistsError(f"{target} exists and is no regular file")
        piped = PIPE in (source, target)
        with tempfile.TemporaryDirectory(prefix="novasr-") if piped else nullcontext("") as spool:
            path = _spooled_source(source, spool)
            _convert(path, target, spool, options, runner, result, progress, begin)
        result.status = "done"
    except (OSError, ValueError, MemoryError) as error:
        if getattr(error, "filename", None) == source:  # which the result names already
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
) -> None:
    network = runner.network
    with reading(path) as source:
        result.sample_rate = resampling.check_rate(source.sample_rate)
        result.channels = source.channels if options.channels == "each" else 1
        # A pipe cannot be wound back to complete a header: spool, then send.
        final = Path(spool, "output") if target == PIPE else Path(target)
        frames = network.duration(source.frames, source.sample_rate)
        keep = network.keeps(options.keep_lowband, source.sample_rate)
        if keep is True and network.may_hear_less(source.sample_rate):
            with reading(path) as again:
                blocks = _first(again, _LOOK_SECONDS)
                result.band_edge = band.edge(blocks, source.sample_rate)
            keep = crossover.below(result.band_edge, source.sample_rate, network.rate_out)
        result.kept_below = crossover.cutoff(keep, source.sample_rate, network.rate_out)
        result.subtype = options.subtype or formats.same_depth(source.subtype, options.format)
        begin(result)
        level = _level(path, result.channels, options, runner)
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
                ) as file,
            ):
                for y in _upsampled(source, result.channels, keep, options, runner, level):
                    interrupt()
                    file.write(y)
                    seconds = y.shape[-1] / network.rate_out
                    result.audio_seconds += seconds
                    result.peak = max(result.peak, float(np.abs(y).max(initial=0.0)))
                    result.saturated += count_saturated(y)
                    progress(seconds)
        except OSError as error:
            raise OSError(error.errno, error.strerror, target) from error
    if target == PIPE:
        with open(final, "rb") as whole:
            shutil.copyfileobj(whole, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _first(source: Source, seconds: float) -> Iterator[np.ndarray]:
    """The blocks of a file up to that time."""
    left = round(seconds * source.sample_rate)
    for x in source.blocks():
        yield x
        left -= x.shape[-1]
        if left <= 0:
            return


def _level(path: Path, channels: int, options: Options, runner: Runner) -> Level | None:
    """The level of a file's sound at the network's rate, for a network that has to know it."""
    if runner.measure is None:
        return None
    with reading(path) as source:
        name = runner.network.resampler(options.resampler)
        resampler = resampling.make(
            name, source.sample_rate, runner.network.rate_in, channels, runner.dtype
        )
        chosen = map(_CHOOSE[options.channels], source.blocks())
        blocks = (resampler.push(x.astype(runner.dtype, copy=False), False) for x in chosen)
        rest = (resampler.push(np.zeros((channels, 0), runner.dtype), True) for _ in range(1))
        return runner.measure(chain(blocks, rest))


def _upsampled(
    source: Source,
    channels: int,
    keep: bool | float,
    options: Options,
    runner: Runner,
    level: Level | None,
) -> Iterator[np.ndarray]:
    choose = _CHOOSE[options.channels]
    stream = Upsampler(
        runner,
        source.sample_rate,
        channels,
        resampler=options.resampler,
        keep_lowband=keep,
        level=level,
    )
    samples = max(1, runner.chunk // channels // runner.multiple) * runner.multiple
    for x in source.blocks(max(1, samples * source.sample_rate // runner.network.rate_in)):
        yield stream.push(choose(x))
    yield stream.push(np.zeros((channels, 0), np.float32), last=True)


def _spooled_source(source: str, spool: str) -> Path:
    if source != PIPE:
        return Path(source)
    path = Path(spool, "input")
    with open(path, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return path
