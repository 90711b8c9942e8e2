"""Whether `novasr verify` raises a false alarm for right ports, over many drawings of weights.

    python -m bench.kit [-n 1000]

Right ports differ by the order of their sums, by float32, by 16-bit outputs, by denormals that are
flushed to zero. Every drawing tries the fast engine and one of the others in turn, on another third
of the short cases.
"""

import argparse
import importlib.util
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from novasr_np import Stream, upsample
from novasr_np.conformance.cases import cases
from novasr_np.conformance.verify import verify
from novasr_np.networks import NETWORKS, Network
from novasr_np.networks.record import Facts, Params
from novasr_np.tensors import nest
from novasr_np.weights import Weights

_NETWORKS = ("NovaSR", "airband")
_MOST_SAMPLES = 2000  # of a short case
_ALWAYS = "fast engine"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=1000, help="drawings of weights; default: 1000")
    drawings = parser.parse_args().n
    for name in _NETWORKS:
        network = NETWORKS[name]
        short = [case for case in cases(network, 0) if len(case.x) <= _MOST_SAMPLES]
        grades: dict[str, Counter[str]] = {}
        alarms: list[str] = []
        for seed in range(drawings):
            weights = Weights(network, drawn(network, seed))
            tried = short[seed % 3 :: 3]
            kinds = ports(weights)
            others = [kind for kind in kinds if kind != _ALWAYS]
            for kind in (_ALWAYS, others[seed % len(others)]):
                report = verify(kinds[kind], weights, tried)
                grades.setdefault(kind, Counter())[report.grade] += 1
                if report.faults or report.grade not in ("bit-near", "float32"):
                    alarms.append(f"{name}, seed {seed}, {kind}: {report.faults}")
        print(f"{name}: {drawings} drawings of weights, {len(alarms)} false alarms")
        for kind, counts in sorted(grades.items()):
            print(f"  {kind}: {', '.join(f'{n} {g}' for g, n in counts.most_common())}")
        print(*alarms, sep="\n", end="\n" if alarms else "")


def drawn(network: Network, seed: int) -> Params:
    """Random weights in float16's numbers, at a scale that keeps outputs near full scale."""
    rng = np.random.default_rng(seed)
    flat = {}
    for name, shape in network.weights.tensors.items():
        if name.endswith(".filter"):
            value = rng.normal(1 / 12, 0.05, shape)
        elif name.endswith("weight"):
            value = rng.normal(0, 0.7 / np.sqrt(np.prod(shape[1:])), shape)
        else:
            value = rng.normal(0, 0.3, shape)
        flat[name] = value.astype(np.float16).astype(np.float32)
    return nest(flat)


def ports(weights: Weights) -> dict[str, Callable[..., np.ndarray]]:
    """Right ports, by what differs."""
    network = weights.network

    def plain(x: np.ndarray, rate: int, edge: int | None = None) -> np.ndarray:
        place = network.for_rate(rate).place(0, Facts(rate, 1, edge))
        return network.compute.forward(weights.params, np.float32(x), **place)

    def fast(x: np.ndarray, rate: int, edge: int | None = None) -> np.ndarray:
        return upsample(np.float32(x), rate, weights=weights, edge=edge)

    def stream(x: np.ndarray, rate: int, edge: int | None = None) -> np.ndarray:
        with Stream(sample_rate=rate, weights=weights, edge=edge) as sound:
            starts = range(0, len(x), 333)
            return np.concatenate([sound.push(x[n : n + 333], n == starts[-1]) for n in starts])

    def sixteen(x: np.ndarray, rate: int, edge: int | None = None) -> np.ndarray:
        return np.float32(np.rint(fast(x, rate, edge) * np.float32(32768))) / 32768

    def flushed(x: np.ndarray, rate: int, edge: int | None = None) -> np.ndarray:
        x = np.where(np.abs(x) < np.finfo(np.float32).tiny, 0, x)
        y = plain(x, rate, edge)
        return np.where(np.abs(y) < np.finfo(np.float32).tiny, 0, y)

    found: dict[str, Any] = {
        "float32, as the formulas": plain,
        _ALWAYS: fast,
        "stream in pieces of 333": stream,
        "16 bits out": sixteen,
        "denormals flushed": flushed,
    }
    if importlib.util.find_spec("jax"):
        from novasr_jax import upsample as in_jax  # noqa: PLC0415

        def jax(x: np.ndarray, rate: int, edge: int | None = None) -> np.ndarray:
            told = {} if network.takes is None else {"edge": edge}
            return np.asarray(in_jax(np.float32(x), rate, weights=weights, **told))

        found["jax"] = jax
    return found


if __name__ == "__main__":
    main()
