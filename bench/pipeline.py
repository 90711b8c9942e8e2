"""Time whole corpora, from file to file, by the number of worker processes.

    python -m bench.pipeline [--stand-in | --numpy | --device KIND] [--minutes M] [--jobs 1 2 ..]
        [--formats flac wav] [--kinds clips long] [--kills N] [--folder DIR]

prints a page like ``bench/PIPELINE.md``, a line a run, each ending in N x real time. The material
is made up: buzzes in noise at 16 kHz, PCM_16, in clips of 3 to 15 s or in files of an hour; many
names are links to few files.

--stand-in, the default, takes the place of a device by one that answers at once: it gives each
sample three times, so that all the rest is what is timed. --device: cpu, gpu or tpu, by JAX.
--numpy: each worker computes itself, and the command does one long file, on one core and on all.

--kills: a worker, the device's process and the whole run are killed in turn, so often each.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import soundfile

from bench.timing import machine
from novasr_np.corpus import feeding, ledger, manifest
from novasr_np.corpus.plan import Task, make_plan
from novasr_np.corpus.worker import job_of, run_rows
from novasr_np.files.convert import Options
from novasr_np.files.reading import reading
from novasr_np.files.writing import writing
from novasr_np.pipeline import backend
from novasr_np.pipeline.feed import Piece
from novasr_np.pipeline.look import look
from novasr_np.pipeline.runner import Runner
from novasr_np.samples import count_saturated, peak
from novasr_np.threads import available_cores
from novasr_np.weights import Weights, load_weights

RATE = 16_000
DISTINCT = 20 * 60  # seconds of made-up sound; all files are links to it
HOUR = 3600


@dataclass(frozen=True)
class StandIn:
    """Backend that answers at once: each sample as often as there are outputs for it."""

    exclusive: ClassVar[bool] = True
    segment: int = 4 * RATE
    rows: int = 32

    def open(self, weights: Weights, dtype: Any = np.float32) -> Runner:
        network = weights.network
        chunk = self.rows * self.segment
        return Runner(
            *(network, None, dtype, repeat, self.segment, chunk),
            multiple=self.segment,
            int16=True,
        )


def repeat(pieces: list[Piece]) -> None:
    for piece in pieces:
        network = piece.network
        times = network.rate_out // network.rate_in
        skip = piece.skip if piece.at_end else network.at(network.cut.left)
        x = piece.x[skip // times :][: len(piece.y) // times]
        if piece.int16:
            piece.int16.add(peak(x), times * count_saturated(x))
            x = piece.int16.rule(x)
        piece.y.reshape(-1, times)[:] = x[:, None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--stand-in", action="store_true", help="a device that answers at once")
    which.add_argument("--numpy", action="store_true")
    which.add_argument("--device", help="cpu, gpu or tpu, by JAX")
    parser.add_argument("--minutes", type=float, help="of sound in each run")
    cores = available_cores()
    jobs = sorted({1, 2, cores} if cores < 4 else {1, cores // 4, cores})
    parser.add_argument("--jobs", type=int, nargs="+", default=jobs)
    parser.add_argument("--formats", nargs="+", choices=("flac", "wav"), default=["flac", "wav"])
    parser.add_argument("--kinds", nargs="+", choices=("clips", "long"), default=["clips", "long"])
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--folder", help="where files are made; default: the system's")
    args = parser.parse_args()
    minutes = args.minutes or {"gpu": 3000, "tpu": 3000, "cpu": 20}.get(
        args.device, 20 if args.numpy else 300
    )
    asked = "--numpy" if args.numpy else f"--device {args.device}" if args.device else "--stand-in"
    with tempfile.TemporaryDirectory(prefix="novasr-bench-", dir=args.folder) as folder:
        os.chdir(folder)
        print("# Whole corpora\n")
        asked = f"--kills {args.kills}" if args.kills else f"{asked} --minutes {minutes:g}"
        print(f"By `python -m bench.pipeline {asked}` on {machine()}.\n")
        print("CPU seconds are user's and the system's. The clock runs from the first process to")
        print("the last row of the log, so the start of all processes is in it.\n", flush=True)
        if args.kills:
            kills(args.kills)
            return
        chosen = chosen_backend(args)
        for format in args.formats:
            for kind in args.kinds:
                made = make(Path(f"{format}-{kind}"), format, kind, minutes * 60)
                for count in args.jobs:
                    show(run(made, format, chosen, count))
                if args.numpy and kind == "long":
                    for line in one_file(next(made.iterdir())):
                        show(line)
                shutil.rmtree(made)
        for line in stages(args.formats):
            show(line)


def show(line: str) -> None:
    print(f"- {line}", flush=True)


def chosen_backend(args: argparse.Namespace) -> Any:
    if args.numpy:
        return backend.Backend(1)
    if args.device:
        from novasr_jax.backend import Backend  # noqa: PLC0415

        return Backend(device=args.device, precision="high")
    return StandIn()


def make(folder: Path, format: str, kind: str, seconds: float) -> Path:
    """Fill a folder with files that last so long together; gives the folder."""
    folder.mkdir()
    rng = random.Random(0)
    noise = np.random.default_rng(0)
    if kind == "clips":
        lengths = [rng.uniform(3, 15) for _ in range(round(DISTINCT / 9))]
    else:
        lengths = [min(HOUR, seconds / 2)]
    originals: list[tuple[Path, float]] = []
    left, number = seconds, 0
    while left > 0:
        length = lengths[number % len(lengths)]
        path = folder / f"{number:06}.{format}"
        if number < len(lengths):
            originals.append((path, length))
            soundfile.write(path, buzz(round(length * RATE), rng, noise), RATE)
        else:
            os.link(originals[number % len(lengths)][0], path)
        left -= length
        number += 1
    return folder


def buzz(samples: int, rng: random.Random, noise: np.random.Generator) -> np.ndarray:
    """A voice-like buzz in noise whose level moves, int16."""
    t = np.arange(samples) / RATE
    pitch = 2 * np.pi * rng.uniform(90, 250) * t
    x = 0.02 * noise.standard_normal(samples)
    for k in range(1, 12):
        x += 0.15 * np.sin(k * pitch) / k
    return np.int16(20_000 * x * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * t)))


class Spent(NamedTuple):
    """CPU seconds, and most megabytes held, of the processes of a name."""

    seconds: float
    megabytes: float


def spent(name: str) -> Spent:
    """What this process's children of that name have spent until now."""
    seconds, held = 0.0, 0.0
    for child in multiprocessing.active_children():
        if child.name != name or child.pid is None:
            continue
        with suppress(OSError):
            fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
            seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            held += megabytes(child.pid)
    return Spent(seconds, held)


