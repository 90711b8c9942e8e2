"""Print the parity table: this code against the original's outputs, max-abs error per case.

    python -m bench.parity

Reads the original's checkpoints and the float64 outputs recorded from it (``golden/``) from the
folder NOVASR_SHARED, by default ``../shared``.
"""

import numpy as np

from bench.material import SHARED, upstream
from novasr_np import forward, load_weights, stages


def main() -> None:
    columns = [column for version in (1, 2) for column in _errors(version)]
    print("| case | samples | peak | v1 float64 | v1 float32 | v2 float64 | v2 float32 |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with np.load(SHARED / "golden/novasr_v1.npz") as golden:
        for case in columns[0]:
            x = golden.get(f"{case}.x")
            shape = f"{x.size} | {np.abs(x).max():.3g}" if x is not None else "64 | "
            print(f"| {case} | {shape} | {' | '.join(f'{c[case]:.1e}' for c in columns)} |")


def _errors(version: int) -> list[dict[str, float]]:
    """For float64 and float32: case -> max-abs error to the original's float64 output."""
    params = load_weights(upstream(f"pytorch_model_v{version}.bin"))
    columns = []
    for dtype in (np.float64, np.float32):
        errors = {}
        with np.load(SHARED / f"golden/novasr_v{version}.npz") as golden:
            for case in dict.fromkeys(key.split(".")[0] for key in golden):
                y = forward(params, golden[f"{case}.x"].astype(dtype))
                errors[case] = float(np.abs(y - golden[f"{case}.y"]).max())
        with np.load(SHARED / f"golden/novasr_v{version}_stages.npz") as golden:
            activations = stages(params, golden["x"].astype(dtype))
            errors["worst of its 13 stages"] = max(
                float(np.abs(activation - golden[name]).max()) for name, activation in activations
            )
        columns.append(errors)
    return columns


if __name__ == "__main__":
    main()
