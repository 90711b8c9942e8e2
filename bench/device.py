"""Time a network in JAX on the accelerator at hand, and say what bounds it.

    python -m bench.device NETWORK [--weights FILE] [--batches 1 16 64] [--precisions highest bf16]
        [--segment SAMPLES] [--minutes 60] [--device KIND] [--small]

NETWORK is airband, novasr, speechsr (with --weights) or flashsr, whose weights are drawn unless
they are given. Parity first, against float64 in numpy. Then, with everything on the device and
compiled, precisions x batches x paths: "one program" is what `upsample` runs; NovaSR alone is run
as four, "steps", and has "plain", the layers as the spec words them. Peers in the same run: torch's
mirror on the same device, if torch sees it, and what the device gives at best, as a large copy and
as large products; a CPU's caches take it past that. Transfers and files are timed apart.

--small is for trying this out: batches of 1, short rows, no minutes, and a small FlashSR.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import soundfile

from bench import flashsr_case
from bench.peers.upsamplers import MIRRORS
from bench.timing import table
from novasr_jax import compute, forward, upsample
from novasr_jax.backend import Backend
from novasr_jax.layers import PRECISIONS
from novasr_jax.networks import NETWORKS
from novasr_jax.networks.novasr import fast
from novasr_np import networks
from novasr_np import upsample as in_numpy
from novasr_np.files.convert import Options, convert
from novasr_np.networks.flashsr import spec
from novasr_np.networks.record import Facts, Network, Windows
from novasr_np.weights import Weights, as_weights, load_weights

_ROW = 16_000  # samples, where a network leaves the choice
_BATCHES = {True: [1, 8, 16], False: [16, 64, 256]}  # by whether the network hears windows


class Way(NamedTuple):
    """A way to compute a batch, compiled."""

    call: Callable[[], jax.Array]
    programs: list[Any]
    seconds: float  # that compiling took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("--weights", help="default: the embedded ones; for FlashSR drawn")
    parser.add_argument("--batches", type=int, nargs="+")
    precisions = {"nargs": "+", "choices": PRECISIONS, "default": list(PRECISIONS)}
    parser.add_argument("--precisions", **precisions)
    parser.add_argument("--segment", type=int, help="samples of a row without its context")
    parser.add_argument("--minutes", type=int, help="of the runs from memory and file; 0 for none")
    parser.add_argument("--device", help="cpu, gpu or tpu; default: JAX's choice")
    parser.add_argument("--small", action="store_true", help="a quick check")
    args = parser.parse_args()
    network = networks.called(args.network)
    if network is None:
        parser.error(f"no network {args.network!r}")
    windows = isinstance(network.cut, Windows)
    batches = args.batches or ([1] if args.small else _BATCHES[windows])
    minutes = (0 if args.small else 2 if windows else 60) if args.minutes is None else args.minutes
    segment = args.segment or (None if windows else 400 if args.small else _ROW)
    device = jax.local_devices(backend=args.device)[0]
    print(f"{network.name} on {device.device_kind}, one of {jax.local_device_count()};", end=" ")
    print(f"jax {jax.__version__}", flush=True)
    if windows and not args.weights:
        tried, weights = drawn(flashsr_case.SMALL), None
    else:
        tried = weights = load_weights(args.weights or network.name)
    show(parity(tried, device, args.precisions))
    weights = tried if weights is None and args.small else weights or drawn(spec.FULL)
    best = roofline(device, args.precisions)
    mirror = torch_mirror(weights, device, batches, segment)
    width = spec.STEP if windows and args.small else None
    show(rates(weights, device, batches, segment, width, args.precisions, best, mirror))
    stats = device.memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        print(f"\npeak memory of the device: {stats['peak_bytes_in_use'] / 1e9:.1f} GB")
    if minutes:
        show(transfers(weights, device, minutes))


def show(lines: Iterator[str]) -> None:
    for line in lines:
        print(line, flush=True)


def drawn(sizes: spec.Sizes) -> Weights:
    """FlashSR's weights, which keep a signal's level."""
    return as_weights(flashsr_case.tree(sizes, np.full(12, 1 / 12)))


def signal(samples: int, rate: int) -> np.ndarray:
    """Noise whose level moves between -60 dB and full scale four times a second, float32."""
    noise = np.random.default_rng(0).uniform(-1, 1, samples)
    t = np.arange(samples) / rate
    return (noise * 10 ** (-1.5 * (1 + np.cos(2 * np.pi * 4 * t)))).astype(np.float32)


def snr(y: np.ndarray, truth: np.ndarray) -> float:
    error = ((np.float64(y) - truth) ** 2).sum()
    return float(10 * np.log10((np.float64(truth) ** 2).sum() / error)) if error else np.inf


def parity(weights: Weights, device: jax.Device, precisions: list[str]) -> Iterator[str]:
    """Whole sounds against float64 in numpy, the true ends included."""
    x = signal(4 * weights.network.rate_in, weights.network.rate_in)
    truth = in_numpy(np.float64(x), weights=weights)

    def rows() -> Iterator[tuple]:
        for precision in precisions:
            y = upsample(x, weights=weights, devices=[device], precision=precision)
            yield precision, f"{np.abs(y - truth).max():.1e}", f"{snr(y, truth):.1f}"

    yield from table(("precision", "max-abs error", "SNR, dB"), rows())


def seconds_per_call(call: Callable, wait: Callable = jax.block_until_ready) -> float:
    """Median over five sets, each of enough calls to last; the device works through a set."""
    wait(call())
    start = time.perf_counter()
    wait(call())
    calls = max(1, min(100, int(0.2 / (time.perf_counter() - start))))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(calls):
            last = call()
        wait(last)
        times.append((time.perf_counter() - start) / calls)
    return float(np.median(times))


def roofline(device: jax.Device, precisions: list[str]) -> dict[str, float]:
    """Bytes/s of a copy, FLOP/s of products by precision, as this device gives them now."""
    big = 1 << (24 if device.platform == "cpu" else 28)
    n = 2048 if device.platform == "cpu" else 8192
    x = jax.device_put(np.zeros(big, np.float32), device)
    best = {"copy": 2 * x.nbytes / seconds_per_call(partial(jax.jit(lambda x: x + 1), x))}
    print(f"\ncopy {best['copy'] / 1e9:.0f} GB/s", end="")
    for precision in precisions:
        level, operands = PRECISIONS[precision]
        a = jax.device_put(jnp.ones((n, n), operands or jnp.float32), device)
        options = {"precision": level, "preferred_element_type": jnp.float32}
        product = jax.jit(lambda a, options=options: jnp.dot(a, a, **options))
        best[precision] = 2 * n**3 / seconds_per_call(partial(product, a))
        print(f", {precision} {best[precision] / 1e12:.1f} TFLOP/s", end="", flush=True)
    print(" at best")
    return best


def torch_mirror(
    weights: Weights, device: jax.Device, batches: list[int], segment: int | None
) -> float | None:
    """x real time of the mirror in half precision; prints float32's as well."""
    network = weights.network
    try:
        import torch  # noqa: PLC0415

        from bench import torch_mirror as mirrors  # noqa: PLC0415
    except ModuleNotFoundError:
        print("no torch: no mirror of the original")
        return None
    cuda = device.platform != "cpu"
    if network.name not in MIRRORS or (cuda and not torch.cuda.is_available()):
        print(f"torch {torch.__version__} has no mirror of {network.name} on the device")
        return None
    forward = getattr(mirrors, MIRRORS[network.name])
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False
    place = "cuda" if cuda else "cpu"
    wait = (lambda _: torch.cuda.synchronize()) if cuda else (lambda _: None)
    fastest: dict[str, float] = {}
    for name, dtype in (("float16", torch.float16), ("float32", torch.float32)):
        p = mirrors.prepare(weights.params, dtype, place)
        for batch in batches:
            x = signal(batch * segment, network.rate_in).reshape(batch, segment)
            try:
                taken = seconds_per_call(
                    partial(forward, p, torch.from_numpy(x).to(place, dtype)), wait
                )
            except torch.OutOfMemoryError:
                continue
            rate = batch * segment / network.rate_in / taken
            fastest[name] = max(fastest.get(name, 0), rate)
        print(f"torch mirror, {name}: {fastest[name]:,.0f} x real time at its best batch")
    if cuda:
        torch.cuda.empty_cache()
    return fastest["float16"]


