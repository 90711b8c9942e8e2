"""Make training pairs: crops of real recordings at 48 kHz, and the same at 16 kHz."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import signal

from novasr_np.networks.novasr.spec import CONTEXT, CONTEXT_LEFT, SAMPLE_RATE_OUT, UPSAMPLING

from ..data import HALF, Recording, downsamplers
from ..state import Plan

MARGIN = 960  # samples at 48 kHz left out at a recording's ends: 20 ms


class Batch(NamedTuple):
    """Crops, float32."""

    x: np.ndarray  # [B, n + 24] at 16 kHz, context included
    truth: np.ndarray  # [B, 3 n] at 48 kHz
    edge: np.ndarray  # [B], Hz


def shortest(plan: Plan) -> float:
    """Seconds of the shortest recording that holds one of the plan's crops."""
    return (UPSAMPLING * (plan.samples + CONTEXT) + 2 * (HALF + MARGIN) + 2) / SAMPLE_RATE_OUT


def batches(recordings: Sequence[Recording], plan: Plan, numbers: Iterable[int]) -> Iterator[Batch]:
    """Yield random crops; batch number k depends only on the seed and k.

    A folder's share grows with the square root of its seconds, so that small and good folders are
    not lost; within it half the crops are drawn by clip, half by second. Each gets a level, a
    downsampler, sometimes coarse quantisation, and sometimes gaps of digital silence, which must
    stay silent.
    """
    size, samples = plan.batch, plan.samples
    bank = list(downsamplers().values())
    odds, taps = np.array([p for p, _ in bank]), [np.float32(h) for _, h in bank]
    shares = _shares(recordings)
    span = UPSAMPLING * (samples + CONTEXT) + 2 * HALF
    for number in numbers:
        rng = np.random.default_rng([plan.seed, number])
        batch = Batch(
            np.empty((size, samples + CONTEXT), np.float32),
            np.empty((size, UPSAMPLING * samples), np.float32),
            np.empty(size, np.float32),
        )
        for row in range(size):
            recording = recordings[rng.choice(len(recordings), p=shares)]
            first = rng.integers(MARGIN, len(recording.samples) - span - MARGIN)
            wide = recording.samples[first : first + span] * 10 ** (rng.uniform(-16, 2) / 20)
            if rng.random() < 0.25:
                wide = wide * _gap(rng, span)
            wide = wide / max(1, np.abs(wide).max())
            x = signal.fftconvolve(wide, taps[rng.choice(len(taps), p=odds)], "valid")[::UPSAMPLING]
            if rng.random() < 0.15:
                steps = 2 ** rng.integers(7, 14)
                x = np.rint(x * steps) / steps
            inside = HALF + UPSAMPLING * CONTEXT_LEFT
            batch.x[row] = x[: samples + CONTEXT]
            batch.truth[row] = wide[inside : inside + UPSAMPLING * samples]
            batch.edge[row] = recording.edge
        yield batch


def _shares(recordings) -> np.ndarray:
    """Probability of each recording."""
    lengths = np.array([len(r.samples) for r in recordings], np.float64)
    folders = np.array([r.folder for r in recordings])
    shares = np.empty(len(recordings))
    for folder in np.unique(folders):
        its = folders == folder
        seconds = lengths[its] / lengths[its].sum()
        shares[its] = np.sqrt(lengths[its].sum()) * (seconds + 1 / its.sum()) / 2
    return shares / shares.sum()


def _gap(rng, span) -> np.ndarray:
    """Draw a gain [span] that is zero for a while, with slopes of 5 ms."""
    start, stop = np.sort(rng.integers(-span // 4, span + span // 4, 2))
    t = np.arange(span)
    outside = np.maximum(start - t, t - stop) / 240
    return (0.5 - 0.5 * np.cos(np.pi * np.clip(outside, 0, 1))).astype(np.float32)
