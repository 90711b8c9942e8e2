"""airband's speed beside NovaSR's, SpeechSR's and ONNX Runtime's on all three, in one run.

    python -m bench.airband [-o bench/AIRBAND.md]

Needs NOVASR_SHARED for the speech and SpeechSR's weights; ONNX Runtime runs our own exports, if it
is installed.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cpuinfo
import numpy as np
import soundfile

from bench.data import speech, upstream
from bench.report import quote
from bench.speechsr import ours_and_onnx
from novasr_np import Stream, load_weights
from novasr_np.networks import NETWORKS
from novasr_np.threads import available_cores

_SECONDS = 10  # of the clip that all take
_ROUNDS = {"novasr_np": 9, "novasr_jax": 5, "ONNX Runtime": 5}
_BASE = ("ONNX Runtime", "NovaSR")
_PUSHES = 3000


def weights() -> dict[str, dict]:
    """Network -> a set of weights of it."""
    return {
        "airband": load_weights("airband-1").params,
        "NovaSR": load_weights("novasr-open").params,
        "SpeechSR-48k": load_weights(upstream("speechsr/speechsr48k_G_100000.pth")).params,
    }


def clips(found: dict) -> Iterator[str]:
    """A table of everything on one clip."""
    x = speech(_SECONDS)
    yield f"A clip of {_SECONDS} s, medians:"
    yield ""
    yield "| | network | threads | x real time | x ONNX Runtime on NovaSR | max-abs |"
    yield "|---|---|---:|---:|---:|---:|"
    truth = {}
    for name, params in weights().items():
        truth[name] = NETWORKS[name].compute.forward(params, np.float64(x))
    for threads in sorted({1, available_cores()}):
        rows = []
        for name, params in weights().items():
            for peer, run in ours_and_onnx(params, threads):
                y = run(x)
                times = []
                for _ in range(_ROUNDS[peer] if name != "SpeechSR-48k" else 1):
                    start = time.perf_counter()
                    run(x)
                    times.append(time.perf_counter() - start)
                n = min(len(y), len(truth[name]))
                near = np.abs(y[:n] - truth[name][:n])[:-100].max()
                rows.append((peer, name, float(np.median(times)), near))
        base = {row[:2]: row[2] for row in rows}.get(_BASE, np.nan)
        for peer, name, t, error in rows:
            found[peer, name, threads] = _SECONDS / t
            rates = f"{_SECONDS / t:.1f} | {base / t:.1f}"
            yield f"| {peer} | {name} | {threads} | {rates} | {error:.1e} |"


def streams(found: dict) -> Iterator[str]:
    """The work of a push of 10 ms, one thread."""
    yield ""
    yield "Streams, pushed 10 ms at a time, one thread:"
    yield ""
    yield "| weights | latency, ms | median, ms | 99 of 100 within, ms |"
    yield "|---|---:|---:|---:|"
    x = speech(_SECONDS)
    for name in ("airband-live-1", "airband-1", "novasr-open"):
        stream, times = Stream(name), []
        for push in range(_PUSHES):
            first = 160 * push % (len(x) - 160)
            chunk = x[first : first + 160]
            start = time.perf_counter()
            stream.push(chunk)
            times.append(1e3 * (time.perf_counter() - start))
        median, most = np.percentile(times[100:], [50, 99])
        found[name] = median
        yield f"| {name} | {1e3 * stream.latency_seconds:.1f} | {median:.2f} | {most:.2f} |"


def an_hour(found: dict) -> Iterator[str]:
    """The command on an hour, from the start of the process to its end."""
    yield ""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.wav"), Path(folder, "out.wav")
        soundfile.write(source, np.resize(speech(60), 3600 * 16_000), 16_000)
        command = [*("-m", "novasr_np.cli", "upsample"), str(source), "-o", str(target), "-q"]
        code = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3)"
        )
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code, sys.executable, *command, "--weights", "airband-1"],
            check=True,
            capture_output=True,
            text=True,
        )
        taken = time.perf_counter() - start
        assert soundfile.info(target).frames == 3600 * 48_000
    yield (
        f"The command on an hour of WAV, file to file: {3600 / taken:.0f} x real time, "
        f"{float(done.stdout):.0f} MB at most."
    )


def _in_short(found: dict) -> Iterator[str]:
    """For the README."""
    ratio = found["novasr_np", "airband", 1] / found["ONNX Runtime", "NovaSR", 1]
    yield f"On one core airband is {ratio:.0f} times as fast as NovaSR in ONNX Runtime, and takes"
    yield f"{found['airband-live-1']:.2f} ms for each 10 ms of a stream."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    lines = [
        "# airband beside its peers",
        "",
        "Written by `python -m bench.airband`, all in one run on one machine. Errors are against",
        "the network's own float64, but for the last 100 samples, where the front door adds zeros.",
        "ONNX Runtime runs our own exports.",
        "",
        f"{cpuinfo.get_cpu_info()['brand_raw']}, {available_cores()} cores; numpy {np.__version__}",
        "",
    ]
    found: dict = {}
    for part in (clips, streams, an_hour):
        for line in part(found):
            print(line, flush=True)
            lines.append(line)
    if args.output:
        args.output.write_text("\n".join(lines) + "\n")
        quote("README.md", "airband", _in_short(found))


if __name__ == "__main__":
    main()
