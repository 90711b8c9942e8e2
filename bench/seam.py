"""Where the dark seam at 8 kHz and the line at 16 kHz come from: levels against the true recording.

    python -m bench.seam [-o bench/SEAM.md]

Needs NOVASR_SHARED and soxr. The seam is followed through what stands before the network (a
resampler that is steep, or the original's leaky one) and behind it (the crossover of
`keep_lowband`); the line through the network's two paths, which are added before its tanh.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile
import soxr

from novasr_np import load_weights, stages, upsample
from novasr_np.dsp.resample import resample

from .data import SHARED, upstream

BANDS = (
    *((6500, 7000), (7000, 7400), (7400, 7700), (7700, 8000), (8000, 8300), (8300, 9000)),
    *((15_500, 15_800), (15_900, 16_100), (16_200, 16_500)),
)
_N_FFT = 4096
_RATE_IN, _RATE_OUT = 16_000, 48_000


def levels(x: np.ndarray) -> np.ndarray:
    """Energy of each band in dB, by 85 ms frames."""
    frames = np.lib.stride_tricks.sliding_window_view(x, _N_FFT)[:: _N_FFT // 4]
    power = (np.abs(np.fft.rfft(frames * np.hanning(_N_FFT))) ** 2).mean(axis=0)
    hertz = np.fft.rfftfreq(_N_FFT, 1 / _RATE_OUT)
    return np.array([10 * np.log10(power[(a <= hertz) & (hertz < b)].sum()) for a, b in BANDS])


def paths(params: dict, x: np.ndarray) -> dict[str, np.ndarray]:
    """What the skip and the activations each bring to the sum before the tanh, [3T - 4]."""
    named = {"interpolate": None, "conv2": None, "conv_post": None}
    for name, activation in stages(params, x):
        if name in named:
            named[name] = activation
    weight = params["conv_post"]["weight"].astype(x.dtype)
    whole = named["conv_post"][0]
    kernels = weight[0, :, ::-1]
    skip = sum(
        np.convolve(h, w, "same") for h, w in zip(named["interpolate"], kernels, strict=True)
    )
    return {"skip": skip[2:-2], "activations": whole - skip[2:-2]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    ours, v1 = (
        load_weights("novasr-open").params,
        load_weights(upstream("pytorch_model_v1.bin")).params,
    )
    found: dict[str, list[np.ndarray]] = {}
    clips = sorted((SHARED / "speech/eval").glob("*.flac"))
    if not clips:
        sys.exit(f"no speech in {SHARED}: set NOVASR_SHARED to the folder with it")
    for path in clips:
        truth, rate = soundfile.read(path)
        assert rate == _RATE_OUT, path
        truth = truth[: len(truth) // 3 * 3]
        inputs = {
            "steep": soxr.resample(truth, rate, _RATE_IN, "VHQ"),
            "leaky": resample(truth, rate, _RATE_IN),
        }
        for kind, x in inputs.items():
            outputs = {
                "the input": soxr.resample(x, _RATE_IN, rate, "VHQ"),
                "ours": upsample(x, weights=ours),
                "ours, low band kept": upsample(x, weights=ours, keep_lowband=True),
                "v1": upsample(x, weights=v1),
            }
            if kind == "steep":
                outputs |= {f"ours, its {k}": y for k, y in paths(ours, x).items()}
                outputs |= {f"v1, its {k}": y for k, y in paths(v1, x).items()}
            for name, y in outputs.items():
                difference = levels(y[: len(truth)]) - levels(truth)
                found.setdefault(f"{kind}: {name}", []).append(difference)
    text = report(found, len(clips))
    print(text)
    if args.output:
        args.output.write_text(text)


def report(found: dict[str, list[np.ndarray]], clips: int) -> str:
    """The table, as Markdown."""
    lines = [
        "# The seam at 8 kHz and the line at 16 kHz",
        "",
        "Written by `python -m bench.seam`. Levels against the true recording in dB: medians and,",
        f"in brackets, 90th percentiles over {clips} clips. Steep inputs are made by soxr, leaky",
        "ones by the original's resampler.",
        "",
        "| kHz | " + " | ".join(f"{a / 1000:g}-{b / 1000:g}" for a, b in BANDS) + " |",
        "|---|" + "---:|" * len(BANDS),
    ]
    for name, rows in found.items():
        cells = zip(np.median(rows, axis=0), np.percentile(rows, 90, axis=0), strict=True)
        lines.append(f"| {name} | " + " | ".join(f"{m:+.1f} ({p:+.1f})" for m, p in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
