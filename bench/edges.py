"""Where the sound of real clips is found to end, behind filters and telephones.

    python -m bench.edges [-o bench/EDGES.md]

Needs NOVASR_SHARED. Each clip of ``speech/eval``, and one of two of ``speech/train_fullband`` that
are sampled at 48 kHz, through filters that leak, filters that are steep and a telephone; at their
own rate, and once more inside a file at 48 kHz.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from novasr_np.dsp import band
from novasr_np.dsp.resample import resample

from .data import SHARED
from .inputs import RATE, chebyshev, leaky, steep, telephone

_SHORTEST = 1.0  # s


def inputs() -> dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]]:
    """Inputs by name: their rate, and what makes them of a clip at 48 kHz."""
    made: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
        "as recorded": (RATE, lambda x: x)
    }
    for rate in (8000, 12_000, 16_000, 24_000):
        for filtered in (leaky, chebyshev, steep):
            name = f"{rate // 1000} kHz, {filtered.__name__}"
            made[name] = rate, lambda x, f=filtered, r=rate: f(x, r)
            wide = f"{name}, in a file at 48 kHz"
            if filtered is steep:
                made[wide] = (
                    RATE,
                    lambda x, f=filtered, r=rate: resample(f(x, r), r, RATE, "steep"),
                )
    made["telephone"] = 8000, telephone
    made["telephone, in a file at 48 kHz"] = (
        RATE,
        lambda x: resample(telephone(x), 8000, RATE, "steep"),
    )
    return made


def clips() -> list[np.ndarray]:
    """The clips, [T] at 48 kHz."""
    paths = sorted((SHARED / "speech/eval").glob("*.flac"))
    paths += sorted((SHARED / "speech/train_fullband").glob("*"))[::2]
    found = []
    for path in paths:
        x, rate = soundfile.read(path, always_2d=True)
        if rate == RATE and len(x) >= _SHORTEST * rate:
            found.append(x[:, 0])
    if not found:
        sys.exit(f"no speech in {SHARED}: set NOVASR_SHARED to the folder with it")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    sounds = clips()
    lines = [
        "# Edges found",
        "",
        f"`python -m bench.edges` on {len(sounds)} clips of speech: in how many no end was found "
        "below half the rate, and where it was found in the others, in kHz.",
        "",
        "| input | none | lowest | middle half | highest | most often |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, (rate, make) in inputs().items():
        edges = [band.edge([make(x)[np.newaxis]], rate) for x in sounds]
        found = np.array([edge for edge in edges if edge is not None]) / 1000
        row = ["-"] * 4
        if len(found):
            low, first, last, high = np.quantile(found, [0, 0.25, 0.75, 1])
            often = ", ".join(f"{e:.2f} ({n})" for e, n in Counter(found).most_common(3))
            row = [f"{low:.2f}", f"{first:.2f} .. {last:.2f}", f"{high:.2f}", often]
        lines.append(f"| {name} | {edges.count(None)} | {' | '.join(row)} |")
        print(lines[-1], flush=True)
    if args.output:
        args.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
