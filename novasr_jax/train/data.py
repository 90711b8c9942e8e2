"""Read training recordings, and make the filters that bring them down to 16 kHz.

A recording's spectrum often ends below 24 kHz (44.1 kHz originals, codecs); the manifest states
where it ends, and the losses ignore all above.
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
UPSAMPLING = 3  # output samples per input sample of the networks
HALF = 240  # samples at 48 kHz on either side of a downsampler's middle


class Recording(NamedTuple):
    """Recording of speech for training."""

    samples: np.ndarray  # [T] float32 at 48 kHz
    edge: float  # Hz at which its spectrum, or a teacher's, ends
    licence: str
    source: str = ""
    folder: str = ""
    speaker: str = ""
    taught: bool = False  # True if the band above the recording's own edge is a teacher's


def read(
    manifest: Path,
    folders: Sequence[str],
    seconds: float,
    teacher: Path | None = None,
    most: float | None = None,
) -> list[Recording]:
    """Read the recordings of a manifest whose path begins with one of `folders`.

    manifest: JSON lines with ``file`` (relative to it), ``edge_hz`` and ``licence``, and if known
    ``speaker`` and ``source``. seconds: the shortest that can be used (`Recipe.shortest`). most:
    seconds of one voice at which no more are read, chosen by chance, always the same. Other rates
    than 48 kHz are resampled (soxr). teacher: a folder with a network's outputs for the same
    recordings, under the names that ``novasr upsample -r`` gives; some may be missing.

    Raises AudioError for files and rows that cannot be read, ValueError if no recording is left.
    """
    recordings = []
    with open(manifest, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    paths = tuple(f"{folder}/" for folder in folders)
    rows = [r for r in rows if r["file"].startswith(paths) and r["seconds"] >= seconds]
    for row in rows if most is None else _at_most(most, rows):
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


def _at_most(seconds: float, rows: list[dict]) -> list[dict]:
    """Choose rows by chance, of each folder's speaker no more than these seconds."""
    chosen, heard = [], dict[tuple[str, str], float]()
    for i in np.random.default_rng(0).permutation(len(rows)):
        voice = rows[i]["file"].split("/")[0], str(rows[i].get("speaker", ""))
        if heard.setdefault(voice, 0) < seconds:
            heard[voice] += rows[i]["seconds"]
            chosen.append(i)
    return [rows[i] for i in sorted(chosen)]


def _samples(path: Path) -> np.ndarray:
    """Read the first channel of a file at 48 kHz, float32."""
    with reading(path) as file:
        x = np.concatenate(list(file.blocks(1 << 20)), axis=-1)[0]
        rate = file.sample_rate
    if rate != SAMPLE_RATE_OUT:
        import soxr  # noqa: PLC0415

        x = soxr.resample(x, rate, SAMPLE_RATE_OUT, "VHQ")
    return x.astype(np.float32)


def _joined(own: np.ndarray, taught: np.ndarray, edge: float) -> np.ndarray:
    """Join the recording up to its edge (Hz) and the teacher's above, over a slope of 500 Hz."""
    size = min(len(own), len(taught))
    padded = fft.next_fast_len(size, real=True)
    hertz = fft.rfftfreq(padded, 1 / SAMPLE_RATE_OUT)
    share = np.float32(np.clip((edge - hertz) / 500, 0, 1))
    spectra = (fft.rfft(x[:size], padded) for x in (own, taught))
    low, high = (s * w for s, w in zip(spectra, (share, 1 - share), strict=True))
    return fft.irfft(low + high, padded)[:size]


def downsamplers() -> dict[str, tuple[float, np.ndarray]]:
    """Filters before decimation, by name: their frequency of use, and their taps [2 HALF + 1].

    Real inputs come from all kinds of resamplers. These are torchaudio's two windowed sincs, a
    steep sinc as in most resamplers, and Chebyshev filters of some orders, applied forwards and
    backwards as in scipy's ``decimate``.
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
