"""FlashSR's cost and error, one window of 5.12 s: numpy and JAX beside torch, in one run.

    python -m bench.flashsr [--rounds 1] [--weights FILE] [-o bench/FLASHSR.md]

Needs NOVASR_SHARED, for the original's outputs. Weights are drawn as for these, 2.5 GB, and each
engine maps the same file, in a process of its own. Exits with 1 and no table if an engine's error
is above 1e-4. --small takes a small FlashSR and 0.64 s instead.
"""

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import cpuinfo
import numpy as np

from bench.data import SHARED
from novasr_np.networks.flashsr import load, model, spec
from novasr_np.networks.flashsr.mel import denormalise, level
from novasr_np.networks.record import Level, Params
from novasr_np.tensors import nest
from novasr_np.threads import available_cores, sharing

SMALL = spec.Sizes(mels=128, latent=8, vae=32, unet=32, vocoder=96)
_MOST = 1e-4  # error, max-abs over the original's standard deviation
_READY = "preparing"  # what an engine yields before it is timed

# The last of the model's stages in each part, and what the part is called.
_PARTS = {
    "mel": "spectrogram",
    "cond": "encoder",
    "x0": "U-Net",
    "mel_out": "decoder",
    "wave": "vocoder",
}

Parts = Iterator[tuple[str, np.ndarray]]


class Case(NamedTuple):
    """What is computed, and what the original gave in float64."""

    sizes: spec.Sizes
    x: np.ndarray  # [1, T] float32
    noise: np.ndarray  # [1, Z, T / 3840, M / 8] float32
    places: np.ndarray  # of the samples that are compared
    value: np.ndarray  # what they are
    deviation: float  # standard, of all samples


def case(small: bool) -> Case:
    if small:
        golden = golden_file("small")
        x, noise, y = (golden[f"e2e.{name}"][:1] for name in ("audio_int16", "x_T", "mean.wave"))
        places, value, deviation = np.arange(y.size), y[0], y.std()
    else:
        golden = golden_file("full")
        x, noise = golden["audio"][np.newaxis], drawn("x_T", (1, 16, 64, 32))
        places, value, deviation = (golden[f"wave.{name}"] for name in ("index", "value", "stats"))
        deviation = deviation[1]
    x, noise = (x / 32768).astype(np.float32), noise.astype(np.float32)
    return Case(SMALL if small else spec.FULL, x, noise, places, value, float(deviation))


def golden_file(which: str) -> dict[str, np.ndarray]:
    path = SHARED / "golden" / f"flashsr_{which}.npz"
    if not path.exists():
        sys.exit(f"no file {path}: set NOVASR_SHARED to the folder with the reference material")
    with np.load(path) as file:
        return dict(file)


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of the reference outputs' weights: a function of its name and shape."""
    digest = hashlib.sha256(f"{name}|{shape}".encode()).digest()
    z = np.random.default_rng(int.from_bytes(digest[:8], "little")).standard_normal(shape)
    if name.endswith(".bias"):
        z *= 0.1
    elif name.endswith((".alpha", ".beta")):
        z *= 0.2
    elif name.endswith(".weight_g"):
        size = 0.3 if name == "conv_post.weight_g" else 0.5 if ".convs2." in name else 1
        z = size * (1 + 0.1 * z)
    elif name.endswith(".weight") and len(shape) == 1:
        z = 1 + 0.1 * z
    elif name.endswith(".weight"):
        z /= np.sqrt(np.prod(shape[1:]))
    return z.astype(np.float32)


def draw(sizes: spec.Sizes, path: Path) -> None:
    """Write all weights as one file."""
    taps = golden_file("small")["voc.filter"]
    states = {
        file: {
            name: taps.reshape(shape).astype(np.float32)
            if name.endswith(".filter")
            else drawn(name, shape)
            for name, shape in table.items()
        }
        for file, table in spec.original_tensors(sizes).items()
    }
    params = {
        "vae": nest(states["vae.pth"]),
        "unet": nest(states["student_ldm.pth"])["model"],
        "vocoder": nest(load.folded(states.pop("sr_vocoder.pth"))),
    }
    load.save(params, path)


