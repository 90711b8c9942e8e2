"""What the benches share: the machine's name, tables, clocks, memory and processes."""

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from novasr_np.threads import available_cores


def processor() -> str:
    import cpuinfo  # noqa: PLC0415 (the extra bench brings it)

    return cpuinfo.get_cpu_info().get("brand_raw") or platform.machine()


def versions() -> str:
    """Python's and those of what computes, as far as it is installed."""
    found = [f"Python {platform.python_version()}"]
    for name in ("numpy", "jax", "onnxruntime", "torch", "soundfile"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def machine() -> str:
    """A line that names the processor, its cores and the versions."""
    return f"{processor()}, {available_cores()} cores; {versions()}"


def table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """A table in Markdown, of which all columns but the first are numbers; an empty line first."""
    columns = tuple(columns)
    yield from ("", f"| {' | '.join(columns)} |", f"|---|{'---:|' * (len(columns) - 1)}")
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


def peak(process: int | str = "self") -> int:
    """The most memory that a process has held, in bytes; 0 if it has ended.

    Not by `getrusage`, which begins with what the process had that started this one.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    _, found, held = status.partition("VmHWM:")
    return 1024 * int(held.split()[0]) if found else 0


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Inside the block, processes that start may use so many cores."""
    if count == available_cores():
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Ran(NamedTuple):
    """What became of a process."""

    seconds: float
    megabytes: float  # the most that it held


def python(*arguments: str) -> Ran:
    """Run Python on these arguments, from its start to its end.

    By way of a small process: what a process held before it became another one counts, too.
    """
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3)"
    )
    command = [sys.executable, "-c", code, sys.executable, *arguments]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Ran(time.perf_counter() - start, float(done.stdout.split()[-1]))
