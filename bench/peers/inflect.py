"""Inflect-Nano-v1: text to speech in numpy and JAX beside torch's vocoder, on a sentence."""

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.timing import peak, table
from novasr_np import blas, speech
from novasr_np.networks.inflect import acoustic, fast, load, model, spec
from novasr_np.networks.inflect.text import to_ids
from novasr_np.networks.record import Params
from novasr_np.tensors import cast, nest

from .subject import Case, Subject, max_abs

_TEXT = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while. "
_MINUTES = (1, 10)  # of speech, for memory

Ids = tuple[np.ndarray, ...]
Parts = Iterator[tuple[str, np.ndarray]]


def in_numpy(params: Params, threads: int, ids: Ids) -> Any:
    prepared = model.prepare(params)
    return lambda ids: _parts(params, ids, lambda mel: fast.forward(prepared.vocoder, mel))


def in_jax(params: Params, threads: int, ids: Ids) -> Any:
    from novasr_jax.networks.inflect import model as in_jax  # noqa: PLC0415

    return lambda ids: in_jax.speak(params, [ids])[0]


def in_torch(params: Params, threads: int, ids: Ids) -> Any:
    """numpy's acoustic model, and the vocoder by torch's convolutions."""
    import torch  # noqa: PLC0415
    from torch.nn import functional as f  # noqa: PLC0415

    from bench.torch_mirror import prepare  # noqa: PLC0415

    torch.set_num_threads(threads)
    p = prepare(cast(params["vocoder"], np.float32))

    def snake(q: Any, x: Any) -> Any:
        a = q["log_alpha"].exp().clip(1e-4, 100)[:, None]
        return x + torch.sin(a * x) ** 2 / a

    def conv(q: Any, x: Any, dilation: int = 1) -> Any:
        half = q["weight"].shape[-1] // 2 * dilation
        return f.conv1d(x, q["weight"], q["bias"], padding=half, dilation=dilation)

    @torch.inference_mode()
    def vocoder(mel: np.ndarray) -> np.ndarray:
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

    return lambda ids: _parts(params, ids, vocoder)


@blas.one_thread()
def _parts(params: Params, ids: Ids, vocoder: Any) -> Parts:
    *_, (_, mel) = acoustic.stages(params["acoustic"], *ids)
    yield "acoustic model", mel
    yield "vocoder", vocoder(mel)


def drawn(folder: Path) -> str:
    """Weights of the published sizes, at random: the work does not depend on them."""
    rng = np.random.default_rng(0)

    def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
        z = rng.standard_normal(shape).astype(np.float32)
        if name.endswith("log_alpha") or len(shape) == 1:
            return 0.1 * z + (1.8 if name == "duration_head.3.bias" else 0)
        return z / np.float32(np.sqrt(np.prod(shape[1:])))

    tables = {"acoustic": spec.acoustic_tensors(), "vocoder": spec.vocoder_tensors()}
    path = folder / "inflect.safetensors"
    load.save(
        {
            part: nest({name: tensor(name, shape) for name, shape in tensors.items()})
            for part, tensors in tables.items()
        },
        path,
    )
    return str(path)


def _case(params: Params, seconds: float) -> Case:
    ids = tuple(to_ids(_TEXT).ids.values())

    @cache
    def truth() -> np.ndarray:
        *_, (_, wave) = model.stages(params, *ids, dtype=np.float64)
        return wave

    return Case(ids, ids, lambda y: max_abs(y, truth()))


def _long(weights: str) -> Iterator[str]:
    """Long texts, each in a process of its own."""
    rows = []
    for minutes in _MINUTES:
        command = [sys.executable, "-m", "bench.peers.inflect", weights, str(minutes)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        first, rate, most = map(float, done.stdout.split())
        rows.append((f"{minutes} min", f"{first:.2f}", f"{rate:.1f}", f"{most:.0f}"))
    yield ""
    yield "Long texts at 48 kHz, each in a process of its own:"
    columns = ("speech", "first sound after, s", "x real time", "memory at most, MB")
    yield from table(columns, rows)


def read(weights: str, minutes: int) -> None:
    """Speak for so long; print when the first sound came, the speed and the memory."""
    samples, first, wide = 0, 0.0, speech.WIDE
    start = time.perf_counter()
    for sentence in speech.spoken(_TEXT * 1000, weights=weights, sample_rate=wide):
        samples += len(sentence.samples)
        first = first or time.perf_counter() - start
        if samples > 60 * minutes * wide:
            break
    print(first, samples / wide / (time.perf_counter() - start), peak() / 1e6)


SUBJECT = Subject(
    name=load.NAME,
    sample_rate=spec.SAMPLE_RATE,
    about="A sentence. Weights are drawn. Errors are max-abs, against the networks' own float64. "
    "The row of torch has numpy's acoustic model.",
    weights=drawn,
    load=load.load,
    case=_case,
    engines={"novasr_np": in_numpy, "novasr_jax": in_jax, "torch's vocoder": in_torch},
    base="torch's vocoder",
    long=_long,
)

if __name__ == "__main__":
    read(sys.argv[1], int(sys.argv[2]))
