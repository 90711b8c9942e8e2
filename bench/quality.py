"""Score networks and weights against real full-band speech; write QUALITY.md and a figure.

    python -m bench.quality [NAME=WEIGHTS ...] [--outputs NAME=FOLDER ...] [-o bench/QUALITY.md]

Clip by clip on ``eval/`` of NOVASR_SHARED, which nobody trains on, through the inputs of
`bench.inputs`: sinc interpolation, the embedded weights of airband and each NAME at every rate; at
16 kHz NovaSR's v1 and v2, our weights for it, and its parent SpeechSR-48k, too, as bare networks.
WEIGHTS is a file or a name, FOLDER has outputs at 48 kHz for the first input at 16 kHz, named like
the truth. `bench.quick` scores weights in a minute.
"""

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from bench import metrics
from bench.data import SHARED, upstream
from bench.inputs import INPUTS
from bench.pictures import Panel, draw
from bench.report import quote, quoted
from novasr_np import load_weights, upsample
from novasr_np.dsp.resample import resample
from novasr_np.pipeline.arrays import run_bare
from novasr_np.pipeline.backend import Backend
from novasr_np.weights import as_weights, embedded_weights

RATE = 48_000  # Hz
GROUPS = {"VCTK": "vctk", "BibleTTS": "bibletts", "TSP": "tsp"}
MAIN = ("8 kHz", "12 kHz", "16 kHz", "24 kHz")
TRUTH = "the recording"
BEATS = [f"beat {low / 1000:g}-{high / 1000:g}" for low, high in metrics.BEAT_BANDS]
LEVELS = [f"{low / 1000:g}-{high / 1000:g}" for low, high in metrics.LEVEL_BANDS]
COLUMNS = ("ViSQOL", "LSD", "above", "below", *LEVELS, "floor", *BEATS, "before")
WITH_RANGE = ("ViSQOL", "LSD")
SEAMS = ("8 kHz, steep", "Telephone", "12 kHz, steep", "16 kHz, steep", "24 kHz, steep")
# LSD and ViSQOL as published, on the whole of VCTK's test speakers: AP-BWE's table (arXiv
# 2401.06387), by its code. Other clips of the same corpus than ours.
PUBLISHED = {
    "sinc, published": ((2.94, 2.07), (2.75, 2.09), (2.57, 2.26), (2.17, 2.99)),
    "NU-Wave2, 1.8 M, published": ((1.09, 2.48), (0.94, 2.75), (0.86, 3.00), (0.72, 3.74)),
    "UDM+, published": ((1.03, 2.81), (0.88, 3.08), (0.79, 3.35), (0.64, 4.02)),
    "AP-BWE, 29.8 M, published": ((0.84, 3.35), (0.78, 3.46), (0.72, 3.70), (0.61, 4.25)),
}
FIGURE = {  # input -> clip, and seconds from .. to
    "Telephone": ("vctk-test8_spkunk_apbwe-8kto48k", 1.1, 1.65),
    "16 kHz, steep": ("vctk_spkunk_flashsr-00", 1.22, 1.77),
}

