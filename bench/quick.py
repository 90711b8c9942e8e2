"""Score weights of airband in a minute, at four rates, as training goes on.

    python -m bench.quick [NAME=]WEIGHTS ... [--visqol]

Means over the VCTK and the BibleTTS clips of ``eval/`` of NOVASR_SHARED, by torchaudio's default
resampler; columns as in QUALITY.md. ViSQOL takes a second a clip and rate more. `bench.quality`
measures the rest.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from bench.quality import COLUMNS, GROUPS, MAIN, TRUTH, as_it_is, clips, recording, scores_of
from novasr_np import load_weights

SHOWN = [column for column in COLUMNS if column != "below"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", nargs="+", metavar="[NAME=]WEIGHTS")
    parser.add_argument("--visqol", action="store_true", help="a second a clip and rate more")
    args = parser.parse_args()
    systems = {TRUTH: recording}
    for source in args.weights:
        name, _, path = source.rpartition("=")
        systems[name or Path(path).stem] = partial(as_it_is, load_weights(path).params)
    with ProcessPoolExecutor() as pool:
        for kind in MAIN:
            for group in ("VCTK", "BibleTTS"):
                paths = clips(GROUPS[group])
                found = list(pool.map(partial(scores_of, kind, systems, args.visqol), paths))
                print(f"{f'{kind}, {group}':24}" + "".join(f"{column:>12}" for column in SHOWN))
                for name in systems:
                    cells = (
                        _mean([scores[name].get(column) for scores in found]) for column in SHOWN
                    )
                    print(f"{name:24}" + "".join(cells), flush=True)


def _mean(values: list[float | None]) -> str:
    known = [value for value in values if value is not None and not np.isnan(value)]
    return f"{np.mean(known):12.2f}" if known else f"{'-':>12}"


if __name__ == "__main__":
    main()
