"""The speed of networks on a CPU, numpy and JAX beside their peers, in one run.

    python -m bench.speed NETWORK... [-o FILE] [--seconds 10] [--rounds 3] [--long] [--tuned]

NETWORK is airband, novasr, speechsr, flashsr or inflect; `bench/peers` says what is timed of each.
Every engine has a process of its own, in turns, held to one core and then to all: there it opens
the weights, warms up and compiles, and is timed. SpeechSR and FlashSR need NOVASR_SHARED.

--long adds a long sound or text; --tuned adds rows with environment variables that leave no work
but the network's: threads that wait sleep, and memory that is freed is kept. Exits with 1, and
writes nothing, if an error is above what its subject allows.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from bench import peers
from bench.report import quote
from bench.timing import machine, on_cores, peak, table
from novasr_np import Stream
from novasr_np.threads import available_cores

_CALLS, _SECONDS = 15, 3.0  # an engine is timed at most so often, and not again after so long
_MOST = 1e-4  # of errors, where a subject does not say otherwise
_PUSHES = 3000
_TUNED = {
    "OMP_WAIT_POLICY": "passive",
    "OPENBLAS_THREAD_TIMEOUT": "4",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
}
_HOW = """\
Each engine ran in a process of its own, in turns; times are medians. `CPU s` are those of all its
threads for the sound once; `before` is opening, compiling and a first run; memory is the most that
the process held."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+", metavar="NETWORK")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--seconds", type=float, default=10, help="of the clip")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", help="instead of the usual ones")
    parser.add_argument("--long", action="store_true", help="an hour, too, or minutes of speech")
    parser.add_argument("--tuned", action="store_true", help="rows without waiting and clearing")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--into", help=argparse.SUPPRESS)
    args = parser.parse_args()
    subjects = [peers.find(name) for name in args.networks]
    for name, subject in zip(args.networks, subjects, strict=True):
        if subject is None:
            parser.error(f"no network {name!r}")
    if args.engine:
        print(json.dumps(measure(subjects[0], args)))
        return
    given = " ".join(sys.argv[1:]).partition(" -o ")[0]
    lines = [
        f"# Speed of {', '.join(s.name for s in subjects)}",
        "",
        f"Written by `python -m bench.speed {given}`, all in one run.",
        _HOW,
    ]
    lines += ["", f"{machine()}."]
    print("\n".join(lines))
    found: dict[tuple, float] = {}
    for subject in subjects:
        for line in section(subject, args, found):
            print(line, flush=True)
            lines.append(line)
    if args.output:
        args.output.write_text("\n".join(lines) + "\n")
        if {_OURS, _THEIRS, _PUSH} <= found.keys():
            quote("README.md", "airband", _in_short(found))


def section(
    subject: peers.Subject, args: argparse.Namespace, found: dict[tuple, float]
) -> Iterator[str]:
    """Tables of one network; x real time goes into `found`, by network, engine and threads."""
    yield from ("", f"## {subject.name}", "", *textwrap.wrap(subject.about, 100))
    with tempfile.TemporaryDirectory() as folder:
        weights = args.weights or subject.weights(Path(folder))
        runs = compare(subject, weights, folder, args)
        yield from rates(subject, runs, found)
        yield from parts(runs)
        if subject.streams:
            yield from streams(subject, found)
        if args.long and subject.long:
            yield from subject.long(weights)


def compare(
    subject: peers.Subject, weights: str, folder: str, args: argparse.Namespace
) -> dict[tuple[str, int], list[dict]]:
    """(engine, threads) -> what `measure` gave in each round, and the error."""
    runs: dict[tuple[str, int], list[dict]] = {}
    case = subject.case(subject.load(weights), args.seconds)
    into = f"{folder}/y.npy"
    command = [sys.executable, "-m", "bench.speed", subject.name, "--seconds", str(args.seconds)]
    command += ["--weights", weights, "--into", into]
    threads = (
        sorted({1, available_cores()}) if hasattr(os, "sched_setaffinity") else [os.cpu_count()]
    )
    settings = {"": {}, ", tuned": _TUNED} if args.tuned else {"": {}}
    missing: set[str] = set()
    for _, count, setting, engine in product(
        range(args.rounds), threads, settings, subject.engines
    ):
        if engine in missing:
            continue
        with on_cores(count):
            done = subprocess.run(
                [*command, "--engine", engine],
                stdout=subprocess.PIPE,
                env=os.environ | settings[setting],
                check=True,
            )
        result = json.loads(done.stdout)
        if "missing" in result:
            print(f"{engine} is left out: {result['missing']}", file=sys.stderr)
            missing.add(engine)
            continue
        y = np.load(into)
        result |= {"error": case.error(y), "seconds": y.shape[-1] / subject.sample_rate}
        most = subject.most.get(engine, _MOST)
        if not result["error"] <= most:
            sys.exit(f"{engine}: an error of {result['error']:.1e}; at most {most} is expected")
        runs.setdefault((engine + setting, count), []).append(result)
    return dict(sorted(runs.items(), key=lambda run: run[0][1]))


