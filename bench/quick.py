"""Score weights of airband in a minute, at four rates, as training goes on.

    python -m bench.quick [NAME=]WEIGHTS ... [--visqol]

Means over the VCTK and the BibleTTS clips of ``eval/`` of NOVASR_SHARED, by torchaudio's default
resampler: LSD over all bins and above the input's half rate, levels against the truth in four bands
(kHz) and, above the half rate, in the quietest tenth of the frames (floor), in dB. ViSQOL takes 3 s
a clip more, on each core. `bench.quality` measures the rest.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from bench import metrics
from bench.data import SHARED
from bench.inputs import INPUTS
from bench.quality import visqol_of
from novasr_np import load_weights, upsample

GROUPS = {"VCTK": "vctk", "BibleTTS": "bibletts"}
RATES = ("8 kHz", "12 kHz", "16 kHz", "24 kHz")
COLUMNS = ("LSD", "above", "4.5-7.5", "8.5-12", "12-16", "16-20", "floor", "ViSQOL")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", nargs="+", metavar="[NAME=]WEIGHTS")
    parser.add_argument("--visqol", action="store_true", help="3 s a clip and rate more")
    args = parser.parse_args()
    print(f"{'':32}" + "".join(f"{column:>8}" for column in COLUMNS))
    for source in args.weights:
        name, _, path = source.rpartition("=")
        params = load_weights(path).params
        for group, prefix in GROUPS.items():
            paths = sorted((SHARED / "speech/eval").glob(f"{prefix}*.flac"))
            for kind in RATES:
                with ProcessPoolExecutor() as pool:
                    scores = list(pool.map(partial(score, params, kind, args.visqol), paths))
                means = (
                    np.mean([s for s in column if s is not None])
                    for column in zip(*scores, strict=True)
                )
                title = f"{name or Path(path).stem[:14]}, {group}, {kind}"
                print(f"{title:32}" + "".join(f"{mean:8.2f}" for mean in means), flush=True)


def score(params, kind: str, visqol: bool, path: Path) -> list[float | None]:
    """The columns of one clip."""
    truth, _ = soundfile.read(path)
    rate, split, make = INPUTS[kind]
    y = np.float64(upsample(np.float32(make(truth)), rate, weights=params))[: len(truth)]
    distance = metrics.lsd(y, truth, split)
    values = [distance["all"], distance["high"], *metrics.levels(y, truth)]
    values.append(metrics.noise_floor(y, truth, split))
    return [*values, visqol_of((kind, path.stem, y, truth))] if visqol else values


if __name__ == "__main__":
    main()