def rates(
    weights: Weights,
    device: jax.Device,
    batches: list[int],
    segment: int | None,
    width: int | None,
    precisions: list[str],
    best: dict[str, float],
    mirror: float | None,
) -> Iterator[str]:
    """Precisions x batches x paths; width: of the rows with their context, if not as usual."""
    network = weights.network
    first: dict[int, np.ndarray] = {}

    def rows() -> Iterator[tuple]:
        for precision in precisions:
            options = {"precision": precision, "segment": segment, "devices": [device]}
            for batch in batches:
                model = compute.make_model(
                    weights, options=network.choose(None), batch=batch, **options
                )
                given = on_device(model, width)
                audio = batch * (width or model.segment) / network.rate_in
                held = sum(leaf.nbytes for leaf in jax.tree.leaves(model.folded))
                for name, open_ in ways(model, given).items():
                    try:
                        way = open_()
                        y = np.asarray(way.call())
                        taken = seconds_per_call(way.call)
                    except jax.errors.JaxRuntimeError as error:
                        yield name, precision, batch, str(error).split(":")[0]
                        continue
                    truth = first.setdefault(batch, y)
                    moved, counted, work = map(sum, zip(*map(_cost, way.programs), strict=True))
                    # What memory, or the products if they take longer, need at best.
                    bound = max(moved / best["copy"], counted / best[precision])
                    yield (
                        *(name, precision, batch, f"{audio / taken:,.1f}"),
                        f"{audio / taken / mirror:.1f}" if mirror else "",
                        f"{snr(y, truth):.1f}" if y.shape == truth.shape else "",
                        f"{moved / audio / 1e6:.0f}",
                        f"{counted / audio / 1e9:.2f}",
                        f"{bound / taken:.0%}",
                        *(f"{held / 1e6:,.1f}", f"{work / batch / 1e6:,.1f}"),
                        f"{way.seconds:.0f}",
                    )

    length = width or (network.cut.length if segment is None else segment)
    yield from ("", f"Rows of {length} samples. MB moved and GFLOP are for a second of sound, by")
    yield "XLA's count; the SNR is to the first of that batch."
    columns = ("path", "precision", "batch", "x real time", "x torch fp16", "SNR, dB", "MB moved")
    columns += ("GFLOP", "of the roofline", "MB of weights", "MB of work a row", "compiled in, s")
    yield from table(columns, rows())


