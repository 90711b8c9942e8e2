"""A corpus job of 500 files: what kills leave of it, how fast it is, how much memory it takes.

``python -m bench.corpus`` prints a page like ``bench/CORPUS.md``. The material is made up: buzzes
in many formats, rates and lengths, one file in twenty bad. Last come manifests of a million rows,
which ``--files 0`` tries alone.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow
import soundfile
from pyarrow import parquet

from novasr_np import upsample
from novasr_np.corpus import ledger
from novasr_np.threads import available_cores

CODINGS = (
    *(("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("flac", "PCM_16")),
    *(("flac", "PCM_24"), ("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III"), ("aiff", "PCM_16")),
)
RATES = (8000, 16_000, 22_050, 24_000, 44_100, 48_000)
KILLS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--rows", type=int, default=1_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="novasr-bench-") as folder:
        os.chdir(folder)
        if not args.files:
            manifests(args.rows)
            return
        good, seconds = make(Path("in"), args.files)
        print("# A corpus job\n")
        print(
            f"By `python -m bench.corpus --files {args.files}` on {available_cores()} cores "
            f"({processor()}): {args.files} files of many formats, rates and lengths, "
            f"{args.files - good} of them bad, {seconds / 3600:.2f} h.\n"
        )
        killed(good)
        rates()
        full_disk()
        manifests(args.rows)


def processor() -> str:
    """Its name, where Linux tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return "processor unknown"


def make(folder: Path, count: int) -> tuple[int, float]:
    """Files from 0 samples to 20 minutes; gives how many are good, and their seconds."""
    rng = random.Random(0)
    total, bad = 0.0, 0
    for i in range(count):
        suffix, subtype = rng.choice(CODINGS)
        path = folder / f"{i % 7}" / f"{i:03}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if i % 20 == 19:
            make_bad(path.with_suffix(".wav"), bad)
            bad += 1
            continue
        rate, channels = rng.choice(RATES), rng.choice((1, 1, 1, 2))
        seconds = {0: 1200.0, 1: 0.0, 2: 180.0, 3: 1e-4}.get(i, rng.lognormvariate(1.0, 0.8))
        if i < 4:
            path, subtype = path.with_suffix(".wav"), "PCM_16"
            rate, channels = (16_000, 1) if i == 0 else (rate, channels)
        samples = round(seconds * rate)
        soundfile.write(path, buzz(samples, rate, channels, rng), rate, subtype=subtype)
        total += seconds
    return count - bad, total


def buzz(samples: int, rate: int, channels: int, rng: random.Random) -> np.ndarray:
    t = np.arange(samples)[:, None] / rate
    pitch = np.array([rng.uniform(90, 250) for _ in range(channels)])
    x = sum(np.sin(2 * np.pi * k * pitch * t) / k for k in range(1, 20))
    return np.float32(0.15 * x * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t)))


def make_bad(path: Path, kind: int) -> None:
    """Text, nothing, NaN, half a file, a link to nowhere, in turn."""
    if kind % 5 == 0:
        path.write_text("no audio")
    elif kind % 5 == 1:
        path.touch()
    elif kind % 5 == 2:
        soundfile.write(path, np.full(1000, np.nan), 16_000, subtype="FLOAT")
    elif kind % 5 == 3:
        soundfile.write(path, np.zeros(1000), 16_000)
        path.write_bytes(path.read_bytes()[:900])
    else:
        path.symlink_to("nowhere")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "novasr_np.cli", *arguments]


def corpus(out: str, *arguments: str) -> list[str]:
    return command("corpus", "in", out, "--format", "wav", *arguments)


def targets(out: str) -> dict[str, tuple[int, int]]:
    return {
        str(p.relative_to(out)): (p.stat().st_ino, p.stat().st_mtime_ns)
        for p in Path(out).rglob("*.wav")
        if ".novasr" not in p.parts
    }


