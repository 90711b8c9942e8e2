"""Score weights of airband in a minute, at four rates, as training goes on.

    python -m bench.quick [NAME=]WEIGHTS ... [--visqol] [--int8 [-o bench/QUALITY.md]]

Means over the VCTK and the BibleTTS clips of ``eval/`` of NOVASR_SHARED, by torchaudio's default
resampler; columns as in QUALITY.md. ViSQOL takes a second a clip and rate more. `bench.quality`
measures the rest. With --int8 the weights are also scored in 8 bits, and the differences told.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from bench.quality import (
    COLUMNS,
    GROUPS,
    LEVELS,
    MAIN,
    TRUTH,
    as_it_is,
    clips,
    recording,
    scores_of,
)
from bench.report import quote
from bench.timing import table
from novasr_np import load_weights
from novasr_np.tensors import dequantise, flatten, nest, quantise

SHOWN = [column for column in COLUMNS if column != "below"]
_DIFFERENCES = [column for column in SHOWN if column in ("LSD", "above", *LEVELS)]
_INT8 = ", int8"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", nargs="+", metavar="[NAME=]WEIGHTS")
    parser.add_argument("--visqol", action="store_true", help="a second a clip and rate more")
    parser.add_argument("--int8", action="store_true", help="the same weights in 8 bits, too")
    parser.add_argument("-o", "--output", help="file that quotes the differences of --int8")
    args = parser.parse_args()
    systems, names = {TRUTH: recording}, []
    for source in args.weights:
        name, _, path = source.rpartition("=")
        names.append(name or Path(path).stem)
        params = load_weights(path).params
        systems[names[-1]] = partial(as_it_is, params)
        if args.int8:
            systems[names[-1] + _INT8] = partial(as_it_is, _rounded(params))
    means: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    with ProcessPoolExecutor() as pool:
        for kind in MAIN:
            for group in ("VCTK", "BibleTTS"):
                paths = clips(GROUPS[group])
                found = list(pool.map(partial(scores_of, kind, systems, args.visqol), paths))
                print(f"{f'{kind}, {group}':24}" + "".join(f"{column:>12}" for column in SHOWN))
                scores = means[kind, group] = {
                    name: {c: _mean([clip[name].get(c) for clip in found]) for c in SHOWN}
                    for name in systems
                }
                for name, values in scores.items():
                    print(f"{name:24}" + "".join(map(_cell, values.values())), flush=True)
    if args.int8:
        lines = list(_differences(means, names))
        print("", *lines, sep="\n")
        if args.output:
            quote(args.output, "int8", lines)


def _rounded(params):
    tensors = flatten(params)
    return nest(dequantise(tensors | quantise(tensors)))


def _differences(means, names):
    """Of the means in 8 bits from those of the weights as they are."""
    yield f"Written by `python -m bench.quick {' '.join(names)} --int8`: the means above"
    yield "with the matrices in 8 bits, less those of the weights as they are."
    rows, largest = [], {}
    for (kind, group), scores in means.items():
        for name in names:
            by = {c: scores[name + _INT8][c] - scores[name][c] for c in _DIFFERENCES}
            cells = (f"{d:+.3f}" if np.isfinite(d) else "-" for d in by.values())
            rows.append((f"{group}, {kind}: {name}", *cells))
            for c, d in by.items():
                unit = "dB" if c in LEVELS else "LSD"
                largest[name, unit] = np.fmax(largest.get((name, unit), 0), abs(d))
    yield from table(("", *(f"{c} kHz, dB" if c in LEVELS else c for c in _DIFFERENCES)), rows)
    yield ""
    for name in names:
        distance, level = (largest[name, unit] for unit in ("LSD", "dB"))
        yield f"- The largest of {name}: {distance:.3f} of LSD, {level:.2f} dB."


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None and not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


def _cell(value: float) -> str:
    return f"{'-':>12}" if np.isnan(value) else f"{value:12.2f}"


if __name__ == "__main__":
    main()
