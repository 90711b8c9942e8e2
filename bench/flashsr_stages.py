"""Every stage of FlashSR at its published size against the original's, in numpy and JAX.

    python -m bench.flashsr_stages [--weights FILE] [-o bench/FLASHSR_STAGES.md]

Needs NOVASR_SHARED. Of each stage the original's outputs have some values, by index, and mean,
standard deviation, least and most. Errors are max-abs over the stage's standard deviation; exits
with 1 if one is above 1e-4.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from bench.flashsr_case import case, draw, golden_file
from novasr_jax.networks.flashsr import model as in_jax
from novasr_np.networks.flashsr import load, model, spec
from novasr_np.networks.flashsr.mel import denormalise, level
from novasr_np.threads import sharing

_MOST = 1e-4
Stages = Iterator[tuple[str, np.ndarray]]


def by_jax(params: dict, x: np.ndarray, noise: np.ndarray, names: set[str]) -> Stages:
    """Those of `model.stages` that have these names, from the spectrogram on."""
    own = level(np.float64(x))
    given = model.prepare(spec.sizes_of(params), x, own, noise)
    folded = in_jax.fold(params, place=jax.device_put)
    run = jax.jit(lambda *g: {name: y for name, y in in_jax.stages(*g) if name in names})
    for name, y in run(folded, *in_jax.inputs(given)).items():
        first = np.asarray(y)
        signal = name.startswith(("voc.", "mel")) and first.ndim == 3
        yield name, np.moveaxis(first, -1, 1) if first.ndim == 4 or signal else first
        if name == "wave_norm":
            yield "wave", np.asarray(denormalise(first, own), np.float32)


def worst(stages: Stages, golden: dict[str, np.ndarray]) -> dict[str, tuple[int, float]]:
    """Group -> how many stages, and the largest error."""
    found: dict[str, tuple[int, float]] = {}
    for name, y in stages:
        if f"{name}.index" not in golden:
            continue
        if tuple(golden[f"{name}.shape"]) != y.shape:
            sys.exit(f"{name} has shape {y.shape}; expected {golden[f'{name}.shape']}")
        exact = np.float64(y)
        stats = golden[f"{name}.stats"]
        errors = [
            np.abs(exact.reshape(-1)[golden[f"{name}.index"]] - golden[f"{name}.value"]).max(),
            np.abs([exact.mean(), exact.std(), exact.min(), exact.max()] - stats).max(),
        ]
        group = name.split(".")[0]
        count, error = found.get(group, (0, 0.0))
        found[group] = count + 1, max(error, *(float(e / stats[1]) for e in errors))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="where they are drawn to, or have been")
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    golden = golden_file("full")
    given = case(small=False)
    with tempfile.TemporaryDirectory() as folder:
        weights = args.weights or Path(folder) / "flashsr.safetensors"
        if not weights.exists():
            draw(given.sizes, weights)
        params = load.load(weights)
        names = {name.removesuffix(".index") for name in golden if name.endswith(".index")}
        with sharing():
            ours = worst(model.stages(params, given.x, given.noise), golden)
        jaxs = worst(by_jax(params, given.x, given.noise, names), golden)
    lines = ["# FlashSR's stages at the published size", ""]
    lines += ["Written by `python -m bench.flashsr_stages`: max-abs error over a stage's standard"]
    lines += ["deviation, float32 against the original in float64, at worst in each group.", ""]
    lines += ["| stages | how many | numpy | JAX |", "|---|---:|---:|---:|"]
    for group, (count, error) in ours.items():
        its = jaxs.get(group)
        if its and its[0] != count:
            sys.exit(f"JAX has {its[0]} stages {group}, numpy {count}")
        lines.append(f"| {group} | {count} | {error:.1e} | {f'{its[1]:.1e}' if its else ''} |")
    print("\n".join(lines))
    largest = max(error for found in (ours, jaxs) for _, error in found.values())
    if not largest <= _MOST:
        sys.exit(f"an error of {largest:.1e}; at most {_MOST:.0e} is expected")
    if args.output:
        args.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
