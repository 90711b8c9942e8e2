"""FlashSR on the accelerator at hand: windows a second, by batch and precision.

    python -m bench.flashsr_gpu [--batches 1 8 16] [--precisions highest bf16] [--small]

Parity first, at a small size against numpy in float64. Then the published size, with weights drawn
on the device, everything there and compiled: the rate of the networks alone, how far each precision
is from `highest` in the same run, and what a window takes of the device's memory by XLA's count.
--small times the small size instead, to try the program out.
"""

import argparse
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from bench.flashsr import SMALL
from bench.gpu import seconds_per_call
from novasr_jax.layers import PRECISIONS
from novasr_jax.networks.flashsr import NETWORK, window
from novasr_jax.networks.flashsr import model as in_jax
from novasr_np.networks.flashsr import load, model, spec
from novasr_np.networks.flashsr.mel import level
from novasr_np.tensors import nest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument(
        *("--precisions", "--precision"),
        nargs="+",
        choices=PRECISIONS,
        default=["highest", "bf16"],
    )
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--device", help="cpu, gpu or tpu; default: JAX's choice")
    args = parser.parse_args()
    device = jax.local_devices(backend=args.device)[0]
    print(f"{device.device_kind}, one of {jax.local_device_count()}; jax {jax.__version__}\n")
    parity(device, args.precisions)
    sizes, samples = (SMALL, spec.STEP) if args.small else (spec.FULL, spec.WINDOW)
    rates(device, sizes, samples, args.batches, args.precisions)


def drawn(sizes: spec.Sizes, device: jax.Device) -> dict:
    """Weights that keep a signal's level, on the device, as `load.load` would give them."""
    tables = {
        "vae": spec.vae_tensors(sizes),
        "unet": spec.unet_tensors(sizes),
        "vocoder": spec.vocoder_tensors(sizes),
    }
    names = [(part, name) for part, table in tables.items() for name in table]
    with jax.default_device(device):
        keys = iter(jax.random.split(jax.random.key(0), len(names)))
        flat = {
            f"{part}.{name}": _tensor(next(keys), name, tables[part][name]) for part, name in names
        }
    return nest(flat)


def _tensor(key: jax.Array, name: str, shape: tuple[int, ...]) -> jax.Array:
    if name.endswith(".filter"):
        return jnp.full(shape, 1 / 12, jnp.float32)
    z = jax.random.normal(key, shape)
    if len(shape) == 1:
        return 0.1 * z + (1 if name.endswith(".weight") else 0)
    half = 0.5 if ".convs2." in name else 1
    return half * z / np.sqrt(np.prod(shape[1:]))


def inputs(sizes: spec.Sizes, samples: int, batch: int, dtype: type = np.float32) -> tuple:
    """Windows of noise as the networks take them, and what numpy takes."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, samples)).astype(dtype) / 10
    shape = batch, sizes.latent, samples // spec.ROW, sizes.mels // 8
    given = model.prepare(sizes, x, level(np.float64(x)), rng.standard_normal(shape))
    return in_jax.inputs(given), given


def parity(device: jax.Device, precisions: list[str]) -> None:
    params = jax.tree.map(np.asarray, drawn(SMALL, device))
    given, _ = inputs(SMALL, spec.STEP, 2)
    truth = model.normalised(load.load(params), inputs(SMALL, spec.STEP, 2, np.float64)[1])
    print("| precision | SNR to float64, dB |\n|---|---:|")
    for precision in precisions:
        folded = jax.device_put(NETWORK.fold(params, np.float32, precision), device)
        y = NETWORK.interior(folded, jax.device_put(given, device), precision=precision)
        print(f"| {precision} | {_snr(y, truth):.1f} |", flush=True)
    print()


def rates(
    device: jax.Device, sizes: spec.Sizes, samples: int, batches: list[int], precisions: list[str]
) -> None:
    print(f"windows of {samples / spec.SAMPLE_RATE:.2f} s\n")
    print(
        "| precision | batch | windows a second | x real time | SNR to the first, dB "
        "| GB of weights | GB for a window | compiled in, s |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    host = jax.tree.map(np.asarray, drawn(sizes, device))
    first: dict[int, np.ndarray] = {}
    for precision in precisions:
        folded = NETWORK.fold(host, np.float32, precision, partial(jax.device_put, device=device))
        weights = sum(leaf.nbytes for leaf in jax.tree.leaves(folded)) / 1e9
        for batch in batches:
            given = jax.device_put(inputs(sizes, samples, batch)[0], device)
            row = f"| {precision} | {batch} |"
            start = time.perf_counter()
            try:
                program = window.jitted.lower(folded, given, precision).compile()
                compiled = time.perf_counter() - start
                y = np.asarray(program(folded, given))
                taken = seconds_per_call(partial(program, folded, given))
            except jax.errors.JaxRuntimeError as error:
                print(f"{row} {str(error).split(':')[0]} |", flush=True)
                continue
            memory = program.memory_analysis().temp_size_in_bytes / batch / 1e9
            snr = _snr(y, first.setdefault(batch, y))
            print(
                f"{row} {batch / taken:.2f} | {batch / taken * samples / spec.SAMPLE_RATE:.1f} "
                f"| {snr:.1f} | {weights:.2f} | {memory:.2f} | {compiled:.0f} |",
                flush=True,
            )
    stats = device.memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        print(f"\npeak memory of the device: {stats['peak_bytes_in_use'] / 1e9:.1f} GB")


def _snr(y: np.ndarray, truth: np.ndarray) -> float:
    error = ((np.float64(y) - truth) ** 2).sum()
    return float(10 * np.log10((np.float64(truth) ** 2).sum() / error)) if error else np.inf


if __name__ == "__main__":
    main()
