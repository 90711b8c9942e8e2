"""Time the JAX network on the accelerator at hand, and say what bounds it.

    python -m bench.gpu [--weights FILE] [--batches 16 64 256] [--segment 16000] [--device KIND]

Checks parity first. Then, with everything on the device and compiled, batch sizes x precisions x
paths: "steps" is what `upsample` runs, "one program" the same four steps in one, "plain" the
layers as the spec words them. Peers in the same run: a torch mirror of the original in float16
and float32 on the same device, if torch sees it, and what the device gives at best, as a large
copy and as large products; a CPU's caches take it past that. Transfers and files are timed apart.

The weights are by default the original's v1 in NOVASR_SHARED; the signal is made here.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import soundfile

from bench.data import upstream
from novasr_jax import compute, forward, interior, upsample
from novasr_jax.backend import Backend
from novasr_jax.layers import PRECISIONS as LEVELS
from novasr_jax.networks import NETWORKS
from novasr_jax.networks.novasr import fast
from novasr_np import forward as numpy_forward
from novasr_np import load_weights
from novasr_np.files.convert import Options, convert
from novasr_np.networks.novasr.spec import CONTEXT, SAMPLE_RATE_IN
from novasr_np.pipeline.arrays import run_bare
from novasr_np.weights import as_weights

PRECISIONS = ("highest", "high", "fp16", "bf16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", help="default: the original's v1")
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--segment", type=int, default=SAMPLE_RATE_IN)
    parser.add_argument("--minutes", type=int, default=60, help="of the runs from memory and file")
    parser.add_argument("--device", help="cpu, gpu or tpu; default: JAX's choice")
    args = parser.parse_args()
    params = load_weights(args.weights or upstream("pytorch_model_v1.bin")).params
    device = jax.local_devices(backend=args.device)[0]

    print(f"{device.device_kind}, one of {jax.local_device_count()}; jax {jax.__version__}\n")
    parity(params, device)
    best = roofline(device)
    reference = torch_mirror(params, device, args.batches, args.segment)
    paths(params, device, args.batches, args.segment, best, reference)
    airband(device, args.batches)
    transfers(params, device, args.minutes)


def signal(samples: int, seed: int = 0) -> np.ndarray:
    """Noise whose level moves between -60 dB and full scale four times a second, float32."""
    noise = np.random.default_rng(seed).uniform(-1, 1, samples)
    t = np.arange(samples) / SAMPLE_RATE_IN
    return (noise * 10 ** (-1.5 * (1 + np.cos(2 * np.pi * 4 * t)))).astype(np.float32)


def bare(params, x, device, **options) -> np.ndarray:
    """The bare network on x [T], in batches on the device."""
    with Backend(device=[device], **options).open(as_weights(params)) as runner:
        return run_bare(runner, x[np.newaxis])[0]


def parity(params, device) -> None:
    """Against float64 in numpy: the true ends included, in every precision."""
    x = signal(4 * SAMPLE_RATE_IN)
    truth = numpy_forward(params, np.float64(x))
    print("| precision | max-abs error | SNR, dB |\n|---|---:|---:|")
    for precision in PRECISIONS:
        y = bare(params, x, device, precision=precision)
        error = np.float64(y) - truth
        snr = 10 * np.log10((truth**2).sum() / (error**2).sum())
        print(f"| {precision} | {np.abs(error).max():.1e} | {snr:.1f} |", flush=True)
    print()


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


def roofline(device) -> dict[str, float]:
    """Bytes/s of a copy, FLOP/s of products by precision, as this device gives them now."""
    big = 1 << (24 if device.platform == "cpu" else 28)
    n = 2048 if device.platform == "cpu" else 8192
    x = jax.device_put(np.zeros(big, np.float32), device)
    best = {"copy": 2 * x.nbytes / seconds_per_call(partial(jax.jit(lambda x: x + 1), x))}
    print(f"copy {best['copy'] / 1e9:.0f} GB/s", end="")
    for precision in PRECISIONS:
        level, operands = LEVELS[precision]
        a = jax.device_put(jnp.ones((n, n), operands or jnp.float32), device)
        product = jax.jit(
            lambda a, level=level: jnp.dot(
                a, a, precision=level, preferred_element_type=jnp.float32
            )
        )
        best[precision] = 2 * n**3 / seconds_per_call(partial(product, a))
        print(f", {precision} {best[precision] / 1e12:.1f} TFLOP/s", end="", flush=True)
    print(" at best\n")
    return best


def torch_mirror(params, device, sizes, segment) -> float | None:
    """x real time of the faster half-precision mirror; prints float32's as well."""
    try:
        import torch  # noqa: PLC0415

        from bench import torch_mirror as mirror  # noqa: PLC0415
    except ModuleNotFoundError:
        print("no torch: no mirror of the original\n")
        return None
    cuda = device.platform != "cpu"
    if cuda and not torch.cuda.is_available():
        print(f"torch {torch.__version__} does not see the device: no mirror of the original\n")
        return None
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False
    fastest: dict[str, float] = {}
    for name, dtype in (("float16", torch.float16), ("float32", torch.float32)):
        p = mirror.prepare(params, dtype, "cuda" if cuda else "cpu")
        for batch in sizes:
            x = torch.from_numpy(signal(batch * segment).reshape(batch, segment))
            x = x.to("cuda" if cuda else "cpu", dtype)
            wait = (lambda _: torch.cuda.synchronize()) if cuda else (lambda _: None)
            try:
                taken = seconds_per_call(partial(mirror.forward, p, x), wait)
            except torch.OutOfMemoryError:
                continue
            rate = batch * segment / SAMPLE_RATE_IN / taken
            fastest[name] = max(fastest.get(name, 0), rate)
        print(f"torch mirror, {name}: {fastest[name]:,.0f} x real time at its best batch")
    if cuda:
        torch.cuda.empty_cache()
    print(flush=True)
    return fastest["float16"]


