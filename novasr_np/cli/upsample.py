"""`novasr upsample`: upsample audio files to 48 kHz."""

import argparse
import dataclasses
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from .. import weights
from ..atomic import remove_leftovers
from ..corpus import feeding
from ..dsp.resample import import_soxr
from ..errors import message
from ..files import find, formats
from ..files.convert import Options, Result, convert
from ..files.reading import duration
from ..networks import Network
from ..pipeline.look import edge_note
from ..pipeline.runner import Runner
from ..threads import available_cores
from ..weights import Weights
from .messages import EXIT_DONE, EXIT_SOME_FAILED, Bar, say, say_passed_over, show_json, usage
from .options import (
    add_backend,
    add_choices,
    add_if_exists,
    add_network,
    backend,
    choices,
    for_workers,
    positive,
)

_NOTES = """\
examples:
  novasr upsample speech.wav                    writes speech_48k.wav
  novasr upsample interview.mp4 -o speech.flac  the sound of a video, by ffmpeg
  novasr upsample -r recordings -o restored     all sound files in a folder and below it
  ffmpeg -i talk.webm -f wav - | novasr upsample - -o talk.wav

It reads WAV, FLAC, OGG, Opus, MP3, AIFF and the other formats of libsndfile, and, where ffmpeg is
installed, M4A, MP4, WebM and others.

The output is <input's stem>_48k.wav beside the input unless -o says otherwise. With several inputs,
or a folder, -o is a folder and gets the same tree. "-" is standard input or output. A file appears
under its name only when it is complete.

exit status: 0 all done (or skipped as asked); 1 some inputs failed (each is named, the rest are
done); 2 wrong usage; 130 interrupted
"""


def add(commands: Any) -> None:
    """Add the command and its options to the parser."""
    p = commands.add_parser(
        "upsample",
        help="upsample audio files to 48 kHz",
        description="Upsample audio files to 48 kHz.",
        epilog=_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    p.add_argument("input", nargs="+", metavar="INPUT", help="audio file, folder (with -r) or -")
    p.add_argument("-o", "--output", metavar="OUT", help="output file, folder or -")
    p.add_argument(
        "-r",
        "--recursive",
        action="store_true",
        help="upsample all audio in folders and below them, except files named *_48k, several "
        "files at once",
    )
    add_network(p)
    p.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="number of cores to use; default: all",
    )
    p.add_argument(
        "--channels",
        choices=("each", "first", "mono"),
        default="each",
        help="channels to write: each one (default), the first only, as the original does, or "
        "their mean (mono)",
    )
    p.add_argument(
        "--format",
        choices=tuple(formats.FORMATS),
        help="file format of the outputs; default: by OUT's name, or wav",
    )
    p.add_argument(
        "--subtype",
        help="sample encoding of the outputs, by libsndfile's name, such as PCM_24 or FLOAT; "
        "default: the input's bit depth where the format has it, else the format's usual one",
    )
    add_if_exists(p, skip=True)
    add_choices(p)
    add_backend(p)
    loud = p.add_mutually_exclusive_group()
    loud.add_argument("-q", "--quiet", action="store_true", help="report failures only")
    loud.add_argument("-v", "--verbose", action="store_true", help="print a line for each file")
    loud.add_argument(
        "--json", action="store_true", help="print the results as JSON on standard output"
    )


def _main(args: argparse.Namespace) -> int:
    try:
        pairs, options, loaded = _plan(args)
        chosen = backend(args, args.threads, choices(args, loaded.network))
        in_processes = args.recursive and _can_take_processes(pairs, loaded.network, chosen)
        runner = None if in_processes else chosen.open(loaded)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        usage(error)
    results: list[Result] = []
    start = time.perf_counter()
    notes = _Notes(loaded.network, args)
    _name_passed_over(args, loaded.network.rate_out)
    try:
        with _progress_bar(pairs, args) as bar:
            found = (
                _one_by_one(pairs, options, runner, bar.update, notes)
                if runner
                else _in_processes(pairs, options, chosen, loaded, args, bar.update, notes)
            )
            for result in found:
                results.append(result)
                _report(result, args)
    except ChildProcessError as error:
        say(f"novasr: {message(error)}")
        return EXIT_SOME_FAILED
    finally:
        order = {pair: number for number, pair in enumerate(pairs)}
        results.sort(key=lambda result: order[result.source, result.target])
        _summarise(results, time.perf_counter() - start, args)
    return EXIT_SOME_FAILED if any(r.status == "failed" for r in results) else EXIT_DONE