def on_device(model: compute.Model, width: int | None = None) -> tuple[Any, Any]:
    """A batch of rows as the devices take them, and where each begins."""
    network = model.weights.network
    width = width or network.cut.width(model.segment)
    x = signal(model.batch * width, network.rate_in).reshape(model.batch, width)
    start = np.zeros(model.batch, np.uint32)
    if model.prepare:
        x = model.prepare(x, start, [Facts(network.rate_in, 1)] * model.batch)[0]
    return jax.device_put((x, start), model.sharding)


def ways(model: compute.Model, given: tuple[Any, Any]) -> dict[str, Callable[[], Way]]:
    """The paths of a network, each compiled when it is called for."""
    x, start = given
    precision = {"precision": model.precision}

    def compiled(run: Callable, params: Any, *arguments: Any) -> Way:
        began = time.perf_counter()
        program = jax.jit(run).lower(params, *arguments).compile()
        seconds = time.perf_counter() - began
        return Way(partial(program, params, *arguments), [program], seconds)

    if model.weights.network.name != "NovaSR":
        whole = partial(_whole, model.weights.network, model.precision)
        return {"one program": partial(compiled, whole, model.folded, x, start, no_edges(model))}

    def steps() -> Way:
        p = model.folded
        wave0 = compiled(partial(fast.wave0, **precision), p, x)
        hidden = compiled(partial(fast.hidden, **precision), p, x, wave0.call())
        wave1 = compiled(partial(fast.wave1, **precision), p, hidden.call())
        output = compiled(fast.output, p, x, hidden.call(), wave1.call())
        four = (wave0, hidden, wave1, output)
        return Way(
            partial(fast.interior_steps, p, x, **precision),
            [program for step in four for program in step.programs],
            sum(step.seconds for step in four),
        )

    return {
        "steps": steps,
        "one program": partial(compiled, partial(fast.interior, **precision), model.folded, x),
        "plain": partial(compiled, partial(forward, **precision), model.params, x),
    }


