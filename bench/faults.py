"""Measure what each deviation from NovaSR costs; fill in the table of its ``PORTING.md``.

    python -m bench.faults

SNR and LSD to the network in float64, with the embedded weights, on the demo's clip.
"""

from pathlib import Path

import numpy as np
import soundfile

from novasr_np import forward, load_weights, resample, upsample
from novasr_np.networks.novasr.faults import FAULTS
from novasr_np.networks.novasr.faults import forward as wrong_forward
from novasr_np.networks.novasr.spec import CHANNELS

from .metrics import lsd
from .report import gflop_per_second, quote

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "novasr_np/networks/novasr/PORTING.md"
MINUTES = (1, 10, 60)  # of the drift


def main() -> None:
    params = load_weights("novasr-open").params
    x, rate = soundfile.read(ROOT / "bench/demo_16k.flac")
    truth = forward(params, x)
    with np.errstate(over="ignore", invalid="ignore"):
        rows = {fault.words: (fault.forward(params, x), truth) for fault in FAULTS.values()}
    for minutes in MINUTES:
        drift = wrong_forward(params, x, interpolate3=drifting(60 * minutes * rate))
        rows[f"the interpolation's index in float32, after {minutes} min"] = drift, truth
    wide = upsample(x, weights=params)
    rows["another resampler (soxr) from 48 kHz"] = (
        forward(params, resample(wide, 3 * rate, "soxr")),
        forward(params, resample(wide, 3 * rate, "upstream")),
    )
    table = ["| deviation | SNR, dB | LSD |", "|---|---:|---:|"]
    for words, (y, want) in rows.items():
        snr = 10 * np.log10((want**2).sum() / ((y - want) ** 2).sum())
        table.append(f"| {words} | {snr:.1f} | {lsd(y, want)['all']:.2f} |")
    quote(PAGE, "faults", table)
    products = gflop_per_second() / 2 * 1e9 / (3 * rate)
    sines = 2 * 2 * CHANNELS
    work = (
        f"The work is {products / 1000:.1f} k multiply-adds and {sines} sines for each sample at "
        "48 kHz, nearly all of it in\n`conv1` and `conv2`."
    )
    quote(PAGE, "work", [work])
    print("\n".join(table))


def drifting(before: int):
    """`layers.interpolate3` with `before` samples before x, by an index in float32."""

    def interpolate3(x):
        n = x.shape[-1]
        t = np.arange(3 * before, 3 * (before + n)).astype(np.float32)
        at = (t + np.float32(0.5)) / np.float32(3) - np.float32(0.5)
        at = np.clip(np.float64(at) - before, 0, n - 1)
        return np.stack([np.interp(at, np.arange(n), channel) for channel in x])

    return interpolate3


if __name__ == "__main__":
    main()
