"""Score weights, or 48 kHz outputs, against real full-band speech; write QUALITY.md and a figure.

    python -m bench.quality [NAME=WEIGHTS ...] [--outputs NAME=FOLDER ...] [-o bench/QUALITY.md]

Scores two methods without training (sinc interpolation alone, and with the band from 4 to 8 kHz
copied upwards), NovaSR's v1 and v2, their parent SpeechSR-48k and the variant of it that goes by
FASR, each of the embedded weights, and each NAME, file by file on ``eval/`` of NOVASR_SHARED, which
nobody trains on. WEIGHTS is a file or a name, FOLDER has outputs at 48 kHz named like the truth.
The input is the truth by torchaudio's default resampler; once more by scipy's decimation; in 8
bits; through Opus; and at rates above 16 kHz. Unless its low band is kept a network is alone.
"""

import argparse
import io
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
from scipy import signal

from bench import metrics
from bench.data import SHARED, upstream
from bench.fasr import fasr
from bench.report import quote
from novasr_np import load_weights, upsample
from novasr_np.dsp.sinc import hann, windowed_sinc
from novasr_np.networks.novasr.spec import SAMPLE_RATE_IN, SAMPLE_RATE_OUT, UPSAMPLING
from novasr_np.pipeline.arrays import run_bare
from novasr_np.pipeline.backend import Backend
from novasr_np.weights import as_weights, embedded_weights

GROUPS = {"VCTK": "vctk", "BibleTTS": "bibletts", "TSP": "tsp"}
COLUMNS = ("LSD", "LSD high", "LSD low", "LSD 16 bit", "8.5-12", "12-16", "16-20", "floor", "SNR")
SHOWN = ("sinc", "v1", "novasr-open", "airband-1", "SpeechSR-48k")  # in the figure
FIGURE = (
    "vctk_p257_audiodec-035",
    "vctk-test8_spkunk_apbwe-8kto48k",
    "bibletts_yor_original",
    "bibletts_hau_original",  # a third of it is digital silence
)


