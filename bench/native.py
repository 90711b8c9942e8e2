"""The engine in C beside numpy, ONNX Runtime and WebAssembly, on one core.

    python -m bench.native [-o bench/NATIVE.md] [--seconds 10] [--rounds 7] [--blocks 100000]

Needs a C compiler; ONNX Runtime, Node.js and sizes on ARM (arm-linux-gnueabihf-gcc and qemu-arm)
are left out where they are not installed. A table's systems take turns; their times are medians
over the rounds. --small prints what small machines need and nothing else, in a second.
"""

import argparse
import gc
import importlib.util
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from bench.ladspa import Instance, descriptors
from bench.peers import upsamplers
from bench.timing import machine, table
from novasr_np import Stream, load_weights, resample, web
from novasr_np.native import build
from novasr_np.native.binding import Channel, Model, library
from novasr_np.networks.airband import spec as airband
from novasr_np.networks.novasr import spec as novasr
from novasr_np.weights import DEFAULT, LIVE, convert_weights, weights_path

_ROOT = Path(__file__).parents[1]
_EDGE = 8000  # Hz, where all that is timed ends
_BLOCK = 64  # samples
_QUANTILES = {"median": 0.5, "999 of 1000": 0.999, "worst": 1.0}
_KINDS = {"airband": DEFAULT, "airband-live": LIVE, "NovaSR": "novasr-open"}

Run = Callable[[np.ndarray], tuple[np.ndarray, float]]  # x -> y, and the seconds that it took


class Case(NamedTuple):
    """Weights on an input."""

    name: str
    weights: str
    rate: int  # Hz
    piece: int  # samples that a push takes
    stream: bool = False  # numpy's by the piece, too


_CASES = (
    Case("airband, 16 kHz in", DEFAULT, 16_000, 4800),
    Case("airband, 48 kHz in", DEFAULT, 48_000, 4800),
    Case("airband-live, 16 kHz in, by 10 ms", LIVE, 16_000, 160, stream=True),
    Case("airband-live, 48 kHz in, by 10 ms", LIVE, 48_000, 480, stream=True),
    Case("NovaSR, 16 kHz in", "novasr-open", 16_000, 4800),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--seconds", type=int, default=10, help="of the clip")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--blocks", type=int, default=100_000, help="that are timed one by one")
    parser.add_argument("--small", action="store_true", help="operations and sizes alone")
    args = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder), args.seconds, args.rounds, args.blocks
        for line in small(Path(folder)) if args.small else report(*settings):
            print(line, flush=True)
            lines.append(line)
    if args.output:
        args.output.write_text("\n".join(lines) + "\n")


def report(folder: Path, seconds: int, rounds: int, blocks: int) -> Iterator[str]:
    yield from ("# Speed of the engine in C", "")
    yield "Written by `python -m bench.native`, all in one run, one thread; the systems took turns,"
    yield "and times are medians. Errors are max-abs, against the network's own float64."
    yield from ("", f"{machine()}.", "")
    build.library(folder / "libnovasr.so")
    lib = library(folder / "libnovasr.so")
    yield f"{seconds} s of speech that ends at {_EDGE // 1000} kHz:"
    yield from speeds(lib, folder, seconds, rounds)
    yield from ("", f"{blocks} blocks of {_BLOCK} samples at 48 kHz, {LIVE}, called from Python:")
    yield from latencies(lib, blocks)
    yield from ("", "The LADSPA plugin's run on the same blocks, which follows the edge, too:")
    yield from plugin_blocks(folder, blocks)
    yield from ("", "The same weights on noise of other levels, x real time:")
    yield from levels(lib, folder, seconds, rounds)
    yield from ("", "Bytes of a library for this processor:")
    yield from sizes(lib, folder)
    yield from small(folder)


def clip(rate: int, seconds: int) -> np.ndarray:
    """[rate * seconds] float32: the demo's, repeated."""
    x, own = soundfile.read(_ROOT / "bench/demo_16k.flac", dtype="float32")
    return resample(np.resize(x, own * seconds), own, new_rate=rate)


def speeds(lib, folder: Path, seconds: int, rounds: int) -> Iterator[str]:
    rows = []
    for case in _CASES:
        x = clip(case.rate, seconds)
        truth = bare(case, upsamplers.in_numpy, dtype=np.float64, **place(case))(np.float64(x))
        found = turns(systems(lib, folder, case), x, rounds)
        base = np.median(found["numpy"][1])
        for name, (y, times) in found.items():
            t = np.median(times)
            error = np.abs(y - truth).max()
            rows.append((case.name, name, f"{seconds / t:.1f}", f"{base / t:.2f}", f"{error:.1e}"))
    return table(("", "", "x real time", "x numpy", "error"), rows)