def in_numpy(params: Params, x: np.ndarray, noise: np.ndarray) -> Parts:
    with sharing():
        for _ in model.stages(params, *_short(x, noise)):
            pass
        yield _READY, x
        for name, y in model.stages(params, x, noise):
            if name in _PARTS:
                yield _PARTS[name], y


def in_torch(params: Params, x: np.ndarray, noise: np.ndarray) -> Parts:
    import torch  # noqa: PLC0415

    from bench import flashsr_torch  # noqa: PLC0415

    torch.set_num_threads(available_cores())
    p = flashsr_torch.prepare(params)

    def parts(x: np.ndarray, noise: np.ndarray) -> Parts:
        given, own = _given(params, x, noise)
        yield "spectrogram", given.mel
        arrays = (torch.from_numpy(a) for a in (given.normalised, given.mel, given.noise))
        for name, y in flashsr_torch.stages(p, *arrays):
            yield name, denormalise(y.numpy(), own) if name == "vocoder" else y.numpy()

    for _ in parts(*_short(x, noise)):
        pass
    yield _READY, x
    yield from parts(x, noise)


def _short(x: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first 0.64 s, for what an engine does but once."""
    return x[:, : spec.STEP], np.ascontiguousarray(noise[:, :, :8])


def in_jax(params: Params, x: np.ndarray, noise: np.ndarray) -> Parts:
    import jax  # noqa: PLC0415

    from novasr_jax.networks.flashsr import model as network  # noqa: PLC0415

    p = network.fold(params, place=jax.device_put)
    inputs = network.inputs(_given(params, x, noise)[0])
    run = jax.jit(partial(network.forward, precision="highest")).lower(p, *inputs).compile()
    yield _READY, x
    given, own = _given(params, x, noise)
    yield "spectrogram", given.mel
    yield "all behind it", denormalise(np.asarray(run(p, *network.inputs(given))), own)


def _given(params: Params, x: np.ndarray, noise: np.ndarray) -> tuple[model.Inputs, Level]:
    """What the networks take, and the level that they do not know."""
    own = level(x.astype(np.float64))
    given = model.prepare(spec.sizes_of(params), x, own, noise)
    return given, Level(*(part.astype(x.dtype) for part in own))


_HOW = """
One window in float32, each engine in a process of its own, in turns. CPU seconds are those of all
its threads; kernel seconds, which go into fresh memory, are among them; wall seconds are noisy
where others work beside. Tuned is by environment variables: threads that wait sleep instead of
spinning, and freed memory is kept instead of being given back and cleared again. What an engine
does but once, compiling or a first 0.64 s of sound, is `before` and in no other column. Memory is
the most that the process had, the mapped weights included. Errors are max-abs against the original
in float64, over its standard deviation.
"""

_ENGINES = {"numpy": in_numpy, "jax": in_jax, "torch": in_torch}  # by their packages

# As they come; and so that seconds of CPU are work alone: threads that wait sleep, and memory that
# is freed is kept. Else torch's threads spin, and the kernel clears memory afresh in each layer.
_SETTINGS = {
    "As installed": {},
    "Tuned": {
        "OMP_WAIT_POLICY": "passive",
        "OPENBLAS_THREAD_TIMEOUT": "4",
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    },
}


def measure(engine: str, weights: Path, small: bool) -> dict:
    """One window by one engine: seconds by part as `_clocks` has them, memory and error."""
    _, x, noise, places, value, deviation = case(small)
    params = load.load(weights)
    taken, made = {}, []
    clocks = _clocks()
    for part, y in _ENGINES[engine](params, x, noise):
        now = _clocks()
        taken[part] = list(now - clocks)
        clocks = now
        made.append(y)
    error = np.abs(np.float64(made[-1][0, places]) - value).max() / deviation
    # Not by `getrusage`, which begins with what the process had that started this one.
    status = Path("/proc/self/status").read_text()
    memory = int(status.split("VmHWM:")[1].split()[0]) / 1e6
    return {"parts": taken, "memory": memory, "error": float(error)}


def _clocks() -> np.ndarray:
    """Seconds [3]: of all threads, of these in the kernel, and by the clock."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return np.array([used.ru_utime + used.ru_stime, used.ru_stime, time.perf_counter()])


def run(engine: str, weights: Path, small: bool, setting: str) -> dict:
    command = [sys.executable, "-m", "bench.flashsr", "--engine", engine]
    command += ["--weights", str(weights), *(["--small"] if small else [])]
    environment = os.environ | _SETTINGS[setting]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout) if done.returncode == 0 else sys.exit(f"{engine} failed")


