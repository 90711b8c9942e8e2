"""Print the parity table: the max-abs error of this code to the original's float64 outputs.

    python -m bench.parity [--all]

Reads the original's checkpoints and outputs recorded from it (``golden/``) from the folder
NOVASR_SHARED, by default ``../shared``. --all: a row for every case, not for each kind.
"""

import sys

import numpy as np

from bench.material import SHARED, upstream
from novasr_np import forward, load_weights, stages, upsample


def main(every_case: bool) -> None:
    columns = [_errors(version, dtype) for version in (1, 2) for dtype in (np.float64, np.float32)]
    print("| against the original | v1 float64 | v1 float32 | v2 float64 | v2 float32 |")
    print("|---|---:|---:|---:|---:|")
    rows: dict[str, list[tuple[str, str]]] = {}
    for kind, case in columns[0]:
        rows.setdefault(case if every_case else kind, []).append((kind, case))
    for name, keys in rows.items():
        worst = (max(column[key] for key in keys) for column in columns)
        count = "" if every_case else f" ({len(keys)})"
        print(f"| {name}{count} | {' | '.join(f'{error:.1e}' for error in worst)} |")


def _errors(version: int, dtype: type) -> dict[tuple[str, str], float]:
    """(kind, case) -> max-abs error of this code, run in `dtype`."""
    params = load_weights(upstream(f"pytorch_model_v{version}.bin"))
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
    main("--all" in sys.argv[1:])