def place(case: Case) -> dict:
    """What a network is told of its input; NovaSR is told nothing."""
    return {"sample_rate": case.rate, "edge": _EDGE} if case.weights != "novasr-open" else {}


def bare(case: Case, opened: Callable, **options) -> Callable[[np.ndarray], np.ndarray]:
    """A peer's outputs, 3 T of them: NovaSR gives them all with two zeros behind."""
    run = opened(load_weights(case.weights).params, 1, **options)
    if place(case):
        return run
    return lambda x: run(np.pad(x, (0, 2)))[: 3 * len(x)]


def systems(lib, folder: Path, case: Case) -> dict[str, Run]:
    channel = Channel(Model(lib, weights_path(case.weights).read_bytes(), case.rate), _EDGE)
    found = {"C": timed(lambda x: channel(x, case.piece))}
    found["numpy"] = (
        streamed(case) if case.stream else timed(bare(case, upsamplers.in_numpy, **place(case)))
    )
    if importlib.util.find_spec("onnxruntime"):
        rate = {"rate": case.rate} if place(case) else {}
        model = upsamplers.exported(load_weights(case.weights).params, **rate)
        name = "ONNX Runtime, whole" if case.stream else "ONNX Runtime"
        found[name] = timed(bare(case, upsamplers.in_onnxruntime, model=model))
    if shutil.which("node"):
        found["WebAssembly"] = node(folder, case)
    return found


def turns(runs: dict[str, Run], x: np.ndarray, rounds: int) -> dict[str, tuple]:
    """Name -> what it gave in a first run, and the seconds of the others."""
    found: dict[str, tuple] = {name: (run(x)[0], []) for name, run in runs.items()}
    for _ in range(rounds):
        for name, run in runs.items():
            found[name][1].append(run(x)[1])
    return found


def timed(run: Callable[[np.ndarray], np.ndarray]) -> Run:
    def timed_run(x: np.ndarray) -> tuple[np.ndarray, float]:
        start = time.perf_counter()
        y = run(x)
        return y, time.perf_counter() - start

    return timed_run


def streamed(case: Case) -> Run:
    """numpy's stream, which is opened before the time begins."""

    def run(x: np.ndarray) -> tuple[np.ndarray, float]:
        stream = Stream(case.weights, case.rate, edge=_EDGE)
        starts = range(0, len(x), case.piece)
        start = time.perf_counter()
        y = [stream.push(x[i : i + case.piece], i + case.piece >= len(x)) for i in starts]
        return np.concatenate(y), time.perf_counter() - start

    return run


def node(folder: Path, case: Case) -> Run:
    """The engine as WebAssembly in a process that stays; it says the time of the engine alone."""
    files = [folder / f"{case.name}.{end}" for end in ("f32", "y")]
    command = ["node", _ROOT / "tests/ports/wasm.mjs", Path(web.__file__).parent / web.ENGINES[0]]
    command += [weights_path(case.weights), case.rate, _EDGE, case.piece]
    process = subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def run(x: np.ndarray) -> tuple[np.ndarray, float]:
        files[0].write_bytes(x.astype("<f4").tobytes())
        process.stdin.write("\t".join(map(str, files)) + "\n")
        process.stdin.flush()
        taken = float(process.stdout.readline())
        return np.fromfile(files[1], "<f4"), taken / 1e3

    return run


def latencies(lib, blocks: int) -> Iterator[str]:
    """Of pushes one by one, as an audio thread makes them; the first second warms up."""
    model = Model(lib, weights_path(LIVE).read_bytes(), 48_000)
    channel, x = Channel(model, _EDGE), clip(48_000, 10)
    parts = [x[i : i + _BLOCK] for i in range(0, len(x) - _BLOCK, _BLOCK)]
    times, made = np.empty(blocks), np.empty(blocks, bool)
    gc.disable()
    for i in range(-750, blocks):
        start = time.perf_counter()
        y = channel.push(parts[i % len(parts)], False)
        times[i], made[i] = time.perf_counter() - start, y.size > 0
    gc.enable()
    rows = [
        (name, len(chosen), *microseconds(chosen))
        for name, chosen in (("all", times), ("those that give samples", times[made]))
    ]
    yield from table(("us of 1333", "blocks", *_QUANTILES), rows)