System = Callable[[Path, np.ndarray, int], np.ndarray]  # (clip, input, its rate) -> output


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", nargs="*", metavar="NAME=WEIGHTS")
    parser.add_argument("--outputs", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("-o", "--output", type=Path, help="QUALITY.md, with quality.png beside it")
    parser.add_argument("--json", type=Path, help="the scores of every clip")
    parser.add_argument(
        "--visqol",
        nargs="*",
        choices=tuple(INPUTS),
        default=MAIN,
        metavar="INPUT",
        help="inputs with ViSQOL, which takes seconds a clip; default: " + ", ".join(MAIN),
    )
    args = parser.parse_args()

    paths = clips(*GROUPS.values())
    every, wide = systems(pair.split("=", 1) for pair in args.weights)
    given = {
        name: partial(from_folder, Path(folder))
        for name, folder in (pair.split("=", 1) for pair in args.outputs)
    }
    results: dict[str, dict[str, dict[str, dict]]] = {}
    with ProcessPoolExecutor() as pool:
        for kind, (rate, _, _) in INPUTS.items():
            chosen = every | (wide if rate == 16_000 else {}) | (given if kind == "16 kHz" else {})
            measure = partial(scores_of, kind, chosen, kind in args.visqol)
            for path, scores in zip(paths, pool.map(measure, paths), strict=True):
                for name, values in scores.items():
                    results.setdefault(kind, {}).setdefault(name, {})[path.stem] = values
            print(kind, flush=True)
    text = report(results)
    print(text)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    if args.output:
        figure(args.output.with_name("quality.png"))
        in_8_bits = quoted("bench/QUALITY.md", "int8")  # by `bench.quick`
        args.output.write_text(f"{text}\n## In 8 bits\n\n{in_8_bits}")
        quote("weights/README.md", "quality", _excerpt(results))
        quote("README.md", "quality", _in_short(results))


def clips(*prefixes: str) -> list[Path]:
    """The files of ``eval/`` whose names begin with a prefix, by group; or an exit."""
    folder = SHARED / "speech/eval"
    paths = [path for prefix in prefixes for path in sorted(folder.glob(f"{prefix}*.flac"))]
    if not paths:
        sys.exit(f"no speech in {SHARED}: set NOVASR_SHARED to the folder with it")
    return paths


def systems(more) -> tuple[dict[str, System], dict[str, System]]:
    """By name, those for every rate and those for 16 kHz alone; more: pairs (name, weights)."""
    every: dict[str, System] = {TRUTH: recording, "sinc": interpolated}
    wide: dict[str, System] = {
        "v1": bare("pytorch_model_v1.bin"),
        "v2": bare("pytorch_model_v2.bin"),
        "SpeechSR-48k": bare("speechsr/speechsr48k_G_100000.pth"),
    }
    for name, source in [*((name, name) for name in embedded_weights()), *more]:
        params = load_weights(source).params
        if as_weights(params).network.takes:
            every[name] = partial(as_it_is, params)
        else:
            wide[name] = partial(alone, params)
    return every, wide


def recording(path: Path, x: np.ndarray, rate: int) -> np.ndarray:
    return soundfile.read(path)[0]


def interpolated(path: Path, x: np.ndarray, rate: int) -> np.ndarray:
    return resample(x, rate, RATE, "hann")


def as_it_is(params, path: Path, x: np.ndarray, rate: int) -> np.ndarray:
    return upsample(np.float32(x), rate, weights=params, threads=1)


def alone(params, path: Path, x: np.ndarray, rate: int) -> np.ndarray:
    with Backend(threads=1).open(as_weights(params)) as runner:
        return run_bare(runner, np.float32(x)[np.newaxis])[0]


def bare(name: str) -> System:
    return partial(alone, load_weights(upstream(name)).params)


def from_folder(folder: Path, path: Path, x: np.ndarray, rate: int) -> np.ndarray:
    (found,) = folder.glob(f"{path.stem}*.*")
    y, found_rate = soundfile.read(found)
    assert found_rate == RATE, found
    return y


def scores_of(kind: str, chosen: dict[str, System], visqol: bool, path: Path) -> dict[str, dict]:
    """System -> measure -> score of one clip by an input of INPUTS. ViSQOL only if asked for."""
    rate, edge, make = INPUTS[kind]
    truth, truth_rate = soundfile.read(path)
    assert truth_rate == RATE, path
    x, frames, scores = make(truth), metrics.voiced(truth), {}
    for name, system in chosen.items():
        y = np.float64(system(path, x, rate))
        samples = min(len(y), len(truth))
        scores[name] = score(y[:samples], truth[:samples], edge, frames)
        if visqol and name != TRUTH:
            scores[name]["ViSQOL"] = visqol_of(y[:samples], truth[:samples])
    return scores


def score(y, truth, edge: int, frames: metrics.Voiced) -> dict[str, float | list[float]]:
    """Every measure but ViSQOL, those of bands where the band lies above the edge."""
    distance = metrics.lsd(y, truth, edge)
    values: dict[str, float | list[float]] = {
        "LSD": distance["all"],
        "above": distance["high"],
        "below": distance["low"],
    }
    for name, band in zip(LEVELS, metrics.LEVEL_BANDS, strict=True):
        if band[1] > edge:
            (values[name],) = metrics.levels(y, truth, [band])
    values["floor"] = metrics.noise_floor(y, truth, edge)
    for name, band in zip(BEATS, metrics.BEAT_BANDS, strict=True):
        if band[0] >= edge:
            values[name] = metrics.beat(y, frames, band)
    values["before"] = metrics.before_onsets(y, truth, edge)
    return values | {"seam": metrics.seam(y, truth, edge)}


def visqol_of(y: np.ndarray, truth: np.ndarray) -> float | None:
    """MOS-LQO in audio mode, of 16-bit files; None where a clip is too short for it."""
    from visqol import VisqolApi  # noqa: PLC0415

    api = VisqolApi()
    api.create(mode="audio")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, samples in (("truth", truth), ("y", y)):
            soundfile.write(f"{folder}/{name}.wav", metrics.pcm16(samples), RATE)
        try:
            return float(api.measure(f"{folder}/truth.wav", f"{folder}/y.wav").moslqo)
        except (ValueError, IndexError, RuntimeError):
            return None


def report(results) -> str:
    lines = [
        "# Quality",
        "",
        "Written by `make quality`. Speech nobody trained on, made narrow in several ways "
        "([`inputs.py`](inputs.py)) and wide again; means over clips and, in brackets, the middle "
        "95 % of bootstrapped means. v1 and v2 are NovaSR's own weights, SpeechSR-48k its parent: "
        "like novasr-open they take 16 kHz only, as bare networks. Some settings of training were "
        "chosen by these clips' scores: see [weights/README.md](../weights/README.md).",
        "",
        "- **ViSQOL** estimates a listener's score, 1 to 5; of the main inputs. **LSD** is the "
        "log-spectral distance as in AP-BWE's code, over all bins, **above** the edge of the input "
        "and **below** it. Lower is better.",
        "- **4.5-7.5** .. **16-20** are levels against the recording in bands (kHz), **floor** the "
        "level above the edge in the quietest tenth of the frames, in dB.",
        "- **beat** says how periodic the envelope of a band (kHz) is at the voice's pitch, where "
        "the recording is clearly voiced: the autocorrelation, at the pitch period, of the band's "
        "Hilbert envelope from 80 to 500 Hz. The recording's own is in the first row. Noise has "
        "0, and sounds hoarse.",
        "- **before** is how much louder than the recording it is above the edge in the 10 ms "
        "before plosives and other onsets, where the recording rises by 15 dB; in dB.",
        "",
        "[`metrics.py`](metrics.py) has the definitions. Published rows are those of AP-BWE's "
        "table (arXiv 2401.06387), on all of VCTK's test speakers by that code, and with the "
        "parameters that are stated: other clips of the same corpus, so that they tell the order, "
        "and no more.",
        "",
        "![Spectrograms of a telephone's and a 16 kHz clip: before, after, the recording]"
        "(quality.png)",
    ]
    for kind, scores in results.items():
        lines += ["", f"## {kind}"]
        columns = [c for c in COLUMNS if any(c in s for by in scores.values() for s in by.values())]
        for group, prefix in GROUPS.items():
            count = sum(stem.startswith(prefix) for stem in scores[TRUTH])
            lines += ["", f"| {group}, {count} | " + " | ".join(columns) + " |"]
            lines += ["|---|" + "---:|" * len(columns)]
            for name, by_clip in scores.items():
                cells = [_cell(by_clip, prefix, column) for column in columns]
                lines.append(f"| **{name}** | " + " | ".join(cells) + " |")
            if group == "VCTK" and kind in MAIN:
                lines += _published(kind, columns)
    return "\n".join([*lines, "", *_seams(results)]) + "\n"


def _published(kind: str, columns: list[str]):
    for name, by_rate in PUBLISHED.items():
        values = dict(zip(("LSD", "ViSQOL"), by_rate[MAIN.index(kind)], strict=True))
        cells = (f"{values[c]:.2f}" if c in values else "" for c in columns)
        yield f"| {name} | " + " | ".join(cells) + " |"


def _seams(results):
    """The levels around the edge, in the inputs that have a slope there."""
    yield from (
        "## The seam",
        "",
        "Median levels over all clips, against the recording, in narrow bands around half the "
        "input's rate, or 3.4 kHz for the telephone, in parts of it; dB.",
        "",
    )
    heads = (f"{low:g}-{high:g}" for low, high in metrics.SEAM_BANDS)
    yield "| | " + " | ".join(heads) + " |"
    yield "|---|" + "---:|" * len(metrics.SEAM_BANDS)
    for kind in SEAMS:
        for name, by_clip in results[kind].items():
            if name != TRUTH:
                medians = np.median([s["seam"] for s in by_clip.values()], axis=0)
                yield f"| {kind}: {name} | " + " | ".join(f"{m:+.1f}" for m in medians) + " |"


def _cell(by_clip, prefix: str, column: str, with_range: bool | None = None) -> str:
    """The mean over a group's clips that have the measure; its range where there are several."""
    values = [s.get(column) for stem, s in by_clip.items() if stem.startswith(prefix)]
    values = [value for value in values if value is not None and not np.isnan(value)]
    if not values:
        return "-"
    mean = f"{np.mean(values):.2f}"
    if column not in WITH_RANGE if with_range is None else not with_range:
        return mean
    return "{} ({:.2f} .. {:.2f})".format(mean, *metrics.bootstrap(values)) if values[1:] else mean


def _excerpt(results):
    """For the card: the main inputs, airband beside the rest, in short."""
    columns = [c for c in COLUMNS if c not in ("above", "below")]
    heads = [f"{c} kHz, dB" if c[0].isdigit() else c for c in columns]
    yield "| | " + " | ".join(heads) + " |"
    yield "|---|" + "---:|" * len(columns)
    for group, prefix in list(GROUPS.items())[:2]:
        for kind in MAIN:
            for name, by_clip in results[kind].items():
                cells = (_cell(by_clip, prefix, column) for column in columns)
                yield f"| {group}, {kind}: {name} | " + " | ".join(cells) + " |"


def _in_short(results):
    """For the front page: two measures at four rates."""
    names = {"v1": "NovaSR v1", "SpeechSR-48k": "SpeechSR-48k"}
    names |= {name: f"our {name}" for name in embedded_weights()}
    yield "| VCTK: ViSQOL, LSD | " + " | ".join(MAIN) + " |"
    yield "|---|" + "---:|" * len(MAIN)
    for name, words in names.items():
        pairs = (
            [_cell(results[kind].get(name, {}), "vctk", c, False) for c in WITH_RANGE]
            for kind in MAIN
        )
        yield f"| {words} | " + " | ".join(", ".join(dict.fromkeys(p)) for p in pairs) + " |"


def figure(target: Path) -> None:
    """Spectrograms of short excerpts: before, after, the recording."""
    rows = []
    for kind, (stem, start, stop) in FIGURE.items():
        path = SHARED / "speech/eval" / f"{stem}.flac"
        rate, _, make = INPUTS[kind]
        truth, _ = soundfile.read(path)
        x = make(truth)
        sounds = {kind: (x, rate), "airband": (as_it_is(None, path, x, rate), RATE)}
        sounds[TRUTH] = truth, RATE
        rows.append(
            [
                Panel(title, sound[round(start * r) : round(stop * r)], r)
                for title, (sound, r) in sounds.items()
            ]
        )
    draw(target, rows)


if __name__ == "__main__":
    main()
