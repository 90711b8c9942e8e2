"""Read recordings to learn from, and the filters by which their like comes down to 16 kHz.

A recording's spectrum often ends below 24 kHz (44.1 kHz originals, codecs); where it ends stands
in the manifest, and the losses look no further.
"""

import glob
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import fft, signal

from novasr_np.dsp import resample
from novasr_np.dsp.sinc import hann, kaiser, windowed_sinc
from novasr_np.files.reading import reading

SAMPLE_RATE_OUT = 48_000  # Hz, of the recordings
UPSAMPLING = 3  # times as fast as what the networks hear
HALF = 240  # samples at 48 kHz on either side of a downsampler's middle


class Recording(NamedTuple):
    """A piece of speech to learn from."""

    samples: np.ndarray  # [T] float32 at 48 kHz
    edge: float  # Hz, where its spectrum ends, or a teacher's
    licence: str
    source: str = ""
    folder: str = ""
    speaker: str = ""
    taught: bool = False  # what lies above the edge of the recording itself is a teacher's


def read(
    manifest: Path, folders: Sequence[str], seconds: float, teacher: Path | None = None
) -> list[Recording]:
    """The recordings of a manifest whose path begins with one of `folders`.

    manifest: JSON lines with ``file`` (relative to it), ``edge_hz`` and ``licence``, and where they
    are known ``speaker`` and ``source``. seconds: the shortest that is of use (`Recipe.shortest`).
    Other rates than 48 kHz are resampled (soxr). teacher: a folder with what a network made of the
    same recordings, under the names that ``novasr upsample -r`` gives; some may be missing.

    Raises AudioError for what cannot be read or is no row, ValueError if nothing is left.
    """
    recordings = []
    with open(manifest, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    for row in rows:
        if not row["file"].startswith(tuple(f"{folder}/" for folder in folders)):
            continue
        if row["seconds"] < seconds:
            continue
        folder = row["file"].split("/")[0]
        samples, edge = _samples(manifest.parent / row["file"]), float(row["edge_hz"])
        made: list[Path] = []
        if teacher is not None:
            stem = Path(row["file"]).with_suffix("")
            made = sorted(teacher.glob(f"{glob.escape(str(stem))}_48k.*"))
        if made:
            samples = _joined(samples, _samples(made[0]), edge)
            edge = SAMPLE_RATE_OUT / 2
        recordings.append(
            Recording(
                samples,
                edge,
                row["licence"],
                row.get("source", ""),
                folder,
                str(row.get("speaker", "")),
                bool(made),
            )
        )
    if not recordings:
        raise ValueError(f"no recording of {seconds} s in {', '.join(folders)} of {manifest}")
    return recordings


def _samples(path: Path) -> np.ndarray:
    """The first channel of a file at 48 kHz, float32."""
    with reading(path) as file:
        x = np.concatenate(list(file.blocks(1 << 20)), axis=-1)[0]
        rate = file.sample_rate
    if rate != SAMPLE_RATE_OUT:
        import soxr  # noqa: PLC0415

        x = soxr.resample(x, rate, SAMPLE_RATE_OUT, "VHQ")
    return x.astype(np.float32)


def _joined(own: np.ndarray, taught: np.ndarray, edge: float) -> np.ndarray:
    """The recording up to its edge (Hz), the teacher's above, with a slope of 500 Hz between."""
    size = min(len(own), len(taught))
    padded = fft.next_fast_len(size, real=True)
    hertz = fft.rfftfreq(padded, 1 / SAMPLE_RATE_OUT)
    share = np.float32(np.clip((edge - hertz) / 500, 0, 1))
    spectra = (fft.rfft(x[:size], padded) for x in (own, taught))
    low, high = (s * w for s, w in zip(spectra, (share, 1 - share), strict=True))
    return fft.irfft(low + high, padded)[:size]


def downsamplers() -> dict[str, tuple[float, np.ndarray]]:
    """How often, and the taps [2 HALF + 1] of, each filter that may stand before decimation.

    Real inputs come from all kinds. torchaudio's two windowed sincs, a steep one as in most
    resamplers, and Chebyshev's of some orders, forwards and back as scipy's ``decimate`` has them.
    """
    t = np.arange(-HALF, HALF + 1) / UPSAMPLING * resample.ROLLOFF
    u, gain = t / resample.ZERO_CROSSINGS, resample.ROLLOFF / UPSAMPLING
    bank = {
        "hann": (0.35, windowed_sinc(t, hann(u)) * gain),
        "kaiser": (0.25, windowed_sinc(t, kaiser(u, resample.KAISER_BETA)) * gain),
        "steep": (0.2, signal.firwin(2 * HALF + 1, 7700, window=("kaiser", 12), fs=48_000)),
    }
    impulse = np.zeros(2 * HALF + 1)
    impulse[HALF] = 1
    for order in (3, 6, 8, 11):
        sections = signal.cheby1(order, 0.05, 0.8 / UPSAMPLING, output="sos")
        bank[f"chebyshev {order}"] = (0.05, signal.sosfiltfilt(sections, impulse, padlen=0))
    return bank