def plugin_blocks(folder: Path, blocks: int) -> Iterator[str]:
    """The same of the plugin; the largest are those in which a look at the edge is due."""
    build.plugin(folder / "novasr.so")
    found = descriptors(folder / "novasr.so")
    mono = clip(48_000, 10)
    rows = []
    for label, x in (("novasr_mono", mono[np.newaxis]), ("novasr_stereo", np.stack([mono] * 2))):
        parts = [x[:, i : i + _BLOCK] for i in range(0, x.shape[-1] - _BLOCK, _BLOCK)]
        for network, name in enumerate(("airband-live", "NovaSR")):
            instance, times = Instance(found[label], 48_000, network=network), np.empty(blocks)
            gc.disable()
            for i in range(-750, blocks):
                instance.connect(parts[i % len(parts)])
                start = time.perf_counter()
                instance.run_connected()
                times[i] = time.perf_counter() - start
            gc.enable()
            late = f"{instance.latency / 48:.1f}"
            rows.append((f"{label}, {name}", late, len(times), *microseconds(times)))
    yield from table(("us of 1333", "latency, ms", "blocks", *_QUANTILES), rows)


def microseconds(times: np.ndarray) -> list[str]:
    return [f"{1e6 * np.quantile(times, q):.1f}" for q in _QUANTILES.values()]


def levels(lib, folder: Path, seconds: int, rounds: int) -> Iterator[str]:
    """Numbers below 1e-38 are denormal; squares of those below 1e-19 are."""
    case = Case("levels", LIVE, 48_000, 480)
    runs = {"C": timed(Channel(Model(lib, weights_path(LIVE).read_bytes(), 48_000), _EDGE))}
    if shutil.which("node"):
        runs["WebAssembly"] = node(folder, case)
    noise = np.random.default_rng(0).uniform(-1, 1, 48_000 * seconds)
    chosen = (1, 1e-10, 1e-20, 1e-30, 1e-40)
    times = {level: turns(runs, np.float32(level * noise), rounds) for level in chosen}
    rows = [
        (name, *(f"{seconds / np.median(found[name][1]):.0f}" for found in times.values()))
        for name in runs
    ]
    yield from table(("", *(f"{level:g}" for level in chosen)), rows)


def sizes(lib, folder: Path) -> Iterator[str]:
    code = (folder / "libnovasr.so").stat().st_size
    pages = ", ".join(
        f"{(Path(web.__file__).parent / name).stat().st_size:,} of {name}" for name in web.ENGINES
    )
    yield ""
    yield f"Code: {code:,} of the library, {pages}."
    rows, eight = [], folder / "int8.safetensors"
    for name, weights in _KINDS.items():
        content = weights_path(weights).read_bytes()
        rates = (16_000,) if name == "NovaSR" else (16_000, 48_000)
        models = [Model(lib, content, rate) for rate in rates]
        states = " and ".join(f"{model.state_size:,}" for model in models)
        convert_weights(weights, eight, dtype=np.int8)
        numbers = (len(content), eight.stat().st_size, models[0].size)
        rows.append((name, *(f"{n:,}" for n in numbers), states, f"{models[0].work_size:,}"))
    columns = ("", "weights", "in int8", "model", "state, at 16 and 48 kHz", "work, a thread")
    yield from table(columns, rows)


class Operations(NamedTuple):
    """Of a second of audio."""

    products: int  # multiply-adds of layers and filters, in single precision
    single: int  # other operations in single precision
    double: int  # operations in double precision


class Core(NamedTuple):
    """Processor core; operations a cycle that it starts at best, a multiply-add as one."""

    name: str
    hertz: int
    single: float
    double: float


# By LLVM's ARMScheduleM7.td, one pipe, and AArch64SchedNeoverseN1.td, two pipes of 128 bits.
_CORES = (
    Core("Cortex-M7, 480 MHz", 480_000_000, 1, 0.25),
    Core("Cortex-A76, 2.6 GHz", 2_600_000_000, 8, 4),
)
_EXPONENTIAL, _LOGARITHM, _COSINE = 21, 25, 24  # operations each in vector.h
_ARM = ("arm-linux-gnueabihf-gcc", "qemu-arm")


def small(folder: Path) -> Iterator[str]:
    """What small machines need."""
    yield from ("", "## Small machines", "")
    yield "An estimate, counted from the shapes of the layers: millions of operations for a"
    yield f"second of audio that ends at {_EDGE // 1000} kHz, and what that is of a core at its"
    yield "best. Loads, stores and waits come on top. A multiply-add counts as one operation, a"
    yield "transform of n samples as 2.5 n log2 n."
    counted = {
        "airband or airband-live, 16 kHz in": airband_operations(16_000),
        "airband or airband-live, 48 kHz in": airband_operations(48_000),
        "NovaSR": novasr_operations(),
    }
    rows = [
        (
            name,
            *(f"{number / 1e6:.1f}" for number in needed),
            *(f"{100 * share(core, needed):.1f} %" for core in _CORES),
        )
        for name, needed in counted.items()
    ]
    columns = ("", "multiply-adds", "other single", "double", *(core.name for core in _CORES))
    yield from table(columns, rows)
    yield ""
    yield "At its best the Cortex-M7 begins an operation in every cycle, as LLVM's model says,"
    yield "and one in double precision in every fourth, which is assumed; the Cortex-A76 begins"
    yield "two of 128 bits, as LLVM's model of the Neoverse N1 says, its sister for servers."
    if missing := [command for command in _ARM if not shutil.which(command)]:
        yield from ("", f"Sizes on a 32-bit ARM are left out, as {missing[0]} is not installed.")
    else:
        yield from arm_sizes(folder)


