"""Text to speech: numpy beside torch, and what a long text takes.

    python -m bench.say [-o bench/SAY.md]

Weights are drawn at random: the work does not depend on them. The mirror of the vocoder in torch is
written from its formulas; one thread for all, in turns.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cpuinfo
import numpy as np

from novasr_np import blas, speech
from novasr_np.networks.inflect import acoustic, fast, model, spec, vocoder
from novasr_np.networks.inflect.text import to_ids
from novasr_np.tensors import cast, nest

_ROUNDS = 5
_TEXT = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while. "
_MINUTES = (1, 10)  # of speech, for memory


def drawn() -> dict:
    """Weights of the published sizes."""
    rng = np.random.default_rng(0)

    def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
        z = rng.standard_normal(shape).astype(np.float32)
        if name.endswith("log_alpha") or len(shape) == 1:
            return 0.1 * z + (1.8 if name == "duration_head.3.bias" else 0)
        return z / np.float32(np.sqrt(np.prod(shape[1:])))

    tables = {"acoustic": spec.acoustic_tensors(), "vocoder": spec.vocoder_tensors()}
    return {
        part: nest({name: tensor(name, shape) for name, shape in table.items()})
        for part, table in tables.items()
    }


def in_torch(params: dict) -> Callable[[np.ndarray], np.ndarray]:
    """The vocoder by torch's convolutions."""
    import torch  # noqa: PLC0415
    from torch.nn import functional as f  # noqa: PLC0415

    torch.set_num_threads(1)
    p = _as_tensors(cast(params, np.float32), torch)

    def snake(q, x):
        a = q["log_alpha"].exp().clip(1e-4, 100)[:, None]
        return x + torch.sin(a * x) ** 2 / a

    def conv(q, x, dilation=1):
        half = q["weight"].shape[-1] // 2 * dilation
        return f.conv1d(x, q["weight"], q["bias"], padding=half, dilation=dilation)

    @torch.inference_mode()
    def run(mel: np.ndarray) -> np.ndarray:
        h = conv(p["conv_pre"], torch.from_numpy(mel)[None])
        for i, rate in enumerate(spec.RATES):
            up = p["ups"][str(i)]
            h = snake(p["up_acts"][str(i)], h)
            h = f.conv_transpose1d(h, up["weight"], up["bias"], rate, rate // 2)
            total = 0
            for j in range(len(spec.TAPS)):
                block, x = p["resblocks"][str(len(spec.TAPS) * i + j)], h
                for k, dilation in enumerate(spec.DILATIONS):
                    a = conv(block["convs1"][str(k)], snake(block["acts1"][str(k)], x), dilation)
                    x = x + conv(block["convs2"][str(k)], snake(block["acts2"][str(k)], a))
                total = total + x
            h = total / len(spec.TAPS)
        return torch.tanh(conv(p["conv_post"], snake(p["post_act"], h)))[0, 0].numpy()

    return run


def _as_tensors(tree, torch):
    if isinstance(tree, dict):
        return {name: _as_tensors(value, torch) for name, value in tree.items()}
    return torch.from_numpy(np.ascontiguousarray(tree))


def speed() -> Iterator[str]:
    params = drawn()
    ids = tuple(to_ids(_TEXT).ids.values())
    *_, (_, mel) = acoustic.stages(params["acoustic"], *ids)
    *_, (_, truth) = vocoder.stages(params["vocoder"], np.float64(mel))
    seconds = len(truth) / spec.SAMPLE_RATE
    prepared = model.prepare(params)
    systems: dict[str, Callable] = {"vocoder, numpy": lambda: fast.forward(prepared.vocoder, mel)}
    try:
        mirror = in_torch(params["vocoder"])
        systems["vocoder, torch"] = lambda: mirror(mel)
    except ModuleNotFoundError:
        pass
    systems["acoustic model, numpy"] = lambda: [*acoustic.stages(prepared.acoustic, *ids)][-1][1]
    systems["both, numpy"] = lambda: model.speak(prepared, ids)[0]
    times: dict[str, list[float]] = {name: [] for name in systems}
    errors = {}
    with blas.one_thread():
        for name, run in systems.items():
            y = run()
            errors[name] = np.abs(y - truth).max() if name.startswith("vocoder") else None
        for _ in range(_ROUNDS):
            for name, run in systems.items():
                start = time.perf_counter()
                run()
                times[name].append(time.perf_counter() - start)
    yield f"A sentence of {seconds:.1f} s, one thread, medians of {_ROUNDS}:"
    yield ""
    yield "| | x real time | max-abs |"
    yield "|---|---:|---:|"
    for name, taken in times.items():
        error = "" if errors[name] is None else f"{errors[name]:.1e}"
        yield f"| {name} | {seconds / np.median(taken):.1f} | {error} |"


def memory() -> Iterator[str]:
    yield ""
    yield "Long texts at 48 kHz, each in a process of its own:"
    yield ""
    yield "| speech | first sound after, s | x real time | memory at most, MB |"
    yield "|---|---:|---:|---:|"
    for minutes in _MINUTES:
        command = [sys.executable, "-m", "bench.say", "--read", str(minutes)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        first, rate, most = done.stdout.split()
        yield f"| {minutes} min | {float(first):.2f} | {float(rate):.1f} | {float(most):.0f} |"


def read(minutes: int) -> None:
    """Speak for so long; print when the first sound came, the speed and the memory."""
    params, samples, first = drawn(), 0, 0.0
    wide = speech.WIDE
    start = time.perf_counter()
    for sentence in speech.spoken(_TEXT * 1000, weights=params, sample_rate=wide):
        samples += len(sentence.samples)
        first = first or time.perf_counter() - start
        if samples > 60 * minutes * wide:
            break
    rate = samples / wide / (time.perf_counter() - start)
    # Not by `getrusage`, which begins with what the process had that started this one.
    status = Path("/proc/self/status").read_text()
    print(first, rate, int(status.split("VmHWM:")[1].split()[0]) / 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--read", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        read(args.read)
        return
    lines = ["# Text to speech", "", "Written by `python -m bench.say`, all in one run. Errors are"]
    lines += ["against the network's own float64; the weights are drawn.", ""]
    lines += [cpuinfo.get_cpu_info().get("brand_raw", "an unknown processor"), ""]
    print("\n".join(lines))
    for part in (speed, memory):
        for line in part():
            print(line, flush=True)
            lines.append(line)
    if args.output:
        args.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
