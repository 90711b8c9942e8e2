"""Measure parity: the max-abs error of this code to the original's float64 outputs.

    python -m bench.parity [-o bench/PARITY.md]

Reads the original's checkpoints and outputs recorded from it (``golden/``) from the folder
NOVASR_SHARED, by default ``../shared``. -o writes the page, and quotes it in the README.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.data import SHARED, upstream
from bench.report import quote
from novasr_np import forward, load_weights, stages, upsample

KINDS = [(version, dtype) for version in (1, 2) for dtype in (np.float64, np.float32)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    columns = [_errors(*kind) for kind in KINDS]
    text = "\n".join(_page(columns)) + "\n"
    print(text)
    if args.output:
        args.output.write_text(text)
        quote("README.md", "parity", _fact(columns))


def _page(columns) -> Iterator[str]:
    yield "# Parity with the original"
    yield ""
    yield "Written by `make parity`: the maximum absolute error to outputs recorded from the"
    yield "original in float64, with its published weights v1 and v2; number of cases in brackets."
    yield ""
    yield from _table(columns, every_case=False)
    yield ""
    yield "`upsample` is compared but for the outputs of the last 13 input samples, which it"
    yield "defines its own way. Case by case:"
    yield ""
    yield from _table(columns, every_case=True)


def _fact(columns) -> Iterator[str]:
    """For the README: the errors of the front door and the bare network in [-1, 1], v1 and v2."""
    worst = dict.fromkeys((np.float64, np.float32), 0.0)
    for (_, dtype), column in zip(KINDS, columns, strict=True):
        inside = (error for (kind, _), error in column.items() if "within" in kind)
        worst[dtype] = max(worst[dtype], *inside)
    double, single = (f"{error:.1e}".replace("e-0", "e-") for error in worst.values())
    yield (
        f"NovaSR is within {double} of the original's outputs in float64, and {single} in float32,"
    )
    yield "for input within full scale, whatever the length and however it is cut."


def _table(columns, every_case: bool) -> Iterator[str]:
    heads = (f"v{version} {np.dtype(dtype).name}" for version, dtype in KINDS)
    yield f"| against the original | {' | '.join(heads)} |"
    yield "|---|" + "---:|" * len(KINDS)
    rows: dict[str, list[tuple[str, str]]] = {}
    for kind, case in columns[0]:
        rows.setdefault(case if every_case else kind, []).append((kind, case))
    for name, keys in rows.items():
        worst = (max(column[key] for key in keys) for column in columns)
        count = "" if every_case else f" ({len(keys)})"
        yield f"| {name}{count} | {' | '.join(f'{error:.1e}' for error in worst)} |"


def _errors(version: int, dtype: type) -> dict[tuple[str, str], float]:
    """(kind, case) -> max-abs error of this code, run in `dtype`."""
    params = load_weights(upstream(f"pytorch_model_v{version}.bin")).params
    errors = {}
    with np.load(SHARED / f"golden/novasr_v{version}.npz") as golden:
        for case in dict.fromkeys(key.split(".")[0] for key in golden):
            x, want = golden[f"{case}.x"].astype(dtype), golden[f"{case}.y"]
            level = "within [-1, 1]" if np.abs(x).max() <= 1 else "louder"
            errors[f"`forward`, {level}", case] = _worst(forward(params, x), want)
            # The front door's last 13 samples are its own: two zeros follow them.
            same = max(0, 3 * (x.size - 13))
            if same:
                y = upsample(x, weights=params)
                name = f"{case}, upsample"
                errors[f"`upsample`, {level}", name] = _worst(y[:same], want[:same])
    with np.load(SHARED / f"golden/novasr_v{version}_stages.npz") as golden:
        for name, activation in stages(params, golden["x"].astype(dtype)):
            errors["each stage of a short clip", name] = _worst(activation, golden[name])
    return errors


def _worst(got: np.ndarray, want: np.ndarray) -> float:
    return float(np.abs(got - want).max())


if __name__ == "__main__":
    main()
