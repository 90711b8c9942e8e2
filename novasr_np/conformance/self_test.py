"""Check this installation: versions, devices, weights, a self-test of each network, speed."""

import importlib.metadata
import importlib.util
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from .. import blas, weights
from ..api import upsample
from ..networks import NETWORKS, Network
from ..networks.record import Params, Ports
from ..tensors import nest
from ..threads import available_cores
from ..version import __version__
from ..weights import Weights
from .cases import noise
from .trial import GRADES

# fmt: off
_PACKAGES = (
    "numpy", "soundfile", "safetensors", "tqdm", "soxr", "scipy", "matplotlib",
    "jax", "jaxlib", "optax", "onnx", "onnxruntime", "ray", "fsspec", "pyarrow",
)
# fmt: on


def examine() -> dict[str, Any]:
    """Examine this installation; "problems" holds a message for each fault."""
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
    """Describe the default weights, and check that they are unchanged."""
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
        problems.append(f"weights: {path} differs from the file shipped: its sha256 is {sha256}")
    return {"source": source, "sha256": sha256}


def noise_weights(network: Network) -> Params:
    """Make a set of weights of `noise`, the same everywhere, for the self-test; float64."""
    sizes = {name: int(np.prod(shape)) for name, shape in network.weights.tensors.items()}
    values = noise(sum(sizes.values()), 1.0).astype(np.float64)
    flat = {}
    for name, shape in network.weights.tensors.items():
        value, values = values[: sizes[name]], values[sizes[name] :]
        if name.endswith(".filter"):  # near a mean, else the levels of deep networks would explode
            flat[name] = (1 + value) / sizes[name]
        else:
            flat[name] = (value / np.sqrt(np.prod(shape[1:]))).reshape(shape)
    return nest(flat)


def noise_input() -> np.ndarray:
    """Make the self-test's input, [40] float64."""
    return noise(40, 0.5).astype(np.float64)


def _self_test(problems: list[str]) -> dict[str, float]:
    """Measure the largest error of each network against the values in its record."""
    errors: dict[str, float] = {}
    for network, ports in _with_self_test():
        params, x = noise_weights(network), noise_input()
        edge = network.rate_in / 2 if network.takes else None
        runs = {
            "numpy float64": network.compute.forward(params, x),
            "numpy float32": network.compute.forward(params, np.float32(x)),
            "numpy in blocks": upsample(np.float32(x), weights=Weights(network, params), edge=edge),
        }
        for name, y in runs.items():
            most = 1e-12 if name.endswith("64") else GRADES["float32"]
            _judge(f"{network.name}, {name}", ports, y, most, errors, problems)
    return errors


def _with_self_test() -> list[tuple[Network, Ports]]:
    return [(network, network.ports) for network in NETWORKS.values() if network.ports]


def _judge(
    name: str,
    ports: Ports,
    y: np.ndarray,
    most: float,
    errors: dict[str, float],
    problems: list[str],
) -> None:
    error = float(max(abs(y[n] - value) for n, value in ports.self_test.items()))
    errors[name] = error
    if not error <= most:
        problems.append(f"self-test: {name} is off by {error:.1e}")


def _speed(run: Callable[[np.ndarray], Any]) -> float:
    """Speed relative to real time for a clip of one second, the best of three runs."""
    rate = next(iter(NETWORKS.values())).rate_in
    x = noise(rate, 0.3)
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
        for network, ports in _with_self_test():
            y = np.asarray(
                jax_upsample(
                    np.float32(noise_input()), weights=Weights(network, noise_weights(network))
                )
            )
            name = f"{network.name}, jax"
            _judge(name, ports, y, GRADES["float32"], report["self_test"], problems)
        report["x_real_time"]["jax"] = _speed(jax_upsample)
    except Exception as error:  # an installed JAX may fail in any way
        problems.append(f"jax: {type(error).__name__}: {error}")