def killed(good: int) -> None:
    """kill -9 at random moments, resume, and compare with the single command."""
    single = command("upsample", "-r", "in", "-o", "single", "--format", "wav", "-q")
    start = time.perf_counter()
    subprocess.run(single, check=False, stderr=subprocess.DEVNULL)
    whole = time.perf_counter() - start
    rng = random.Random(1)
    again, partial, logged = 0, 0, {}
    print("| kill -9 after | targets there | of them logged |\n|---:|---:|---:|")
    for _ in range(KILLS):
        process = subprocess.Popen(corpus("out"), stderr=subprocess.DEVNULL)
        moment = rng.uniform(2, whole / KILLS)
        time.sleep(moment)
        process.kill()
        process.wait()
        time.sleep(1)
        there = targets("out")
        again += sum(there[name] != stamp for name, stamp in logged.items())
        partial += sum(not same(name) for name in there)
        done = [r["target"] for r in ledger.load_results("out").values() if r["status"] == "done"]
        logged = {name: there[name] for name in done}
        print(f"| {moment:.1f} s | {len(there)} | {len(logged)} |")
    status = subprocess.run(corpus("out", "-q"), stderr=subprocess.DEVNULL, check=False).returncode
    there = targets("out")
    again += sum(there[name] != stamp for name, stamp in logged.items())
    rows = [json.loads(line) for line in Path("out", ledger.RESULTS).read_text().splitlines()]
    states = [row["status"] for row in rows]
    reasons = sum(bool(row["error"]) for row in rows if row["status"] == "failed")
    left = [p for p in Path("out", ".novasr").rglob("*") if p.name != "lock"]
    print(
        f"\nThen to the end: exit status {status}, {len(rows)} rows, {states.count('done')} done "
        f"({good} good files), {states.count('failed')} failed, with a reason {reasons}.\n\n"
        f"- targets that differ from what `novasr upsample` writes: "
        f"{sum(not same(name) for name in there)}; such at any kill: {partial}\n"
        f"- logged as done, and written again: {again}\n"
        f"- unfinished files left: {len(left)}\n"
    )
    shutil.rmtree("out")
    memory = Memory(corpus("out", "-q"))
    memory.wait()
    fifth = max(1, len(memory.megabytes) // 5)
    peaks = [max(memory.megabytes[k * fifth :][:fifth]) for k in range(5)]
    print(
        "Memory of the driver and its workers, MB, the most in each fifth of an unbroken run: "
        f"{', '.join(f'{peak:.0f}' for peak in peaks)}.\n"
    )


def same(name: str) -> bool:
    source = Path(name)
    single = Path("single", source.parent, f"{source.stem}_48k.wav")
    return single.exists() and single.read_bytes() == Path("out", name).read_bytes()


class Memory:
    """A command, and how much memory it and its children hold, every half second."""

    def __init__(self, line: list[str]) -> None:
        self._process = subprocess.Popen(line, stderr=subprocess.DEVNULL)
        self.megabytes: list[float] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        self._process.wait()
        self._thread.join()

    def _watch(self) -> None:
        while self._process.poll() is None:
            self.megabytes.append(sum(private(pid) for pid in family(self._process.pid)) / 1e6)
            time.sleep(0.5)


def family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(p for child in children for p in family(int(child)))]