def measure(subject: peers.Subject, args: argparse.Namespace) -> dict[str, Any]:
    """What one engine takes, in this process: seconds by call and part, and memory."""
    params = subject.load(args.weights)
    x, short, _ = subject.case(params, args.seconds)
    start = time.perf_counter()
    try:
        run = subject.engines[args.engine](params, available_cores(), x)
    except ModuleNotFoundError as error:
        return {"missing": str(error)}
    if short is not None:
        y, _ = _timed(run, short)
    before = time.perf_counter() - start
    calls: list[dict] = []
    start = time.perf_counter()
    while not calls or (len(calls) < _CALLS and time.perf_counter() - start < _SECONDS):
        y, taken = _timed(run, x)
        calls.append(taken)
    np.save(args.into, y)
    return {"before": before, "calls": calls, "memory": peak() / 1e6}


def _timed(run: Any, x: Any) -> tuple[np.ndarray, dict[str, list[float]]]:
    """The output, and part -> seconds of all threads and by the clock."""
    taken, clocks = {}, _clocks()
    made = run(x)
    y = np.zeros(0)
    for part, given in [("", made)] if isinstance(made, np.ndarray) else made:
        y, now = given, _clocks()
        taken[part] = list(now - clocks)
        clocks = now
    return y, taken


def _clocks() -> np.ndarray:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return np.array([used.ru_utime + used.ru_stime, time.perf_counter()])


def rates(
    subject: peers.Subject,
    runs: dict[tuple[str, int], list[dict]],
    found: dict[tuple, float],
) -> Iterator[str]:
    """The table of all engines."""
    calls = {
        key: np.array([[*call.values()] for done in its for call in done["calls"]]).sum(axis=1)
        for key, its in runs.items()
    }
    rows = []
    for (engine, threads), its in runs.items():
        cpu, wall = np.median(calls[engine, threads], axis=0)
        rate = found[subject.name, engine, threads] = its[0]["seconds"] / wall
        base = calls.get((subject.base, threads))
        ratio = f"{np.median(base[:, 1]) / wall:.2f}" if base is not None else ""
        before = np.median([done["before"] for done in its])
        memory, error = (max(done[name] for done in its) for name in ("memory", "error"))
        last = f"{cpu:.3g}", f"{before:.1f}", f"{memory:.0f}", f"{error:.1e}"
        rows.append((engine, threads, f"{rate:.3g}", ratio, *last))
    columns = ("", "threads", "x real time", f"x {subject.base}", "CPU s", "before, s")
    yield from ("", f"{next(iter(runs.values()))[0]['seconds']:.2f} s of sound:")
    yield from table((*columns, "memory, MB", "error"), rows)


def parts(runs: dict[tuple[str, int], list[dict]]) -> Iterator[str]:
    """Parts down, engines across, if an engine has several; on all cores."""
    most = max(threads for _, threads in runs)
    cost: dict[str, dict[str, float]] = {}  # engine -> part -> seconds
    for (engine, threads), its in runs.items():
        if threads == most:
            calls = [call for done in its for call in done["calls"]]
            cost[engine] = {p: float(np.median([c[p][0] for c in calls])) for p in calls[0]}
    names = dict.fromkeys(part for taken in cost.values() for part in taken if part)
    if names:
        rows = ([p, *(f"{t[p]:.2f}" if p in t else "" for t in cost.values())] for p in names)
        yield from table(["CPU s", *cost], rows)


def streams(subject: peers.Subject, found: dict[tuple, float]) -> Iterator[str]:
    """The work of a push of 10 ms, one thread."""
    yield from ("", "Streams, pushed 10 ms at a time, one thread:")
    rows = []
    for name in subject.streams:
        stream, times = Stream(name), []
        x = np.random.default_rng(0).uniform(-0.1, 0.1, (100, 160)).astype(np.float32)
        for push in range(_PUSHES):
            start = time.perf_counter()
            stream.push(x[push % len(x)])
            times.append(1e3 * (time.perf_counter() - start))
        median, most = np.percentile(times[100:], [50, 99])
        found[name, "ms"] = float(median)
        rows.append((name, f"{1e3 * stream.latency_seconds:.1f}", f"{median:.2f}", f"{most:.2f}"))
    yield from table(("weights", "latency, ms", "median, ms", "99 of 100 within, ms"), rows)


_OURS, _THEIRS = ("airband", "novasr_np", 1), ("NovaSR", "ONNX Runtime", 1)
_PUSH = ("airband-live-2", "ms")


def _in_short(found: dict[tuple, float]) -> Iterator[str]:
    """For the README."""
    ratio = found[_OURS] / found[_THEIRS]
    yield f"On one core airband is {ratio:.0f} times as fast as NovaSR in ONNX Runtime, and takes"
    yield f"{found[_PUSH]:.2f} ms for each 10 ms of a stream."


if __name__ == "__main__":
    main()