def no_edges(model: compute.Model) -> jax.Array:
    """Where each row's sound ends: nowhere below half the rate, in a program for any edge."""
    return jax.device_put(np.full(model.batch, np.nan, np.float32), model.sharding)


def _whole(
    network: Network, precision: str, p: Any, x: Any, start: jax.Array, edges: jax.Array
) -> jax.Array:
    """What `upsample` runs on rows without an end."""
    where = network.place(start, Facts(network.rate_in, 1, edges))  # type: ignore[arg-type]
    return NETWORKS[network.name].interior(p, x, **where, precision=precision)


def _cost(program: Any) -> tuple[float, float, float]:
    """(bytes moved, FLOP, bytes at work): what goes in and out and, twice, what waits between."""
    memory = program.memory_analysis()
    moved = memory.argument_size_in_bytes + memory.output_size_in_bytes
    work = memory.temp_size_in_bytes
    return moved + 2 * work, program.cost_analysis().get("flops", 0.0), work


def transfers(weights: Weights, device: jax.Device, minutes: int) -> Iterator[str]:
    """What surrounds the device's work: host memory, and files."""
    network = weights.network
    options = {"precision": "high", "devices": [device]}
    model = compute.make_model(weights, options=network.choose(None), **options)
    x, _ = jax.tree.map(np.asarray, on_device(model))
    there = seconds_per_call(lambda: jax.device_put(x, model.sharding))
    run = jax.jit(partial(_whole, network, "high"))
    y = run(model.folded, *on_device(model), no_edges(model))
    # A new array each time: a fetched one keeps its copy on the host.
    fresh = jax.jit(lambda y: y + 0)
    fresh(y).block_until_ready()
    back = seconds_per_call(lambda: np.asarray(fresh(y)), lambda _: None)
    audio = model.batch * model.segment / network.rate_in
    yield ""
    yield f"host to device {audio / there:,.0f} x real time, back {audio / back:,.0f} x"

    x = signal(60 * minutes * network.rate_in, network.rate_in)
    upsample(x[: network.rate_in], weights=weights, **options)
    began = time.perf_counter()
    upsample(x, weights=weights, **options)
    rate = 60 * minutes / (time.perf_counter() - began)
    yield f"`upsample`, {minutes} min, memory to memory: {rate:,.0f} x real time"

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.wav"), Path(folder, "out.wav")
        soundfile.write(source, x, network.rate_in)
        runner = Backend(device=[device], precision="high").open(weights)
        result = convert(str(source), str(target), Options(), runner, lambda seconds: None)
        assert result.status == "done", result.error
        rate = result.audio_seconds / result.work_seconds
        yield f"the command's work, {minutes} min, WAV to WAV: {rate:,.0f} x real time"


if __name__ == "__main__":
    main()