def private(pid: int) -> int:
    """Bytes in memory that no other process shares."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Private_"))


def held_at_most(pid: int) -> int:
    """Bytes of memory that a process has held at its most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def rates() -> None:
    """One job, two jobs, and the bare computing, on 48 files of 10 s."""
    shutil.rmtree("in")
    Path("in").mkdir()
    rng = random.Random(2)
    xs = [buzz(160_000, 16_000, 1, rng) for _ in range(48)]
    for i, x in enumerate(xs):
        soundfile.write(f"in/{i}.wav", x, 16_000)
    upsample(xs[0].T, 16_000, keep_lowband=True, threads=1)
    spent: dict[str, list[float]] = {"bare": [], "1": [], "2": []}
    for _ in range(3):
        for name, times in spent.items():
            shutil.rmtree("out", ignore_errors=True)
            start = time.perf_counter()
            if name == "bare":
                for x in xs:
                    upsample(x.T, 16_000, keep_lowband=True, threads=1)
            else:
                line = ["corpus", "in", "out", "--jobs", name, "-q"]
                subprocess.run(command(*line), check=True)
            times.append(time.perf_counter() - start)
    bare, one, two = (min(times) for times in spent.values())
    print(
        f"48 files of 10 s as FLAC, best of three: `--jobs 2` is {one / two:.2f} x as fast as "
        f"`--jobs 1`, which takes {one / bare:.2f} x the bare computing (`upsample` on one "
        "thread): starting, reading, encoding and fsync are in it.\n"
    )


def full_disk() -> None:
    """A target on a file system of 3 MB, and one that is read-only, where we may mount them."""
    cases = (
        ("size=3m", "of 3 MB", "numpy"),
        ("size=3m", "of 3 MB", "jax"),
        ("ro", "read-only", "numpy"),
    )
    for option, what, backend in cases:
        Path("small").mkdir(exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", option, "tmpfs", "small"]
        if subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode:
            print(f"A disk {what}: not tried, mounting is not allowed here.\n")
            continue
        try:
            line = command("corpus", "in", "small/out", "--format", "wav", "--jobs", "2", "-q")
            line += ["--backend", backend]
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            there = list(Path("small/out").glob("*.wav"))
            whole = [p for p in there if soundfile.info(p).frames == 480_000]
            print(
                f"A disk {what}, by {backend}: exit status {done.returncode}, "
                f"`{done.stderr.strip()}`; {len(there)} targets, {len(whole)} of them whole.\n"
            )
        finally:
            subprocess.run(["umount", "small"], check=True)


def manifests(count: int) -> None:
    """Manifests of so many rows, of which three are to be done; and what cannot begin."""
    Path("long/clips").mkdir(parents=True)

    def names() -> Iterator[str]:  # a list would count as memory of the processes forked below
        return (f"clips/speaker_{i // 1000:04}_{i:07}.wav" for i in range(count))

    for name in islice(names(), 3):
        soundfile.write(f"long/{name}", buzz(16_000, 16_000, 1, random.Random(3)), 16_000)
    for path, last in (("long/list.csv", []), ("long/twice.csv", [next(names())])):
        with open(path, "w") as file:
            file.writelines(f"{line}\n" for line in chain(["source"], names(), last))
    with open("long/list.jsonl", "w") as file:
        file.writelines(f'{{"id": {i}, "source": "{name}"}}\n' for i, name in enumerate(names()))
    table = pyarrow.table({"source": pyarrow.array(names(), size=count)})
    parquet.write_table(table, "long/list.parquet")
    print(
        f"Manifests of {count:,} rows, of which three are done: seconds of the clock, seconds of "
        f"the CPU and the most memory of the process that plans, MB; load {os.getloadavg()[0]:.0f}."
    )
    print("\n| | s | CPU s | MB |\n|---|---:|---:|---:|")
    for name, *options in (
        ("list.csv", "--limit", "3"),
        ("list.jsonl", "--limit", "3"),
        ("list.parquet", "--limit", "3"),
        ("twice.csv", "--limit", "3"),
        ("list.csv", "--dry-run"),
    ):
        shutil.rmtree("long/out", ignore_errors=True)
        line = command("corpus", f"long/{name}", "long/out", "-q", *options)
        start = time.perf_counter()
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peak = 0.0  # not by getrusage, which counts what this process held at the fork
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            peak = max(peak, held_at_most(process.pid) / 1e6)
            time.sleep(0.02)
        _, process.returncode, used = ended
        clock, cpu = time.perf_counter() - start, used.ru_utime + used.ru_stime
        print(f"| `{name} {' '.join(options)}` | {clock:.1f} | {cpu:.1f} | {peak:.0f} |")
    print()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
