"""The ``novasr`` command."""

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from tqdm import tqdm

from . import __version__, audio, job, weights
from .crossover import cutoff
from .interrupts import held
from .resample import RESAMPLERS, import_soxr
from .spec import SAMPLE_RATE_IN, UPSTREAM_CHECKPOINTS
from .stream import Stream

EXIT_DONE, EXIT_SOME_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130

_RAW: dict[str, np.dtype] = {
    "f32": np.dtype("<f4"),
    "s16": np.dtype("<i2"),
}  # samples on the pipes of `stream`
_FULL_BAND = 44_100  # Hz: inputs from here on have little that the network could add
_READ_BYTES = 1 << 16  # at most, from a pipe at a time

_UPSAMPLE_NOTES = """\
The output is <input's stem>_48k.wav beside the input unless -o says otherwise. With several
inputs, or a folder, -o is a folder and gets the same tree. "-" is standard input or output.
A file appears under its name only when it is complete.

exit status: 0 all done (or skipped as asked), 1 some inputs failed (each is named, the rest are
done), 2 wrong usage, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: the process's) and return its exit status."""
    _open_closed_streams()
    options = _parser().parse_args(argv)
    # So that temporary files go when a job scheduler or a closed terminal ends the run, too.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number))
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        _say("novasr: interrupted")
        return EXIT_INTERRUPTED
    except OSError as error:
        # Of standard output alone; files are dealt with one by one. Keep Python from complaining
        # once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            _say(f"novasr: standard output: {error.strerror}")
        return EXIT_SOME_FAILED