def share(core: Core, needed: Operations) -> float:
    """Of a core, at its best."""
    cycles = (needed.products + needed.single) / core.single + needed.double / core.double
    return cycles / core.hertz


def airband_operations(rate: int) -> Operations:
    """As airband.c computes; `rate` in Hz."""
    edge, size = _EDGE // airband.BIN, rate // airband.BIN
    made, source = airband.BINS - edge, min(edge, airband.SOURCE.stop) - airband.SOURCE.start
    products = sum(
        int(np.prod(shape))
        for name, shape in airband.TENSORS.items()
        if name.endswith(".weight") and not name.startswith("share")  # once an edge
    )
    layers = airband.CHANNELS * (4 * len(airband.DILATIONS) + _EXPONENTIAL + 2)
    features = 7 * edge + airband.BANDS_IN * (_LOGARITHM + 3)
    overtones = 2 * _transform(airband.FRAME) + airband.FRAME
    overtones += source * _flat(airband.FLAT_SOURCE) + made * _flat(airband.FLAT_CARRIER)
    amplitudes = made * (_EXPONENTIAL + 7) + 2 * edge
    synthesis = _transform(airband.FRAME) + airband.FRAME + airband.OVERLAP * airband.HOP
    single = layers + features + overtones + amplitudes + synthesis
    double = 2 * (_transform(size) + size)  # heard, and again when it is made
    return Operations(*(airband.HOPS * count for count in (products, single, double)))


def _transform(size: int) -> int:
    """Operations of the Fourier transform of real samples."""
    return round(2.5 * size * np.log2(size))


def _flat(side: int) -> int:
    """Operations of a bin that is made flat: a sum of powers, three steps of Newton's."""
    return 3 + 2 * side + 2 + 3 * 5 + 2


def novasr_operations() -> Operations:
    """As novasr.c folds the layers; sums of the large convolution's filters are left out."""
    shapes = {name: shape for name, (_, shape) in novasr.TENSORS.items()}
    channels, _, reach = shapes["conv2.weight"]
    before, behind = (shapes[f"{name}.weight"][2] for name in ("conv_pre", "conv_post"))
    snakes = 2 * (2 * 6 + 12 + 12)  # two phases of a filter's half, the filter, both in one
    products = int(np.prod(shapes["conv1.weight"])) * 23 // 33  # three steps at once
    products += channels * (before + 2 + reach + behind - 1 + snakes) + 11  # and past all layers
    single = channels * 2 * (2 * _COSINE + 3) + _EXPONENTIAL + 5
    return Operations(novasr.SAMPLE_RATE_OUT * products, novasr.SAMPLE_RATE_OUT * single, 0)


def arm_sizes(folder: Path) -> Iterator[str]:
    """Bytes on a 32-bit ARM."""
    compiler, emulator = _ARM
    common = [compiler, "-std=c11", "-Wno-psabi", "-ffp-contract=fast"]
    code = []
    for level in ("-Os", "-O2"):
        core = ("-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16")
        target = folder / "engine.o"
        subprocess.run([*common, level, *core, "-c", "-o", target, build.SOURCE], check=True)
        found = _said(compiler.replace("gcc", "size"), target).splitlines()[1].split()[0]
        code.append(f"{int(found):,} with {level}")
    program = folder / "sizes"
    sources = ("-I", build.SOURCE.parent, _ROOT / "tests/ports/sizes.c", build.SOURCE)
    subprocess.run([*common, "-O2", "-static", "-o", program, *sources], check=True)
    yield from ("", f"Bytes on a 32-bit ARM. Code for a Cortex-M7: {', '.join(code)}.")
    rows = []
    for name, weights in _KINDS.items():
        for rate in (16_000,) if name == "NovaSR" else (16_000, 48_000):
            path = weights_path(weights)
            needed = [int(part) for part in _said(emulator, program, path, rate).split()]
            numbers = (f"{number:,}" for number in (*needed, sum(needed)))
            rows.append((f"{name}, {rate // 1000} kHz in", *numbers))
    yield from table(("", "model", "state", "work", "together"), rows)


def _said(*command) -> str:
    line = [str(part) for part in command]
    return subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
