"""FlashSR: numpy and JAX beside torch, on one window of 5.12 s, or 0.64 s of a small one."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench import flashsr_case
from novasr_np.networks.flashsr import load, model, spec
from novasr_np.networks.flashsr.mel import denormalise, level
from novasr_np.networks.record import Level, Params
from novasr_np.threads import sharing

from .subject import Case, Subject

# The last of the model's stages in each part, and what the part is called.
_PARTS = {
    "mel": "spectrogram",
    "cond": "encoder",
    "x0": "U-Net",
    "mel_out": "decoder",
    "wave": "vocoder",
}

Windows = tuple[np.ndarray, np.ndarray]  # x [1, T] and noise [1, Z, T / 3840, M / 8]
Parts = Iterator[tuple[str, np.ndarray]]


def in_numpy(params: Params, threads: int, windows: Windows) -> Any:
    def run(windows: Windows) -> Parts:
        with sharing(threads):
            for name, y in model.stages(params, *windows):
                if name in _PARTS:
                    yield _PARTS[name], y

    return _begun(run, windows)


def in_jax(params: Params, threads: int, windows: Windows) -> Any:
    import jax  # noqa: PLC0415

    from novasr_jax.networks.flashsr import model as in_jax  # noqa: PLC0415

    p = in_jax.fold(params, place=jax.device_put)
    jitted = jax.jit(partial(in_jax.forward, precision="highest"))
    program = jitted.lower(p, *in_jax.inputs(_given(params, *windows)[0])).compile()

    def run(windows: Windows) -> Parts:
        given, own = _given(params, *windows)
        yield "spectrogram", given.mel
        yield "all behind it", denormalise(np.asarray(program(p, *in_jax.inputs(given))), own)

    return run


def in_torch(params: Params, threads: int, windows: Windows) -> Any:
    import torch  # noqa: PLC0415

    from bench import flashsr_torch  # noqa: PLC0415

    torch.set_num_threads(threads)
    p = flashsr_torch.prepare(params)

    def run(windows: Windows) -> Parts:
        given, own = _given(params, *windows)
        yield "spectrogram", given.mel
        arrays = (torch.from_numpy(a) for a in (given.normalised, given.mel, given.noise))
        for name, y in flashsr_torch.stages(p, *arrays):
            yield name, denormalise(y.numpy(), own) if name == "vocoder" else y.numpy()

    return _begun(run, windows)


def _begun(run: Any, windows: Windows) -> Any:
    """The same, after a first 0.64 s: a whole window would take a minute."""
    x, noise = windows
    for _ in run((x[:, : spec.STEP], np.ascontiguousarray(noise[:, :, :8]))):
        pass
    return run


def _given(params: Params, x: np.ndarray, noise: np.ndarray) -> tuple[model.Inputs, Level]:
    """What the networks take, and the level that they do not know."""
    own = level(x.astype(np.float64))
    given = model.prepare(spec.sizes_of(params), x, own, noise)
    return given, Level(*(part.astype(x.dtype) for part in own))


def _subject(name: str, small: bool) -> Subject:
    def case(params: Params, seconds: float) -> Case:
        given = flashsr_case.case(small)
        return Case((given.x, given.noise), None, given.error)

    def weights(folder: Path) -> str:
        path = folder / "flashsr.safetensors"
        flashsr_case.draw(flashsr_case.case(small).sizes, path)
        return str(path)

    return Subject(
        name=name,
        sample_rate=spec.SAMPLE_RATE,
        about="One window in float32. Weights are drawn, and mapped from one file by all. Errors "
        "are max-abs against the original in float64, over its standard deviation.",
        weights=weights,
        load=load.load,
        case=case,
        engines={"novasr_np": in_numpy, "novasr_jax": in_jax, "torch mirror": in_torch},
        base="torch mirror",
    )


SUBJECT, SMALL = _subject("FlashSR", small=False), _subject("FlashSR-small", small=True)
