"""Make training pairs: crops of real recordings at 48 kHz, and the same at 16 kHz.

A recording's spectrum often ends below 24 kHz (44.1 kHz originals, codecs); where it ends stands
in the manifest, and the losses look no further.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import signal

from novasr_np.dsp import resample
from novasr_np.dsp.sinc import hann, kaiser, windowed_sinc
from novasr_np.files import audio
from novasr_np.networks.novasr.spec import CONTEXT, CONTEXT_LEFT, SAMPLE_RATE_OUT, UPSAMPLING

_HALF = 240  # samples at 48 kHz on either side of a downsampler's middle
_MARGIN = 960  # samples at 48 kHz left out at a recording's ends: 20 ms


class Recording(NamedTuple):
    """A piece of speech to learn from."""

    samples: np.ndarray  # [T] float32 at 48 kHz
    edge: float  # Hz, where its spectrum ends
    licence: str
    source: str = ""
    folder: str = ""


class Batch(NamedTuple):
    """Crops, float32."""

    x: np.ndarray  # [B, n + 24] at 16 kHz, context included
    truth: np.ndarray  # [B, 3 n] at 48 kHz
    edge: np.ndarray  # [B], Hz


def read(manifest: Path, folders: Sequence[str], seconds: float) -> list[Recording]:
    """The recordings of a manifest whose path begins with one of `folders`.

    manifest: JSON lines with ``file`` (relative to it), ``edge_hz`` and ``licence``. seconds: the
    shortest that is of use (`shortest`). Other rates than 48 kHz are resampled (soxr).

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
        with audio.reading(manifest.parent / row["file"]) as file:
            x = np.concatenate(list(file.blocks(1 << 20)), axis=-1)[0]
            rate = file.sample_rate
        if rate != SAMPLE_RATE_OUT:
            import soxr  # noqa: PLC0415

            x = soxr.resample(x, rate, SAMPLE_RATE_OUT, "VHQ")
        folder = row["file"].split("/")[0]
        recordings.append(
            Recording(
                x.astype(np.float32),
                float(row["edge_hz"]),
                row["licence"],
                row.get("source", ""),
                folder,
            )
        )
    if not recordings:
        raise ValueError(f"no recording of {seconds} s in {', '.join(folders)} of {manifest}")
    return recordings


def shortest(samples: int) -> float:
    """Seconds a recording must have for a crop of `samples` input samples."""
    return (UPSAMPLING * (samples + CONTEXT) + 2 * (_HALF + _MARGIN) + 2) / SAMPLE_RATE_OUT


def downsamplers() -> dict[str, tuple[float, np.ndarray]]:
    """How often, and the taps [2 _HALF + 1] of, each filter that may stand before decimation.

    Real inputs come from all kinds. torchaudio's two windowed sincs, a steep one as in most
    resamplers, and Chebyshev's of some orders, forwards and back as scipy's ``decimate`` has them.
    """
    t = np.arange(-_HALF, _HALF + 1) / UPSAMPLING * resample.ROLLOFF
    u, gain = t / resample.ZERO_CROSSINGS, resample.ROLLOFF / UPSAMPLING
    bank = {
        "hann": (0.35, windowed_sinc(t, hann(u)) * gain),
        "kaiser": (0.25, windowed_sinc(t, kaiser(u, resample.KAISER_BETA)) * gain),
        "steep": (0.2, signal.firwin(2 * _HALF + 1, 7700, window=("kaiser", 12), fs=48_000)),
    }
    impulse = np.zeros(2 * _HALF + 1)
    impulse[_HALF] = 1
    for order in (3, 6, 8, 11):
        sections = signal.cheby1(order, 0.05, 0.8 / UPSAMPLING, output="sos")
        bank[f"chebyshev {order}"] = (0.05, signal.sosfiltfilt(sections, impulse, padlen=0))
    return bank


def batches(
    recordings: Sequence[Recording], size: int, samples: int, seed: int, start: int = 0
) -> Iterator[Batch]:
    """Random crops without end: `size` of them, of `samples` input samples each.

    Batch number k depends on seed and k alone, so `start` takes up a run where it was left. A
    folder's share grows with the root of its seconds, so that the small and good are not drowned;
    within it half the crops are drawn by the clip, half by the second. Each gets a level, a
    downsampler, at times coarse quantisation, and at times gaps of digital silence, which have to
    stay silent.
    """
    bank = list(downsamplers().values())
    odds, taps = np.array([p for p, _ in bank]), [np.float32(h) for _, h in bank]
    shares = _shares(recordings)
    span = UPSAMPLING * (samples + CONTEXT) + 2 * _HALF
    number = start
    while True:
        rng = np.random.default_rng([seed, number])
        number += 1
        batch = Batch(
            np.empty((size, samples + CONTEXT), np.float32),
            np.empty((size, UPSAMPLING * samples), np.float32),
            np.empty(size, np.float32),
        )
        for row in range(size):
            recording = recordings[rng.choice(len(recordings), p=shares)]
            first = rng.integers(_MARGIN, len(recording.samples) - span - _MARGIN)
            wide = recording.samples[first : first + span] * 10 ** (rng.uniform(-16, 2) / 20)
            if rng.random() < 0.25:
                wide = wide * _gap(rng, span)
            wide = wide / max(1, np.abs(wide).max())
            x = signal.fftconvolve(wide, taps[rng.choice(len(taps), p=odds)], "valid")[::UPSAMPLING]
            if rng.random() < 0.15:
                steps = 2 ** rng.integers(7, 14)
                x = np.rint(x * steps) / steps
            inside = _HALF + UPSAMPLING * CONTEXT_LEFT
            batch.x[row] = x[: samples + CONTEXT]
            batch.truth[row] = wide[inside : inside + UPSAMPLING * samples]
            batch.edge[row] = recording.edge
        yield batch


def _shares(recordings) -> np.ndarray:
    """How often each is drawn."""
    lengths = np.array([len(r.samples) for r in recordings], np.float64)
    folders = np.array([r.folder for r in recordings])
    shares = np.empty(len(recordings))
    for folder in np.unique(folders):
        its = folders == folder
        seconds = lengths[its] / lengths[its].sum()
        shares[its] = np.sqrt(lengths[its].sum()) * (seconds + 1 / its.sum()) / 2
    return shares / shares.sum()


def _gap(rng, span) -> np.ndarray:
    """A gain [span] that falls to zero for a while, over 5 ms at either end."""
    start, stop = np.sort(rng.integers(-span // 4, span + span // 4, 2))
    t = np.arange(span)
    outside = np.maximum(start - t, t - stop) / 240
    return (0.5 - 0.5 * np.cos(np.pi * np.clip(outside, 0, 1))).astype(np.float32)