def megabytes(pid: int | str) -> float:
    """What a process holds, its share of what several hold. Raises OSError if it is gone."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.partition("\nPss:")[2].split()[0]) / 1e3


def task_of(chosen: Any, format: str, staging: str) -> Task:
    options = Options(format=format, if_exists="overwrite")
    return Task("out", staging, options, load_weights(), chosen, "weights", "settings")


def run(source: Path, format: str, chosen: Any, jobs: int) -> str:
    """Do a corpus once, and tell how fast."""
    began, own = time.perf_counter(), time.process_time()
    rows = sorted(manifest.read_rows(str(source), format), key=lambda row: -row.bytes)
    rows = [manifest.measured(row) for row in rows]
    failed: list[str] = []
    parts: dict[str, Spent] = {}
    done, audio = 0, 0.0

    def engine(task: Task, left: Any) -> Iterator[ledger.Result]:
        nonlocal done, audio
        with closing(feeding.processes(job_of(task), left, jobs)) as found:
            for result in found:
                done, audio = done + 1, audio + result["audio_seconds"]
                if result["error"]:
                    failed.append(result["error"])
                if done == len(rows):  # while the processes are there
                    parts.update((name, spent(name)) for name in ("worker", "device"))
                    parts["main"] = Spent(time.process_time() - own, megabytes("self"))
                yield result

    with Busy() as busy, ledger.Ledger("out") as log:
        run_rows(rows, task_of(chosen, format, str(log.staging)), log, engine, lambda _: None)
        seconds = time.perf_counter() - began
    assert not failed, failed[0]
    shutil.rmtree("out")
    device = f", {parts['device'].seconds:.1f} s in the device's" if chosen.exclusive else ""
    memory = sum(part.megabytes for part in parts.values())
    of_device = f", device busy {busy.share:.0%} of the time" if busy.share is not None else ""
    many = f"{len(rows)} files of {audio / len(rows):.0f} s"
    return (
        f"{format.upper()} to {format.upper()}, {many}, {jobs} worker{'s'[: jobs > 1]}: "
        f"{seconds:.1f} s; CPU {parts['worker'].seconds:.1f} s in the workers' processes{device}, "
        f"{parts['main'].seconds:.1f} s in the main one; {memory:.0f} MB{of_device}: "
        f"{audio / seconds:,.0f} x real time"
    )


def one_file(path: Path) -> Iterator[str]:
    """One file by the command, on one core and on all."""
    command = [sys.executable, "-m", "novasr_np", "upsample", str(path), "-f", "-q"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    seconds, cores = soundfile.info(path).duration, sorted(os.sched_getaffinity(0))
    one = 0.0
    for count in sorted({1, len(cores)}):
        began = time.perf_counter()
        subprocess.run(
            [*command, "-o", f"one{path.suffix}"],
            env=environment,
            check=True,
            preexec_fn=partial(os.sched_setaffinity, 0, cores[:count]),
        )
        took = time.perf_counter() - began
        one = one or took
        format = path.suffix[1:].upper()
        yield (
            f"{format} to {format}, one file of {seconds:.0f} s by `novasr upsample`, {count} "
            f"core{'s'[: count > 1]}: {took:.1f} s, {one / took:.2f} x one core: "
            f"{seconds / took:,.0f} x real time"
        )


class Busy:
    """Share of the time in which an NVIDIA device computes, where its tool tells it."""

    def __enter__(self) -> "Busy":
        self.share: float | None = None
        self._process = None
        if shutil.which("nvidia-smi"):
            query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
            self._process = subprocess.Popen(
                [*query, "--loop-ms=200"], stdout=subprocess.PIPE, text=True
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.terminate()
            told, _ = self._process.communicate()
            percents = [int(line) for line in told.split() if line.isdigit()]
            self.share = sum(percents) / len(percents) / 100 if percents else None


def stages(formats: list[str]) -> Iterator[str]:
    """What one core does of each stage alone, with clips of 3 to 15 s."""
    network = load_weights().network
    for format in formats:
        folder = make(Path(f"stages-{format}"), format, "clips", DISTINCT)
        paths = sorted(folder.iterdir())

        def decode(path: Path) -> None:
            with reading(path) as source:
                for _ in source.blocks():
                    pass

        def look_at(path: Path) -> None:
            with reading(path) as source:
                look(network, source.blocks, source.sample_rate, source.channels)

        y = np.repeat(np.float32(buzz(9 * RATE, random.Random(1), np.random.default_rng(1))), 3)
        y = y[None] / 32768

        def encode(_: Path, format: str = format, y: np.ndarray = y) -> None:
            with writing(Path(f"y.{format}"), 3 * RATE, 1, format, "PCM_16") as file:
                file.write(y)

        for name, work in (("decode", decode), ("decode and look", look_at), ("encode", encode)):
            cpu = time.process_time()
            for path in paths:
                work(path)
            cpu = time.process_time() - cpu
            audio = 9 * len(paths) if work is encode else DISTINCT
            each = 1e3 * cpu / len(paths)
            what = f"{name} {format.upper()} alone: CPU {each:.2f} ms a clip"
            yield f"{what}: {audio / cpu:,.0f} x real time"
        shutil.rmtree(folder)


def corpus(source: str, jobs: int) -> None:
    """Do a corpus with the stand-in, as the command does; in a process that may be killed."""
    rows = manifest.read_rows(source, "flac")

    def engine(task: Task, left: Any) -> Iterator[ledger.Result]:
        return feeding.processes(job_of(task), left, jobs)

    task = task_of(StandIn(), "flac", "")
    left = make_plan(rows, ledger.load_results("out"), task).left
    with ledger.Ledger("out") as log:
        run_rows(left, replace(task, staging=str(log.staging)), log, engine, lambda _: None)


VICTIMS = ("a worker", "the device's process", "the whole run")


class Killed(NamedTuple):
    """What kills have left, which should be nothing."""

    kills: int = 0
    lost: int = 0  # files that were not made in the end, or not as without kills
    partial: int = 0  # files that were there, and not whole, after a kill
    again: int = 0  # files that were logged as done, and made again
    left: int = 0  # unfinished files, processes, and names in /dev/shm

    def plus(self, **more: int) -> "Killed":
        return self._replace(**{name: getattr(self, name) + n for name, n in more.items()})


def killed(seconds: float, seed: int) -> Killed:
    """Kill each of `VICTIMS` once, in any order and at any moment, of a corpus of so many seconds.

    In the current folder, which gets "in", "want" and "out".
    """
    rng = random.Random(seed)
    source = Path("in") if Path("in").exists() else make(Path("in"), "flac", "clips", seconds)
    command = [
        sys.executable,
        "-c",
        f"from bench.pipeline import corpus; corpus({str(source)!r}, 2)",
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    shared = shared_names()

    def start() -> subprocess.Popen:
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    def files() -> dict[str, Path]:
        return {path.name: path for path in Path("out").glob("*.flac")}

    if not Path("want").exists():
        assert start().wait() == 0
        shutil.rmtree(Path("out", ledger.STATE))
        os.rename("out", "want")
    count = sum(1 for _ in Path("want").glob("*.flac"))
    found = Killed()
    logged: dict[str, tuple[int, int]] = {}
    process = start()
    order = rng.sample(VICTIMS, len(VICTIMS))
    for number, victim in enumerate(order):
        wanted = count * (number + rng.random()) / (len(order) + 1)
        while len(files()) < wanted and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.05))
        family = [process.pid, *children(process.pid)]
        if len(family) < 3:  # it has just ended, or begun
            continue
        found = found.plus(kills=1)
        if victim == "a worker":
            with suppress(ProcessLookupError):
                os.kill(rng.choice(family[2:]), signal.SIGKILL)
            continue
        os.kill(family[1 if victim == "the device's process" else 0], signal.SIGKILL)
        process.wait()
        found = found.plus(left=len(still_there(family)))
        found = found.plus(partial=sum(not same(path) for path in files().values()))
        stamps = {name: stamp(path) for name, path in files().items()}
        found = found.plus(again=sum(stamps[name] != stamp for name, stamp in logged.items()))
        results = ledger.load_results("out").values()
        logged = {
            row["target"]: stamps[row["target"]] for row in results if row["status"] == "done"
        }
        process = start()
    family = [process.pid, *children(process.pid)]
    process.wait()
    if process.returncode:  # the last victim may have been a worker that was about to end
        assert start().wait() == 0
    made = files()
    found = found.plus(
        lost=count - sum(same(path) for path in made.values()),
        again=sum(stamp(made[name]) != before for name, before in logged.items()),
        left=len(still_there(family)) + len(shared_names() - shared),
    )
    unfinished = [path for path in Path("out", ledger.STATE).rglob("*") if path.name != "lock"]
    shutil.rmtree("out")
    return found.plus(left=len(unfinished))


def same(path: Path) -> bool:
    return Path("want", path.name).read_bytes() == path.read_bytes()


def stamp(path: Path) -> tuple[int, int]:
    """What would change if a file were written again."""
    return path.stat().st_ino, path.stat().st_mtime_ns


def shared_names() -> set[str]:
    folder = Path("/dev/shm")
    return set(os.listdir(folder)) if folder.is_dir() else set()


def children(pid: int) -> list[int]:
    """The processes that multiprocessing has started for another, in their order."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and b"spawn_main" in (folder / "cmdline").read_bytes():
                found.append((int(fields[19]), int(folder.name)))
    return [pid for _, pid in sorted(found)]


def still_there(pids: list[int], seconds: float = 10.0) -> list[int]:
    """Those of the processes that do not end within so many seconds."""
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kills(rounds: int) -> None:
    found = [killed(1200, seed) for seed in range(rounds)]
    total = Killed(*map(sum, zip(*found, strict=True)))
    print(
        f"In {rounds} runs over clips of {1200 // 60} min {', '.join(VICTIMS)} were killed in any "
        f"order, {total.kills} in all: {total.lost} files lost, {total.partial} not whole, "
        f"{total.again} made again that were logged as done, {total.left} unfinished files, "
        "processes and shared memories left."
    )


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
