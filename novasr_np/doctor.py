"""Is this installation sound: versions, devices, weights, a self-test, and how fast it is."""

import importlib.metadata
import importlib.util
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from . import __version__, blas, weights
from .api import upsample
from .blocks import available_cores
from .conformance import GRADES, noise
from .model import forward
from .spec import SAMPLE_RATE_IN, TENSORS

_PACKAGES = (
    *("numpy", "soundfile", "safetensors", "tqdm", "soxr", "scipy", "matplotlib"),
    *("jax", "jaxlib", "optax", "onnx", "onnxruntime", "ray", "fsspec", "pyarrow"),
)
# Some outputs for 40 samples of noise and weights of noise (`golden_weights`), from an
# implementation that shares no code with this one (tests/oracle.py). Beyond 80 the front door has
# samples of its own.
_GOLDEN = {
    0: -0.003440449269793383,
    1: -0.07302002373933611,
    50: -0.8412812316956368,
    51: -0.7246400152826034,
}


def examine() -> dict[str, Any]:
    """All that is asked of this machine; "problems" has what is wrong, in words."""
    problems: list[str] = []
    report: dict[str, Any] = {
        "versions": _versions(),
        "machine": {
            "system": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "cores": available_cores(),
            "blas": _blas(),
            "held_to_one_thread": blas.can_hold(),
        },
        "weights": _weights(problems),
        "self_test": _self_test(problems),
        "x_real_time": {"numpy": _speed(upsample)},
    }
    if importlib.util.find_spec("jax"):
        _examine_jax(report, problems)
    return report | {"problems": problems}


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {
        "novasr-np": __version__,
        "python": platform.python_version(),
        "libsndfile": soundfile.__libsndfile_version__,
    }
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def _blas() -> str:
    try:
        found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    except (TypeError, KeyError):  # older than numpy 1.25
        return "unknown"
    return f"{found.get('name')} {found.get('version')}"


def _weights(problems: list[str]) -> dict[str, Any]:
    """What a run would take without --weights, and whether it is as it was shipped."""
    source = os.environ.get("NOVASR_WEIGHTS") or weights.DEFAULT
    try:
        path = weights.weights_path(source)
        sha256 = weights.file_sha256(path)
        weights.load_weights(path)
    except (OSError, ValueError) as error:
        problems.append(f"weights: {error}")
        return {"source": source}
    sums = Path(path).with_name("SHA256SUMS")
    if source in weights.embedded_weights() and sums.exists() and sha256 not in sums.read_text():
        problems.append(f"weights: {path} is not what was shipped: its sha256 is {sha256}")
    return {"source": source, "sha256": sha256}


def golden_weights() -> weights.Params:
    """A set of weights made of `conformance.noise`, the same everywhere, for the self-test."""
    values = noise(sum(_size(name) for name in TENSORS), 1.0).astype(np.float64)
    tree: dict[str, Any] = {}
    for name, (_, shape) in TENSORS.items():
        value, values = values[: _size(name)], values[_size(name) :]
        *path, leaf = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        kept = shape if leaf != "filter" else shape[-1:]
        branch[leaf] = (value / np.sqrt(np.prod(kept[1:]))).reshape(kept)
    return weights.load_weights(tree)


def _size(name: str) -> int:
    return int(np.prod(TENSORS[name][1]))


def golden_input() -> np.ndarray:
    """[40] at 16 kHz."""
    return noise(40, 0.5).astype(np.float64)


def _self_test(problems: list[str]) -> dict[str, float]:
    """name -> the largest error against golden values."""
    params, x = golden_weights(), golden_input()
    errors = {
        "numpy float64": _error(forward(params, x)),
        "numpy float32": _error(forward(params, np.float32(x))),
        "numpy in blocks": _error(upsample(np.float32(x), weights=params)),
    }
    for name, error in errors.items():
        if not error <= (1e-12 if name.endswith("64") else GRADES["float32"]):
            problems.append(f"self-test: {name} is off by {error:.1e}")
    return errors


def _error(y) -> float:
    return float(max(abs(y[n] - value) for n, value in _GOLDEN.items()))


def _speed(run) -> float:
    """How many times as fast as real time a clip of one second is done, the best of three."""
    x = noise(SAMPLE_RATE_IN, 0.3)
    run(x)
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        run(x)
        best = min(best, time.perf_counter() - start)
    return 1 / best


def _examine_jax(report: dict[str, Any], problems: list[str]) -> None:
    try:
        import jax  # noqa: PLC0415

        from novasr_jax import upsample as jax_upsample  # noqa: PLC0415

        report["machine"]["jax_devices"] = [str(device) for device in jax.devices()]
        error = _error(jax_upsample(np.float32(golden_input()), weights=golden_weights()))
        report["self_test"]["jax"] = error
        if not error <= GRADES["float32"]:
            problems.append(f"self-test: jax is off by {error:.1e}")
        report["x_real_time"]["jax"] = _speed(jax_upsample)
    except Exception as error:  # whatever is wrong with a JAX that is installed
        problems.append(f"jax: {type(error).__name__}: {error}")