def table(runs: dict[str, list[dict]], seconds: float) -> Iterator[str]:
    """Engines down, then parts down and engines across; medians of the rounds."""
    total, cost = {}, {}  # by engine; by engine and part
    for engine, its in runs.items():
        taken = np.array([[*done["parts"].values()] for done in its])  # [round, part, clock]
        total[engine] = np.median(taken[:, 1:].sum(axis=1), axis=0)  # without what is done once
        cost[engine] = dict(zip(its[0]["parts"], np.median(taken, axis=0), strict=True))
    columns = ("CPU s", "torch / this", "kernel s", "wall s", "x real time", "before, s")
    yield f"| | {' | '.join(columns)} | memory, GB | error |"
    yield f"|---|{'---:|' * 8}"
    for engine, its in runs.items():
        cpu, kernel, wall = total[engine]
        ratio = f"{total['torch'][0] / cpu:.2f}" if "torch" in total else ""
        memory, error = (max(done[name] for done in its) for name in ("memory", "error"))
        yield (
            f"| {engine} | {cpu:.1f} | {ratio} | {kernel:.1f} | {wall:.1f} | {seconds / wall:.3f} "
            f"| {cost[engine].pop(_READY)[-1]:.1f} | {memory:.2f} | {error:.1e} |"
        )
    yield ""
    yield f"| CPU s | {' | '.join(runs)} |"
    yield f"|---|{'---:|' * len(runs)}"
    for part in dict.fromkeys(part for parts in cost.values() for part in parts):
        cells = [f"{parts[part][0]:.1f}" if part in parts else "" for parts in cost.values()]
        yield f"| {part} | {' | '.join(cells)} |"


def about(args: argparse.Namespace) -> Iterator[str]:
    chip = cpuinfo.get_cpu_info().get("brand_raw", "an unknown processor")
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{n} {importlib.metadata.version(n)}" for n in _ENGINES if _installed(n)]
    flags = f" --rounds {args.rounds}{' --small' * args.small}"
    yield "# FlashSR"
    yield ""
    yield f"Written by `python -m bench.flashsr{flags}`, all in one run: {chip},"
    yield f"{available_cores()} cores, {', '.join(versions)}."
    yield ""
    yield from textwrap.wrap(_HOW, 100)
    yield ""


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--weights", type=Path, help="where they are drawn to, or have been")
    parser.add_argument("--small", action="store_true", help="a quick check")
    parser.add_argument("--engine", choices=_ENGINES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine:
        print(json.dumps(measure(args.engine, args.weights, args.small)))
        return
    given = case(args.small)
    engines = [engine for engine in _ENGINES if _installed(engine)]
    runs: dict[str, dict[str, list[dict]]] = {
        setting: {engine: [] for engine in engines} for setting in _SETTINGS
    }
    with tempfile.TemporaryDirectory() as folder:
        weights = args.weights or Path(folder) / "flashsr.safetensors"
        if not weights.exists():
            draw(given.sizes, weights)
        for _, setting, engine in product(range(args.rounds), _SETTINGS, engines):
            done = run(engine, weights, args.small, setting)
            if not done["error"] <= _MOST:
                sys.exit(f"{engine}: error {done['error']:.1e}, at most {_MOST:.0e} expected")
            runs[setting][engine].append(done)
    lines = [*about(args)]
    for setting, its in runs.items():
        lines += [f"## {setting}", "", *table(its, given.x.shape[1] / spec.SAMPLE_RATE), ""]
    print("\n".join(lines))
    if args.output:
        args.output.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