def _open_closed_streams() -> None:
    """Where a standard stream was closed (``>&-``), open an empty one, or one that fails.

    Otherwise the next file to be opened would take its number, and get the messages.
    """
    for number, name, flags in (
        (0, "stdin", os.O_RDONLY),
        (1, "stdout", os.O_RDONLY),  # so that writing fails: the audio would be lost unnoticed
        (2, "stderr", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            _open_null(number, flags)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def _open_null(number: int, flags: int) -> None:
    null = os.open(os.devnull, flags)
    if null != number:
        os.dup2(null, number)
        os.close(null)


def _say(text: str) -> None:
    """A message to standard error; if that cannot take it, the work goes on all the same."""
    with contextlib.suppress(OSError):
        tqdm.write(text, file=sys.stderr)
        sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="novasr", description="Speech at 16 kHz (or any rate) to 48 kHz.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"novasr {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    p = commands.add_parser(
        "upsample",
        help="audio files to 48 kHz",
        description="Upsample audio files to 48 kHz.",
        epilog=_UPSAMPLE_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.set_defaults(run=_upsample)
    p.add_argument("input", nargs="+", metavar="INPUT", help="audio file, folder (with -r) or -")
    p.add_argument("-o", "--output", metavar="OUT", help="file, folder or -")
    p.add_argument(
        "-r",
        "--recursive",
        action="store_true",
        help="take all audio below folders, but for files named *_48k",
    )
    _add_network(p)
    p.add_argument(
        "--channels",
        choices=("each", "first", "mono"),
        default="each",
        help="each on its own (default), the first only as the original does, or their mean",
    )
    p.add_argument("--format", choices=tuple(audio.FORMATS), help="default: by OUT's name, or wav")
    p.add_argument("--subtype", help="libsndfile's name of the coding, such as PCM_24 or FLOAT")
    p.add_argument("--if-exists", choices=("error", "skip", "overwrite"), default="error")
    j = p.add_argument_group("the JAX backend (extra jax)")
    j.add_argument("--backend", choices=("numpy", "jax"), default="numpy", help="default: numpy")
    j.add_argument("--device", choices=("cpu", "gpu", "tpu"), help="default: JAX's own choice")
    j.add_argument(
        "--precision",
        choices=("highest", "high", "fp16", "bf16"),
        help="of the large products; default: highest, float32",
    )
    j.add_argument(
        "--batch", type=_positive, metavar="N", help="rows computed at once, default: by device"
    )
    j.add_argument(
        "--segment", type=_positive, metavar="N", help="samples at 16 kHz in a row, likewise"
    )
    j.add_argument(
        "--compilation-cache", metavar="DIR", help="where compiled programs are kept for next time"
    )
    loud = p.add_mutually_exclusive_group()
    loud.add_argument("-q", "--quiet", action="store_true", help="only failures")
    loud.add_argument("-v", "--verbose", action="store_true", help="a line for each file")
    loud.add_argument("--json", action="store_true", help="results as JSON on standard output")

    p = commands.add_parser(
        "stream",
        help="raw samples from standard input to standard output, as they come",
        description="Upsample raw little-endian samples, channels interleaved, as they come.",
        epilog="arecord -t raw -f S16_LE -r 16000 | novasr stream --input s16 --output s16 | "
        "aplay -t raw -f S16_LE -r 48000",
        allow_abbrev=False,
    )
    p.set_defaults(run=_stream, threads=1)
    _add_network(p)
    p.add_argument("--rate", type=_positive, default=SAMPLE_RATE_IN, metavar="HZ", help="of input")
    p.add_argument("--channels", type=_positive, default=1, metavar="N")
    p.add_argument("--input", choices=tuple(_RAW), default="f32", help="default: f32")
    p.add_argument("--output", choices=tuple(_RAW), default="f32", help="default: f32")

    w = commands.add_parser("weights", help="look at weights, or convert the original's")
    actions = w.add_subparsers(required=True, metavar="ACTION")
    p = actions.add_parser("show", help="tensors, parameter count and sha256 of a weights file")
    p.set_defaults(run=_show)
    p.add_argument("file", metavar="FILE", help="name or path")
    p = actions.add_parser("convert", help="the original's .bin to safetensors", allow_abbrev=False)
    p.set_defaults(run=_convert)
    p.add_argument("input", metavar="IN.bin")
    p.add_argument("output", metavar="OUT.safetensors")
    p.add_argument("--licence", help="goes into the file; known for the original's own")
    p.add_argument("--if-exists", choices=("error", "overwrite"), default="error")
    return parser


def _add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights",
        metavar="FILE",
        default=os.environ.get("NOVASR_WEIGHTS") or None,
        help="name or path, .safetensors or the original's .bin (default: $NOVASR_WEIGHTS, "
        f"else {weights.DEFAULT})",
    )
    parser.add_argument("--resampler", choices=RESAMPLERS, default="upstream", help="to 16 kHz")
    parser.add_argument(
        "--keep-lowband",
        type=_band,
        default=True,
        metavar="HZ",
        help="put back what the input itself has below HZ; auto (default) for nearly all that its "
        "sampling rate can hold, 7/16 of it; off for the network alone",
    )
    parser.add_argument("--threads", type=_positive, metavar="N", help="default: one per core")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def _band(text: str) -> bool | float:
    if text in ("auto", "off"):
        return text == "auto"
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected auto, off or Hz, got {text!r}") from None


def _upsample(args: argparse.Namespace) -> int:
    try:
        pairs, options = _plan(args)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        _usage(error)
    results: list[job.Result] = []
    start = time.perf_counter()
    taken: set[str] = set()
    try:
        with _progress_bar(pairs, args) as bar:
            for source, target in pairs:
                if target in taken:
                    result = job.Result(source, target)
                    result.error = f"{target} is another input's output already: give it its own -o"
                else:
                    result = job.run(source, target, options, bar.update)
                if result.status != "failed":
                    taken.add(target)
                results.append(result)
                _report(result, args)
    finally:
        _summarise(results, time.perf_counter() - start, args)
    return EXIT_SOME_FAILED if any(r.status == "failed" for r in results) else EXIT_DONE


def _plan(args: argparse.Namespace) -> tuple[list[tuple[str, str]], job.Options]:
    """Sources with their targets, and the options; raises what makes the usage wrong."""
    sources = list(job.find(args.input, args.recursive))
    out = args.output
    several = len(args.input) > 1 or os.path.isdir(args.input[0])
    is_folder = (
        out is not None
        and out != job.PIPE
        and (several or os.path.isdir(out) or out.endswith(("/", os.sep)))
    )
    is_file = out is not None and not is_folder
    by_name = audio.format_of(Path(out)) if is_file else None
    if is_file and out != job.PIPE:
        if by_name is None and args.format is None:
            raise ValueError(f"cannot tell a format from the name {out!r}: give --format")
        if by_name is not None and args.format not in (None, by_name):
            raise ValueError(f"{out!r} is a name for {by_name}, but --format is {args.format}")
    format = args.format or by_name or "wav"
    audio.check_format(format, args.subtype)

    paths = [out] if is_file else list(job.targets(sources, out, format))
    if is_file and len(sources) != 1:
        raise ValueError("several inputs cannot go to one output")
    if [s for s, _ in sources].count(job.PIPE) > 1:
        raise ValueError("standard input can be read once only")
    if job.PIPE in args.input and sys.stdin.isatty():
        raise ValueError("standard input is a terminal, not audio")
    if job.PIPE in paths and sys.stdout.isatty():
        raise ValueError("standard output is a terminal: give -o FILE")
    if job.PIPE in paths and args.json:
        raise ValueError("--json and the audio both want standard output")
    if args.resampler == "soxr":
        import_soxr()
    _check_backend(args)
    params = weights.load_weights(args.weights)
    options = job.Options(
        weights=params,
        resampler=args.resampler,
        keep_lowband=args.keep_lowband,
        channels=args.channels,
        format=format,
        subtype=args.subtype,
        if_exists=args.if_exists,
        threads=args.threads,
        **(_jax(args, params) if args.backend == "jax" else {}),
    )
    return [(source, path) for (source, _), path in zip(sources, paths, strict=True)], options


def _check_backend(args: argparse.Namespace) -> None:
    """Raises what makes the choice of a backend and its options wrong."""
    if args.backend == "jax":
        if importlib.util.find_spec("jax") is None:
            raise ModuleNotFoundError("--backend jax needs JAX: pip install 'novasr-np[jax]'")
        if args.threads is not None:
            raise ValueError("--threads is for the numpy backend; JAX takes every core")
        return
    for name in ("device", "precision", "batch", "segment", "compilation_cache"):
        if getattr(args, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} needs --backend jax")


def _jax(args: argparse.Namespace, params: weights.Params) -> dict[str, Any]:
    """The options of a job that has JAX compute."""
    import jax  # noqa: PLC0415

    from novasr_jax import segments  # noqa: PLC0415

    if args.compilation_cache is not None:
        jax.config.update("jax_compilation_cache_dir", args.compilation_cache)
        # These programs compile faster than what JAX by default thinks worth keeping.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    net = segments.network(
        params,
        batch=args.batch,
        segment=args.segment,
        precision=args.precision or "highest",
        devices=args.device,
    )
    return {
        "run": partial(segments.run, net),
        "chunk": net.batch * net.segment,
        "segment": net.segment,
    }


def _progress_bar(pairs: list[tuple[str, str]], args: argparse.Namespace) -> tqdm:
    """A bar in seconds of audio, on a terminal only."""
    hidden = args.quiet or args.json or not sys.stderr.isatty()
    total = 0.0 if hidden else sum(audio.seconds(Path(source)) for source, _ in pairs)
    return tqdm(
        total=total,
        unit=" s",
        leave=False,
        disable=hidden,
        bar_format="{percentage:3.0f}% |{bar}| {n:.0f} of {total:.0f} s of audio "
        "[{elapsed}<{remaining}, {rate_noinv_fmt}]",
    )


def _report(result: job.Result, args: argparse.Namespace) -> None:
    if result.status == "failed":
        _say(f"novasr: {result.source}: {result.error}")
    elif args.verbose:
        _say(f"{result.source} -> {result.target}: {_rate([result])}")


def _summarise(results: list[job.Result], seconds: float, args: argparse.Namespace) -> None:
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
        _say(f"{text}: {_rate(results)}")
        rate = max((r.sample_rate or 0 for r in results if r.status == "done"), default=0)
        if args.keep_lowband is True and rate >= _FULL_BAND:
            kept = cutoff(True, rate) or 0.0
            _say(
                f"novasr: of inputs at {rate / 1000:g} kHz all below {kept / 1000:.3g} kHz stays; "
                "are they muffled? then --keep-lowband 7000"
            )


def _rate(results: list[job.Result]) -> str:
    audio_seconds = sum(r.audio_seconds for r in results)
    seconds = sum(r.work_seconds for r in results)
    saturated = sum(r.saturated for r in results)
    return (
        f"{audio_seconds:.2f} s of audio in {seconds:.2f} s, "
        f"{audio_seconds / max(seconds, 1e-9):.1f} x real time, {saturated} samples saturated"
    )


def _stream(args: argparse.Namespace) -> int:
    try:
        stream = Stream(
            args.weights,
            args.rate,
            args.channels,
            resampler=args.resampler,
            keep_lowband=args.keep_lowband,
            threads=args.threads,
        )
    except (OSError, ValueError, ModuleNotFoundError, MemoryError) as error:
        _usage(error)
    dtype, out = _RAW[args.input], _RAW[args.output]
    frame = dtype.itemsize * args.channels
    rest = b""
    try:
        while True:
            data = os.read(sys.stdin.fileno(), _READ_BYTES)
            rest += data
            whole = len(rest) - len(rest) % frame
            x = np.frombuffer(rest[:whole], dtype).reshape(-1, args.channels).T
            rest = rest[whole:]
            with held():
                y = stream.push(x, last=not data).T
            if out.kind == "i":
                y = np.clip(np.rint(y * 32767), -32768, 32767)
            sys.stdout.buffer.write(y.astype(out).tobytes())
            sys.stdout.buffer.flush()
            if not data:
                break
        if rest:
            raise ValueError(f"input ended inside a frame: {len(rest)} of its {frame} bytes came")
    except (ValueError, MemoryError) as error:
        _say(f"novasr: {error}")
        return EXIT_SOME_FAILED
    return EXIT_DONE


def _show(args: argparse.Namespace) -> int:
    try:
        path = weights.weights_path(args.file)
        tensors, metadata = weights.read_weights(path)
    except (OSError, ValueError) as error:
        _usage(error)
    sha256 = weights.file_sha256(path)
    for name, value in tensors.items():
        shape = " x ".join(map(str, value.shape))
        print(f"{name:30} {shape:12} {value.dtype}  {value.min():+.4f} .. {value.max():+.4f}")
    trained, total = weights.parameter_counts(tensors)
    print(f"parameters  {trained:,} trained, {total:,} with the filters")
    print(f"sha256      {sha256}")
    if sha256 in UPSTREAM_CHECKPOINTS:
        print(f"published   {UPSTREAM_CHECKPOINTS[sha256]}")
    for key, text in sorted(metadata.items()):
        print(f"{key:11} {text}")
    return EXIT_DONE


def _convert(args: argparse.Namespace) -> int:
    try:
        if args.if_exists == "error" and os.path.lexists(args.output):
            raise FileExistsError(f"{args.output} exists: see --if-exists")
        if os.path.exists(args.output) and os.path.samefile(args.input, args.output):
            raise ValueError(f"{args.output} would replace its own input")
        params = weights.load_weights(Path(args.input))
        sha256 = weights.file_sha256(args.input)
        published = UPSTREAM_CHECKPOINTS.get(sha256)
        licence = args.licence or (published and "Apache-2.0")
        if not licence:
            raise ValueError(f"{args.input} is no published checkpoint: give its --licence")
        weights.save_weights(
            params,
            args.output,
            provenance=f"{published or 'checkpoint'}, converted from sha256 {sha256}",
            licence=licence,
        )
    except (OSError, ValueError) as error:
        _usage(error)
    return EXIT_DONE


def _usage(error: Exception) -> NoReturn:
    _say(f"novasr: {error}")
    sys.exit(EXIT_USAGE)


if __name__ == "__main__":
    sys.exit(main())