def _can_take_processes(pairs: list[tuple[str, str]], network: Network, chosen: Any) -> bool:
    """Whether files can be done side by side."""
    shares_layers = network.compute.shares_layers and not chosen.exclusive
    is_piped = any(find.PIPE in pair for pair in pairs)
    return os.name == "posix" and len(pairs) > 1 and not (shares_layers or is_piped)


def _one_by_one(
    pairs: list[tuple[str, str]],
    options: Options,
    runner: Runner,
    progress: Callable[[float], object],
    notes: "_Notes",
) -> Iterator[Result]:
    """Yield the results of the files, in their order."""
    with runner:
        for source, target in pairs:
            yield convert(source, target, options, runner, progress, notes)


def _in_processes(
    pairs: list[tuple[str, str]],
    options: Options,
    chosen: Any,
    loaded: Weights,
    args: argparse.Namespace,
    progress: Callable[[float], object],
    notes: "_Notes",
) -> Iterator[Result]:
    """Yield the results of the files, as they come. Raises as `feeding.processes`."""
    cores = args.threads or available_cores()
    jobs = min(cores, len(pairs))
    if not chosen.exclusive:
        chosen = dataclasses.replace(chosen, threads=cores // jobs)
    job = feeding.Job(partial(_convert, options), _lost, chosen, *for_workers(args, loaded))
    try:
        for result in feeding.processes(job, pairs, jobs, progress):
            notes(result)
            yield result
    finally:
        # What a process that had to be killed has left.
        for folder in {Path(target).parent for _, target in pairs}:
            with suppress(OSError):
                remove_leftovers(folder)


def _convert(
    options: Options, runner: Runner, pair: tuple[str, str], progress: Callable[[float], object]
) -> Result:
    try:
        return convert(*pair, options, runner, progress)
    except Exception as error:  # whatever the error, the other files go on
        return _lost(pair, message(error))


def _lost(pair: tuple[str, str], error: str) -> Result:
    return Result(*pair, error=error)


def _plan(args: argparse.Namespace) -> tuple[list[tuple[str, str]], Options, Weights]:
    """Pair the sources with their targets, and prepare the options and the weights.

    Raises the error that wrong usage is.
    """
    loaded = weights.load_weights(args.weights, args.variant)
    network = loaded.network
    args.input = list(find.expand(args.input))
    out = args.output
    sources = list(find.find(args.input, args.recursive, network.rate_out))
    several = len(args.input) > 1 or os.path.isdir(args.input[0])
    is_folder = (
        out is not None
        and out != find.PIPE
        and (several or os.path.isdir(out) or out.endswith(("/", os.sep)))
    )
    is_file = out is not None and not is_folder
    if is_folder and formats.format_of(Path(out)) and not os.path.isdir(out):
        raise ValueError(f"several inputs, and -o {out} is the name of one file: give a folder")
    by_name = formats.format_of(Path(out)) if is_file else None
    if is_file and out != find.PIPE:
        if by_name is None and args.format is None:
            known = ", ".join(formats.FORMATS)
            raise ValueError(f"{out!r} is no name for {known}: give another, or --format")
        if by_name is not None and args.format not in (None, by_name):
            raise ValueError(f"{out!r} is a name for {by_name}, but --format is {args.format}")
    format = args.format or by_name or "wav"
    formats.check_format(format, args.subtype)

    paths = [out] if is_file else list(find.targets(sources, out, format, network.rate_out))
    owners: dict[str, str] = {}
    for (source, _), path in zip(sources, paths, strict=False):
        if path != find.PIPE and owners.setdefault(path, source) != source:
            raise ValueError(
                f"{owners[path]} and {source} would both become {path}: run them apart, each "
                "with its own -o"
            )
    if is_file and len(sources) != 1:
        raise ValueError("several inputs cannot go to one output")
    if [s for s, _ in sources].count(find.PIPE) > 1:
        raise ValueError("standard input can be read once only")
    if find.PIPE in args.input and sys.stdin.isatty():
        raise ValueError("standard input is a terminal, not audio")
    if find.PIPE in paths and sys.stdout.isatty():
        raise ValueError("standard output is a terminal: give -o FILE")
    if find.PIPE in paths and args.json:
        raise ValueError("--json and the audio both want standard output")
    if args.resampler == "soxr":
        import_soxr()
    if args.backend == "jax" and args.threads is not None:
        raise ValueError("--threads is for the numpy backend; JAX takes every core")
    options = Options(
        resampler=args.resampler,
        keep_lowband=args.keep_lowband,
        edge=args.edge,
        channels=args.channels,
        format=format,
        subtype=args.subtype,
        if_exists=args.if_exists,
    )
    pairs = [(source, path) for (source, _), path in zip(sources, paths, strict=True)]
    return pairs, options, loaded


def _progress_bar(pairs: list[tuple[str, str]], args: argparse.Namespace) -> Bar:
    """Progress bar in seconds of audio, on a terminal only."""
    hidden = args.quiet or args.json or not sys.stderr.isatty()
    total = 0.0 if hidden else sum(duration(Path(source)) for source, _ in pairs)
    return Bar(
        total=total,
        unit=" s",
        leave=False,
        disable=hidden,
        bar_format="{percentage:3.0f}% |{bar}| {n:.0f} of {total:.0f} s of audio "
        "[{elapsed}<{remaining}, {rate_noinv_fmt}]",
    )


def _report(result: Result, args: argparse.Namespace) -> None:
    if result.status == "failed":
        # Users of sox and ffmpeg may give the output as the last name.
        is_output = result.source == args.input[-1] and len(args.input) == 2 and not args.output
        hint = f"; if it is meant as the output: -o {result.source}"
        is_output = is_output and not os.path.lexists(result.source)
        say(f"novasr: {result.source}: {result.error}{hint if is_output else ''}")
    elif args.verbose:
        say(f"{result.source} -> {result.target}: {_speed([result], result.work_seconds)}")


class _Notes:
    """Notes for the user, before the work: what a file itself calls for, and where its sound ends.

    The latter on the first of several files of a kind, with --verbose on each.
    """

    def __init__(self, network: Network, args: argparse.Namespace) -> None:
        self._network = network
        self._loud = not (args.quiet or args.json)
        self._wanted = args.keep_lowband == "auto" and self._loud
        self._all = args.verbose
        self._told: set[str] = set()

    def __call__(self, result: Result) -> None:
        found, rate = result.band_edge is not None, result.sample_rate or 0
        ends = edge_note(self._network, rate, result.band_edge)
        notes = result.notes.split("; ") if result.notes else []
        if ends and not self._is_new("ends"):
            notes = [note for note in notes if note != ends]
        if notes and self._loud:
            say(f"{result.source}: {'; '.join(notes)}")
        # A sound without an end is worth a note only at a rate near the output's.
        if ends or not self._wanted or not (found or 3 * rate > 2 * self._network.rate_out):
            return
        if not self._is_new("found" if found else "full"):
            return
        kept = f"{(result.kept_below or 0) / 1000:.3g} kHz"
        if self._network.takes:
            say(
                f"{result.source}: has sound up to {rate / 2000:.3g} kHz: hardly anything will "
                "change (--edge 8000 renews all above 8 kHz)"
            )
        elif found:
            end = f"{(result.band_edge or 0) / 1000:.3g} kHz"
            say(
                f"{result.source}: its sound ends at {end}; all below {kept} is kept, and all "
                "above is new"
            )
        else:
            say(
                f"{result.source}: has sound up to {rate / 2000:.3g} kHz, and all below {kept} "
                "is kept: hardly anything will change (--keep-lowband 7000 renews all above 7 kHz)"
            )

    def _is_new(self, kind: str) -> bool:
        is_new = self._all or kind not in self._told
        self._told.add(kind)
        return is_new


def _name_passed_over(args: argparse.Namespace, rate_out: int) -> None:
    """Report the files that `-r` passed over, by kind."""
    if not (args.quiet or args.json):
        folders = filter(os.path.isdir, args.input)
        say_passed_over(sum((find.passed_over(f, rate_out) for f in folders), Counter()))


def _summarise(results: list[Result], seconds: float, args: argparse.Namespace) -> None:
    states = [result.status for result in results]
    counts = {state: states.count(state) for state in ("done", "skipped", "failed")}
    audio_seconds = sum(r.audio_seconds for r in results)
    if args.json:
        summary: dict[str, Any] = {
            **counts,
            "audio_seconds": audio_seconds,
            "work_seconds": seconds,
            "x_real_time": audio_seconds / seconds,
            "saturated": sum(r.saturated for r in results),
        }
        files = [dataclasses.asdict(result) for result in results]
        show_json({"files": files, "summary": summary})
    elif not args.quiet:
        text = ", ".join(f"{n} {state}" for state, n in counts.items() if n) or "nothing done"
        say(f"{text}: {_speed(results, seconds)}")
        if any(r.peak > 1 and r.subtype not in ("FLOAT", "DOUBLE") for r in results):
            say(
                "novasr: samples beyond full scale were clipped: "
                "--format wav --subtype FLOAT keeps them"
            )


def _speed(results: list[Result], seconds: float) -> str:
    audio_seconds = sum(r.audio_seconds for r in results)
    saturated = sum(r.saturated for r in results)
    return (
        f"{audio_seconds:.2f} s of audio in {seconds:.2f} s, "
        f"{audio_seconds / max(seconds, 1e-9):.1f} x real time, {saturated} samples saturated"
    )
