"""`novasr upsample`: audio files to 48 kHz."""

import argparse
import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .. import weights
from ..blocks import Runner
from ..dsp.crossover import cutoff
from ..dsp.resample import import_soxr
from ..files import audio, find
from ..files.convert import Options, Result, convert
from .messages import EXIT_DONE, EXIT_SOME_FAILED, say, usage
from .options import add_backend, add_network, backend, positive

_FULL_BAND = 44_100  # Hz: inputs from here on have little that the network could add

_NOTES = """\
The output is <input's stem>_48k.wav beside the input unless -o says otherwise. With several
inputs, or a folder, -o is a folder and gets the same tree. "-" is standard input or output.
A file appears under its name only when it is complete.

exit status: 0 all done (or skipped as asked), 1 some inputs failed (each is named, the rest are
done), 2 wrong usage, 130 interrupted
"""


def add(commands: Any) -> None:
    """The command and its options."""
    p = commands.add_parser(
        "upsample",
        help="audio files to 48 kHz",
        description="Upsample audio files to 48 kHz.",
        epilog=_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    p.add_argument("input", nargs="+", metavar="INPUT", help="audio file, folder (with -r) or -")
    p.add_argument("-o", "--output", metavar="OUT", help="file, folder or -")
    p.add_argument(
        "-r",
        "--recursive",
        action="store_true",
        help="take all audio below folders, but for files named *_48k",
    )
    add_network(p)
    p.add_argument("--threads", type=positive, metavar="N", help="default: one per core")
    p.add_argument(
        "--channels",
        choices=("each", "first", "mono"),
        default="each",
        help="each on its own (default), the first only as the original does, or their mean",
    )
    p.add_argument("--format", choices=tuple(audio.FORMATS), help="default: by OUT's name, or wav")
    p.add_argument("--subtype", help="libsndfile's name of the coding, such as PCM_24 or FLOAT")
    p.add_argument("--if-exists", choices=("error", "skip", "overwrite"), default="error")
    add_backend(p)
    loud = p.add_mutually_exclusive_group()
    loud.add_argument("-q", "--quiet", action="store_true", help="only failures")
    loud.add_argument("-v", "--verbose", action="store_true", help="a line for each file")
    loud.add_argument("--json", action="store_true", help="results as JSON on standard output")


def _main(args: argparse.Namespace) -> int:
    try:
        pairs, options, runner = _plan(args)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        usage(error)
    results: list[Result] = []
    start = time.perf_counter()
    taken: set[str] = set()
    try:
        with runner, _progress_bar(pairs, args) as bar:
            for source, target in pairs:
                if target in taken:
                    result = Result(source, target)
                    result.error = f"{target} is another input's output already: give it its own -o"
                else:
                    result = convert(source, target, options, runner, bar.update)
                if result.status != "failed":
                    taken.add(target)
                results.append(result)
                _report(result, args)
    finally:
        _summarise(results, time.perf_counter() - start, runner.network.rate_out, args)
    return EXIT_SOME_FAILED if any(r.status == "failed" for r in results) else EXIT_DONE


def _plan(args: argparse.Namespace) -> tuple[list[tuple[str, str]], Options, Runner]:
    """Sources with their targets, the options, and what computes; raises what is wrong usage."""
    params = weights.load_weights(args.weights)
    network = weights.network_of(params)
    sources = list(find.find(args.input, args.recursive, network.rate_out))
    out = args.output
    several = len(args.input) > 1 or os.path.isdir(args.input[0])
    is_folder = (
        out is not None
        and out != find.PIPE
        and (several or os.path.isdir(out) or out.endswith(("/", os.sep)))
    )
    is_file = out is not None and not is_folder
    by_name = audio.format_of(Path(out)) if is_file else None
    if is_file and out != find.PIPE:
        if by_name is None and args.format is None:
            raise ValueError(f"cannot tell a format from the name {out!r}: give --format")
        if by_name is not None and args.format not in (None, by_name):
            raise ValueError(f"{out!r} is a name for {by_name}, but --format is {args.format}")
    format = args.format or by_name or "wav"
    audio.check_format(format, args.subtype)

    paths = [out] if is_file else list(find.targets(sources, out, format, network.rate_out))
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
        channels=args.channels,
        format=format,
        subtype=args.subtype,
        if_exists=args.if_exists,
    )
    pairs = [(source, path) for (source, _), path in zip(sources, paths, strict=True)]
    return pairs, options, backend(args, args.threads).open(network, params)


def _progress_bar(pairs: list[tuple[str, str]], args: argparse.Namespace) -> tqdm:
    """A bar in seconds of audio, on a terminal only."""
    hidden = args.quiet or args.json or not sys.stderr.isatty()
    total = 0.0 if hidden else sum(audio.duration(Path(source)) for source, _ in pairs)
    return tqdm(
        total=total,
        unit=" s",
        leave=False,
        disable=hidden,
        bar_format="{percentage:3.0f}% |{bar}| {n:.0f} of {total:.0f} s of audio "
        "[{elapsed}<{remaining}, {rate_noinv_fmt}]",
    )


def _report(result: Result, args: argparse.Namespace) -> None:
    if result.status == "failed":
        say(f"novasr: {result.source}: {result.error}")
    elif args.verbose:
        say(f"{result.source} -> {result.target}: {_speed([result])}")


def _summarise(
    results: list[Result], seconds: float, rate_out: int, args: argparse.Namespace
) -> None:
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
        print(json.dumps({"files": files, "summary": summary}, indent=2))
    elif not args.quiet:
        text = ", ".join(f"{n} {state}" for state, n in counts.items() if n) or "nothing done"
        say(f"{text}: {_speed(results)}")
        rate = max((r.sample_rate or 0 for r in results if r.status == "done"), default=0)
        if args.keep_lowband is True and rate >= _FULL_BAND:
            kept = cutoff(True, rate, rate_out) or 0.0
            say(
                f"novasr: of inputs at {rate / 1000:g} kHz all below {kept / 1000:.3g} kHz stays; "
                "if they are muffled, give --keep-lowband 7000"
            )


def _speed(results: list[Result]) -> str:
    audio_seconds = sum(r.audio_seconds for r in results)
    seconds = sum(r.work_seconds for r in results)
    saturated = sum(r.saturated for r in results)
    return (
        f"{audio_seconds:.2f} s of audio in {seconds:.2f} s, "
        f"{audio_seconds / max(seconds, 1e-9):.1f} x real time, {saturated} samples saturated"
    )
