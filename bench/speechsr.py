"""SpeechSR-48k's speed beside its peers, in one run.

    python -m bench.speechsr [-o bench/SPEECHSR.md]

Needs NOVASR_SHARED; ONNX Runtime runs our export, torch a mirror of the layers, each if installed.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cpuinfo
import numpy as np

from bench.data import speech, upstream
from novasr_np import load_weights
from novasr_np.pipeline.arrays import run_bare
from novasr_np.pipeline.backend import Backend
from novasr_np.threads import available_cores
from novasr_np.weights import as_weights

_ROUNDS = {10: 3, 60: 1}  # seconds of audio -> how often it is timed


def ours_and_onnx(params: dict, threads: int) -> Iterator[tuple[str, Callable]]:
    """Name and what takes [T] float32 to the output of any of our networks."""
    network = as_weights(params).network
    runner = Backend(threads).open(as_weights(params))
    yield "novasr_np", lambda x: run_bare(runner, x[None])[0]
    if threads == available_cores():
        try:
            from novasr_jax import upsample  # noqa: PLC0415

            yield "novasr_jax", partial(upsample, weights=params)
        except ModuleNotFoundError:
            pass
    try:
        import onnxruntime  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        model = network.ports.to_onnx(params).SerializeToString()
        session = onnxruntime.InferenceSession(model, options)
        yield "ONNX Runtime", lambda x: session.run(None, {"input": x[None, None]})[0][0, 0]
    except ModuleNotFoundError:
        pass


def peers(params: dict, threads: int) -> Iterator[tuple[str, Callable]]:
    """The same, and torch."""
    yield from ours_and_onnx(params, threads)
    try:
        import torch  # noqa: PLC0415

        from bench import torch_mirror  # noqa: PLC0415

        torch.set_num_threads(threads)
        tensors = torch_mirror.prepare(params)
        run = torch_mirror.speechsr
        yield "torch mirror", lambda x: run(tensors, torch.from_numpy(x)[None])[0].numpy()
    except ModuleNotFoundError:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    params = load_weights(upstream("speechsr/speechsr48k_G_100000.pth")).params
    lines = [
        "# SpeechSR-48k beside its peers",
        "",
        "Written by `python -m bench.speechsr`; medians of one run, all in it on the same machine.",
        "Errors are against float64. ONNX Runtime runs our own export.",
        "",
        f"{cpuinfo.get_cpu_info()['brand_raw']}, {available_cores()} cores; numpy {np.__version__}",
        "",
        "| | clip, s | threads | x real time | x ONNX Runtime | max-abs |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    truth = {}
    with Backend().open(as_weights(params), np.float64) as runner:
        for seconds in _ROUNDS:
            x = np.float64(speech(seconds))
            truth[seconds] = run_bare(runner, x[None])[0]
    for seconds, rounds in _ROUNDS.items():
        for threads in sorted({1, available_cores()}):
            x, rows = speech(seconds), []
            for name, run in peers(params, threads):
                run(x[:32_000])
                times = []
                for _ in range(rounds):
                    start = time.perf_counter()
                    y = run(x)
                    times.append(time.perf_counter() - start)
                error = float(np.abs(y - truth[seconds]).max())
                rows.append((name, float(np.median(times)), error))
            base = {name: t for name, t, _ in rows}.get("ONNX Runtime", np.nan)
            for name, t, error in rows:
                lines.append(
                    f"| {name} | {seconds} | {threads} | {seconds / t:.2f} | {base / t:.2f} "
                    f"| {error:.1e} |"
                )
                print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    if args.output:
        args.output.write_text(text)


if __name__ == "__main__":
    main()