def paths(params, device, sizes, segment, best, reference) -> None:
    print(f"{segment} samples in a row; MB and GFLOP are for a second of audio.\n")
    print(
        "| path | precision | batch | x real time | x torch fp16 | MB | GFLOP | of the roofline |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    whole = jax.jit(interior, static_argnames="precision")
    plain = jax.jit(forward, static_argnames="precision")
    for precision in PRECISIONS:
        for batch in sizes:
            model = compute.make_model(
                as_weights(params),
                batch=batch,
                segment=segment,
                precision=precision,
                devices=[device],
            )
            rows = signal(batch * (segment + CONTEXT)).reshape(batch, -1)
            x = jax.device_put(rows, model.sharding)
            calls: dict[str, tuple[Callable, Callable]] = {
                "steps": (
                    partial(fast.interior_steps, model.folded, x, precision=precision),
                    partial(_steps_cost, model, x),
                ),
                "one program": _timed_and_counted(whole, model.folded, x, precision),
                "plain": _timed_and_counted(plain, model.params, x, precision),
            }
            audio = batch * segment / SAMPLE_RATE_IN
            for path, (call, cost) in calls.items():
                try:
                    taken = seconds_per_call(call)
                except jax.errors.JaxRuntimeError as error:
                    print(f"| {path} | {precision} | {batch} | {str(error).split(':')[0]} |")
                    continue
                moved, counted = cost()
                # The time that memory, or the products if they take longer, need at best.
                bound = max(moved / best["copy"], counted / best[precision])
                ratio = f"{audio / taken / reference:.1f}" if reference else ""
                print(
                    f"| {path} | {precision} | {batch} | {audio / taken:,.0f} | {ratio} | "
                    f"{moved / audio / 1e6:.0f} | {counted / audio / 1e9:.2f} | "
                    f"{bound / taken:.0%} |",
                    flush=True,
                )
    stats = device.memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        print(f"\npeak memory of the device: {stats['peak_bytes_in_use'] / 1e9:.1f} GB")
    print()


def _timed_and_counted(program, weights, x, precision):
    return (
        partial(program, weights, x, precision=precision),
        lambda: _cost(program.lower(weights, x, precision=precision)),
    )


def _steps_cost(model, x):
    p, precision = model.folded, {"precision": model.precision}
    steps = (fast._wave0, fast._hidden, fast._wave1)
    given: list = [x]
    costs = []
    for step, takes in zip(steps, ([0], [0, 1], [2]), strict=True):
        arguments = [given[i] for i in takes]
        costs.append(_cost(step.lower(p, *arguments, **precision)))
        given.append(jax.eval_shape(partial(step, **precision), p, *arguments))
    costs.append(_cost(fast._output.lower(p, x, given[2], given[3])))
    return tuple(map(sum, zip(*costs, strict=True)))


def _cost(lowered) -> tuple[float, float]:
    """(bytes, FLOP): what goes in and out and, twice, what waits in memory between; XLA's count."""
    compiled = lowered.compile()
    memory = compiled.memory_analysis()
    moved = memory.argument_size_in_bytes + memory.output_size_in_bytes
    return moved + 2 * memory.temp_size_in_bytes, compiled.cost_analysis().get("flops", 0.0)


def airband(device, batch_sizes) -> None:
    """Our own network: batch sizes x precisions, everything on the device and compiled."""
    params = load_weights("airband-1").params
    network = as_weights(params).network
    x = signal(4 * SAMPLE_RATE_IN)
    truth = numpy_forward(params, np.float64(x))
    print("airband\n\n| rows of 4 s | precision | x real time | SNR, dB |\n|---:|---|---:|---:|")
    for precision in PRECISIONS:
        for rows in batch_sizes:
            model = compute.make_model(
                as_weights(params), precision=precision, devices=[device], batch=rows
            )
            y = bare(params, x, device, precision=precision, batch=rows)
            snr = 10 * np.log10((truth**2).sum() / ((np.float64(y) - truth) ** 2).sum())
            given = jax.device_put(
                signal(rows * (model.segment + network.cut.context)).reshape(rows, -1),
                model.sharding,
            )
            start = jax.device_put(np.zeros(rows, np.uint32), model.sharding)
            interior = NETWORKS[network.name].interior
            taken = seconds_per_call(
                partial(interior, model.folded, given, start=start, precision=precision)
            )
            rate = rows * model.segment / SAMPLE_RATE_IN / taken
            print(f"| {rows} | {precision} | {rate:,.0f} | {snr:.1f} |", flush=True)
    print()


def transfers(params, device, minutes) -> None:
    """What surrounds the device's work: host memory, and files."""
    model = compute.make_model(as_weights(params), devices=[device], precision="high")
    bare(params, np.zeros(1000, np.float32), device, precision="high")
    rows = signal(model.batch * (model.segment + CONTEXT)).reshape(model.batch, -1)
    there = seconds_per_call(lambda: jax.device_put(rows, model.sharding))
    y = fast.interior_steps(
        model.folded, jax.device_put(rows, model.sharding), precision=model.precision
    )
    # A new array each time: a fetched one keeps its copy on the host.
    fresh = jax.jit(lambda y: y + 0)
    fresh(y).block_until_ready()
    back = seconds_per_call(lambda: np.asarray(fresh(y)), lambda _: None)
    audio = model.batch * model.segment / SAMPLE_RATE_IN
    print(f"host to device {audio / there:,.0f} x real time, back {audio / back:,.0f} x")

    x = signal(60 * minutes * SAMPLE_RATE_IN)
    start = time.perf_counter()
    upsample(x, weights=params, devices=[device], precision="high")
    taken = time.perf_counter() - start
    print(f"`upsample`, {minutes} min, memory to memory: {60 * minutes / taken:,.0f} x real time")

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.wav"), Path(folder, "out.wav")
        soundfile.write(source, x, SAMPLE_RATE_IN)
        runner = Backend(device=device.platform, precision="high").open(as_weights(params))
        result = convert(str(source), str(target), Options(), runner, lambda seconds: None)
        assert result.status == "done", result.error
        rate = result.audio_seconds / result.work_seconds
        print(f"the command's work, {minutes} min, WAV to WAV: {rate:,.0f} x real time")


if __name__ == "__main__":
    main()