def sinc_resample(x, rate: int, new_rate: int) -> np.ndarray:
    """torchaudio's default: sinc under a Hann window of 6 zeros a side, roll-off 0.99."""
    divisor = np.gcd(rate, new_rate)
    old, new = rate // divisor, new_rate // divisor
    base = 0.99 * min(old, new)
    half = int(np.ceil(6 * old * new / base / old)) * old  # so that outputs fall on the grid
    t = np.arange(-half, half + 1) / (old * new) * base
    taps = windowed_sinc(t, hann(t / 6)) * base / old
    y = signal.upfirdn(taps, x, new, old)
    return y[half // old :][: -(-len(x) * new // old)]


def cheby1(x, rate: int, new_rate: int) -> np.ndarray:
    """Chebyshev's order 8, 0.05 dB, forwards and back, then every third sample."""
    return signal.decimate(x, rate // new_rate, ftype="iir")


def eight_bits(x, rate: int, new_rate: int) -> np.ndarray:
    """As a telephone system or an old voice prompt has it: steps of 1 / 128."""
    return np.rint(sinc_resample(x, rate, new_rate) * 128) / 128


def opus(x, rate: int, new_rate: int) -> np.ndarray:
    """Through Opus at about 20 kbit/s, as calls are sent."""
    with io.BytesIO() as file:
        x = np.clip(sinc_resample(x, rate, new_rate), -1, 1)
        soundfile.write(
            file, x, new_rate, format="OGG", subtype="OPUS", compression_level=_OPUS_LEVEL
        )
        file.seek(0)
        y, _ = soundfile.read(file)
    return y[: len(x)]


# libsndfile's 0 .. 1 are 256 to 6 kbit/s.
_OPUS_LEVEL = 1 - (20 - 6) / (256 - 6)
HIGHER_RATES = (24_000, 32_000, 44_100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", nargs="*", metavar="NAME=WEIGHTS")
    parser.add_argument("--outputs", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("-o", "--output", type=Path, help="QUALITY.md, with quality.png beside it")
    parser.add_argument("--json", type=Path, help="the scores of every file")
    parser.add_argument("--no-visqol", action="store_true", help="leave it out (3 s a clip)")
    args = parser.parse_args()

    systems: dict[str, Callable] = {
        "sinc": lambda path, x, rate: sinc_up(x),
        "copied up": lambda path, x, rate: copied_up(x),
    }
    given = [("v1", upstream("pytorch_model_v1.bin")), ("v2", upstream("pytorch_model_v2.bin"))]
    own = {name: load_weights(name).params for name in embedded_weights()}
    more = (pair.split("=", 1) for pair in args.weights)
    for name, source in [*given, *own.items(), *more]:
        systems[name] = partial(network_alone, load_weights(source).params)
    speechsr = load_weights(upstream("speechsr/speechsr48k_G_100000.pth")).params
    systems["SpeechSR-48k"] = partial(network_alone, speechsr)
    two_branches = {"FASR": lambda path, x, rate: fasr(speechsr, np.float32(x))}
    kept = {
        f"{name}, low band kept": partial(low_band_kept, params)
        for name, params in own.items()
        if not as_weights(params).network.keeps_low_band
    }
    for name, folder in (pair.split("=", 1) for pair in args.outputs):
        systems[name] = partial(from_folder, Path(folder))

    paths = sorted((SHARED / "speech/eval").glob("*.flac"))
    if not paths:
        sys.exit(f"no speech in {SHARED}: set NOVASR_SHARED to the folder with it")
    results = {
        "Input by torchaudio's default resampler": evaluate(
            systems | two_branches | kept, paths, sinc_resample, visqol=not args.no_visqol
        ),
        "Input by Chebyshev's filter (scipy.signal.decimate)": evaluate(systems, paths, cheby1),
        "Input in 8 bits": evaluate(systems, paths, eight_bits),
        "Input through Opus at about 20 kbit/s": evaluate(systems, paths, opus),
    }
    ours = {name: partial(as_it_is, params) for name, params in own.items()} | kept
    for rate in HIGHER_RATES:
        results[f"Input at {rate / 1000:g} kHz"] = evaluate(ours, paths, sinc_resample, rate)
    text = report(results)
    print(text)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    if args.output:
        figure(args.output.with_name("quality.png"), {name: systems[name] for name in SHOWN})
        args.output.write_text(text)
        first = next(iter(results.values()))
        quote("weights/README.md", "quality", _excerpt(first))
        quote("README.md", "quality", _in_short(first))


def evaluate(systems, paths, make_input, rate=SAMPLE_RATE_IN, visqol=False) -> dict:
    """system -> file -> measure -> score; make_input(truth, 48000, rate) is what they get."""
    scores: dict[str, dict[str, dict]] = {name: {} for name in systems}
    pairs = []
    for path in paths:
        truth, truth_rate = soundfile.read(path)
        assert truth_rate == SAMPLE_RATE_OUT, path
        x = make_input(truth, truth_rate, rate)
        for name, system in systems.items():
            y = np.float64(system(path, x, rate))
            samples = min(len(y), len(truth))
            scores[name][path.stem] = score(y[:samples], truth[:samples])
            pairs.append((name, path.stem, y[:samples], truth[:samples]))
    if visqol:
        with ProcessPoolExecutor() as pool:
            for (name, stem, _, _), mos in zip(pairs, pool.map(visqol_of, pairs), strict=True):
                scores[name][stem]["ViSQOL"] = mos
    return scores


def sinc_up(x) -> np.ndarray:
    return sinc_resample(x, SAMPLE_RATE_IN, SAMPLE_RATE_OUT)[: UPSAMPLING * len(x) - 4]


def network_alone(params, path, x, rate) -> np.ndarray:
    with Backend().open(as_weights(params)) as runner:
        return run_bare(runner, np.float32(x)[np.newaxis])[0]


def copied_up(x) -> np.ndarray:
    """The band from 4 to 8 kHz four times above it, each 6 dB lower than the one before."""
    frame, hop = 960, 240
    _, _, spectra = signal.stft(sinc_up(x), nperseg=frame, noverlap=frame - hop)
    for copy in range(1, 5):
        spectra[80 + 80 * copy : 160 + 80 * copy] = spectra[80:160] * 10 ** (-6 * copy / 20)
    return signal.istft(spectra, nperseg=frame, noverlap=frame - hop)[1][: UPSAMPLING * len(x) - 4]


def as_it_is(params, path, x, rate) -> np.ndarray:
    return upsample(np.float32(x), rate, weights=params)


def low_band_kept(params, path, x, rate) -> np.ndarray:
    return upsample(np.float32(x), rate, weights=params, keep_lowband="auto")


def from_folder(folder, path, x, rate) -> np.ndarray:
    (found,) = folder.glob(f"{path.stem}*.*")
    y, found_rate = soundfile.read(found)
    assert found_rate == SAMPLE_RATE_OUT, found
    return y


def score(y, truth) -> dict[str, float]:
    distance = metrics.lsd(y, truth)
    in_16_bits = metrics.lsd(metrics.pcm16(y), metrics.pcm16(truth))
    values = (
        *(distance[bins] for bins in ("all", "high", "low")),
        in_16_bits["all"],
        *metrics.levels(y, truth, metrics.BANDS[1:]),
        metrics.noise_floor(y, truth),
        metrics.low_band_snr(y, truth),
    )
    return dict(zip(COLUMNS, values, strict=True))


def visqol_of(pair) -> float | None:
    """MOS-LQO in audio mode, of 16-bit files; None where a clip is too short for it."""
    from visqol import VisqolApi  # noqa: PLC0415

    _, _, y, truth = pair
    api = VisqolApi()
    api.create(mode="audio")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, samples in (("truth", truth), ("y", y)):
            soundfile.write(f"{folder}/{name}.wav", metrics.pcm16(samples), SAMPLE_RATE_OUT)
        try:
            return float(api.measure(f"{folder}/truth.wav", f"{folder}/y.wav").moslqo)
        except (ValueError, IndexError, RuntimeError):
            return None


def report(results) -> str:
    lines = [
        "# Quality",
        "",
        "Written by `make quality`. Speech nobody trained on, taken down from 48 kHz and up by a "
        "network alone, or with the input's low band kept (`keep_lowband`), as airband does by "
        "itself, at rates above 16 kHz too; means over files, below them the middle 95 % of "
        "bootstrapped means. LSD as in AP-BWE's code; levels against the truth in three bands "
        "(kHz) and, above 8 kHz, in the quietest tenth of the frames (floor), in dB; SNR of the "
        "band below 7 kHz, in dB. `bench/metrics.py` has the definitions. Some settings of "
        "training were chosen by these clips' scores: see  "
        "weights/README.md.",
        "",
        "![Spectrograms of four clips, one with long silence](quality.png)",
    ]
    for title, scores in results.items():
        lines += ["", f"## {title}"]
        some = next(iter(scores.values()))
        columns = [c for c in ("ViSQOL", *COLUMNS) if any(c in s for s in some.values())]
        for group, prefix in GROUPS.items():
            stems = [stem for stem in some if stem.startswith(prefix)]
            lines += ["", f"| {group}, {len(stems)} | " + " | ".join(columns) + " |"]
            lines += ["|---|" + "---:|" * len(columns)]
            for name, by_file in scores.items():
                cells = [_mean_and_range(by_file, prefix, column) for column in columns]
                means, ranges = zip(*cells, strict=True)
                lines.append(f"| **{name}** | " + " | ".join(means) + " |")
                if any(ranges):
                    lines.append("| | " + " | ".join(ranges) + " |")
    return "\n".join(lines) + "\n"


def _mean_and_range(by_file, prefix, column) -> tuple[str, str]:
    """Over a group's files that have the measure; no range for a single one."""
    values = [s.get(column) for stem, s in by_file.items() if stem.startswith(prefix)]
    values = [value for value in values if value is not None]
    if len(values) < 2:
        return f"{values[0]:.2f}" if values else "-", ""
    low, high = metrics.bootstrap(values)
    return f"{np.mean(values):.2f}", f"{low:.2f} .. {high:.2f}"


def _excerpt(scores):
    """The first table's means and intervals in short."""
    columns = [
        c for c in ("ViSQOL", "LSD", *COLUMNS[4:]) if c in next(iter(scores["sinc"].values()))
    ]
    heads = [f"{c} kHz, dB" if c[0].isdigit() else c for c in columns]
    yield "| | " + " | ".join(heads) + " |"
    yield "|---|" + "---:|" * len(columns)
    for group, prefix in list(GROUPS.items())[:2]:
        for name in scores:
            cells = (
                "{} ({})".format(*_mean_and_range(scores[name], prefix, column))
                for column in columns
            )
            yield f"| {group}: {name} | " + " | ".join(cells) + " |"


def _in_short(scores):
    """For the README: two measures, the originals and ours."""
    names = {"v1": "NovaSR v1", "SpeechSR-48k": "SpeechSR-48k"}
    names |= {name: f"our {name}" for name in embedded_weights()}
    groups = list(GROUPS.items())[:2]
    pairs = [(group, column) for group, _ in groups for column in ("ViSQOL", "LSD")]
    yield "| | " + " | ".join(f"{group}, {column}" for group, column in pairs) + " |"
    yield "|---|" + "---:|" * len(pairs)
    for name, words in names.items():
        means = (_mean_and_range(scores[name], GROUPS[g], column)[0] for g, column in pairs)
        yield f"| {words} | {' | '.join(means)} |"


def figure(target: Path, systems) -> None:
    """Spectrograms of some clips: the input, each system, the truth."""
    import matplotlib  # noqa: PLC0415

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    names = [*systems, "truth"]
    grid, axes = pyplot.subplots(
        len(FIGURE), len(names), figsize=(4 * len(names), 3 * len(FIGURE)), layout="constrained"
    )
    for row, stem in zip(axes, FIGURE, strict=True):
        path = SHARED / "speech/eval" / f"{stem}.flac"
        truth, rate = soundfile.read(path)
        x = sinc_resample(truth, rate, SAMPLE_RATE_IN)
        for axis, name in zip(row, names, strict=True):
            y = truth if name == "truth" else systems[name](path, x, SAMPLE_RATE_IN)
            level = 10 * np.log10(np.maximum(metrics.power(np.float64(y[:144_000])), 1e-8))
            axis.imshow(
                level, origin="lower", aspect="auto", vmin=-60, vmax=30, cmap="magma",
                extent=(0, min(len(y), 144_000) / rate, 0, 24),
            )  # fmt: skip
            axis.set_title(f"{name}: {stem[:24]}", fontsize=8)
    axes[0, 0].set_ylabel("kHz")
    grid.savefig(target, dpi=60)


if __name__ == "__main__":
    main()
