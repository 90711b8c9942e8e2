"""Make training pairs of frames: features at 16 kHz, and the bands' power above.

The effects of a real recording are applied to the spectra: level, room, microphone, downsampler.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import scipy.fft

from novasr_np.networks.airband.features import features, window
from novasr_np.networks.airband.spec import (
    BAND_BINS,
    BANDS_OUT,
    FRAME_OUT,
    HOP_IN,
    HOP_OUT,
    OWN_BINS,
    SAMPLE_RATE_OUT,
)

from ..data import HALF, UPSAMPLING, Recording, downsamplers
from ..state import Plan

SHORTEST = 0.3  # seconds that a recording must have

_BINS = FRAME_OUT // 2 + 1
_HERTZ = np.arange(_BINS) * SAMPLE_RATE_OUT / FRAME_OUT
_TOPS = (OWN_BINS + BAND_BINS * np.arange(1, BANDS_OUT + 1)) * SAMPLE_RATE_OUT / FRAME_OUT
_LOWEST = 1e-9  # power of a band that counts as empty
# Recordings whose spectrum ends above this, as at 44.1 kHz, should be empty beyond their edge.
_FULL = 20_500  # Hz
_LONGEST = 6  # seconds up to which a clip's length raises its chance of being drawn
_GATE_BINS = 4  # bins that the noise gate groups


class Batch(NamedTuple):
    """Crops, float32."""

    seen: np.ndarray  # [B, frames, 40] features
    truth: np.ndarray  # [B, frames, 32] log10 of power
    counts: np.ndarray  # [B, 32], 1 for bands that the recording has, else 0


def batches(recordings: Sequence[Recording], plan: Plan, numbers: Iterable[int]) -> Iterator[Batch]:
    """Yield random crops; clips of a speaker are joined if one is too short.

    Batch number k depends only on the seed and k. A folder's share grows with the square root of
    its seconds, and with the square of its share of the band from 8 to 24 kHz; a speaker's with the
    square root of the speaker's seconds; a clip's with its seconds, up to six.
    """
    speakers, shares = _speakers(recordings)
    filters = _filters()
    hiss = _spectra(np.random.default_rng(0).standard_normal(30 * SAMPLE_RATE_OUT, np.float32))
    frames = plan.samples // HOP_IN
    for number in numbers:
        rng = np.random.default_rng([plan.seed, number])
        crops = []
        for _ in range(plan.batch):
            speaker = speakers[rng.choice(len(speakers), p=shares)]
            spectra, edge = _crop(rng, speaker, frames)
            crops.append(_pair(rng, spectra, edge, filters, hiss))
        yield Batch(*(np.stack(part) for part in zip(*crops, strict=True)))


def _crop(rng, speaker, frames) -> tuple[np.ndarray, float]:
    """Draw a speaker's spectra [frames, 481], at a level of -22 to 3 dB, and their end in Hz."""
    clips, odds = speaker
    parts, count, peak, edge = [], 0, 1e-3, np.inf
    while count < frames:
        clip = clips[rng.choice(len(clips), p=odds)]
        x = clip.samples
        needed = (frames - count - 1) * HOP_OUT + FRAME_OUT
        first = rng.integers(0, max(0, len(x) - needed) + 1)
        piece = slice(first, first + needed)
        parts.append(_spectra(x[piece]))
        count += len(parts[-1])
        peak = max(peak, np.abs(x[piece]).max())
        edge = min(edge, clip.edge)
    gain = np.float32(10 ** (rng.uniform(-22, 3) / 20) / peak)
    return np.concatenate(parts) * gain, edge


def _pair(rng, spectra, edge, filters, hiss) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make a pair: the features, the truth, and the bands that count."""
    frames = len(spectra)
    gain = np.ones((frames, _BINS), np.float32)
    gated = rng.random() < 0.35
    if gated:
        gain *= _gate(rng, spectra)
    if rng.random() < (0.4 if gated else 0.05):
        # An end below 24 kHz, as processed recordings often have one.
        depth = np.clip((_HERTZ - rng.uniform(19_500, 22_500)) / 500, 0, 1) * rng.uniform(40, 90)
        gain *= _from_decibels(-depth)
    if rng.random() < 0.4:
        gain *= _microphone(rng)
    if rng.random() < 0.15:
        # A whistle or a beep, over the speech or alone: the network must add nothing above it.
        tone, alone = _tone(rng, frames), np.float32(rng.random() < 0.5)
        spectra = spectra * (1 - alone) + tone
    noise: np.ndarray | float = 0.0
    if rng.random() < 0.6:
        # A room and an amplifier: flat to 4 kHz, then falling or rising.
        tilt = np.clip((_HERTZ - 4000) / 20_000, 0, 1) * rng.uniform(-6, 12)
        first = rng.integers(0, len(hiss) - frames)
        noise = hiss[first : first + frames] * _from_decibels(rng.uniform(-95, -55) + tilt)
    open_ = np.ones((frames, 1), np.float32)
    if rng.random() < 0.2:
        open_ = _gap(rng, frames)

    truth = (spectra * gain + noise) * open_
    low = _decimated(truth, filters[1][rng.choice(len(filters[1]), p=filters[0])])
    if rng.random() < 0.15:
        # Coarse quantisation, 8 to 14 bits: noise of a twelfth of the squared step.
        step = 2.0 ** -rng.integers(7, 14)
        first = rng.integers(0, len(hiss) - frames)
        low = low + hiss[first : first + frames, : OWN_BINS + 1] * np.float32(step / 6)
    power = truth.real**2 + truth.imag**2
    bands = power[:, OWN_BINS : OWN_BINS + BANDS_OUT * BAND_BINS]
    bands = bands.reshape(frames, BANDS_OUT, BAND_BINS).mean(axis=2)
    counts = (edge >= _TOPS) | (edge >= _FULL)
    return (
        features(low).T.astype(np.float32),
        np.log10(np.maximum(bands, np.float32(_LOWEST))),
        counts.astype(np.float32),
    )


def _gate(rng, spectra) -> np.ndarray:
    """Gains of a noise gate, as for the same speech in a quieter room, [frames, 481].

    By spectral subtraction of a multiple of each band's level in its quiet frames.
    """
    power = spectra.real**2 + spectra.imag**2
    bands = np.add.reduceat(power, np.arange(0, _BINS, _GATE_BINS), axis=1) / _GATE_BINS
    quiet = np.quantile(bands[::4], 0.15, axis=0) * np.float32(2 * rng.uniform(1, 3))
    least = np.float32(10 ** (-rng.uniform(5, 35) / 10))
    gains = np.sqrt(np.maximum(1 - quiet / np.maximum(bands, 1e-12), least))
    return np.repeat(gains, _GATE_BINS, axis=1)[:, :_BINS]


def _microphone(rng) -> np.ndarray:
    """Draw a response that varies by 2.5 dB between its corners, with mean 0 dB up to 8 kHz."""
    corners = (0, 500, 2000, 5000, 8000, 12_000, 16_000, 24_000)
    decibels = np.interp(_HERTZ, corners, np.cumsum(rng.normal(0, 2.5, len(corners))))
    return _from_decibels(decibels - decibels[:OWN_BINS].mean())


def _tone(rng, frames) -> np.ndarray:
    """Draw spectra of a constant or moving tone below 8 kHz, at -50 to -3 dB."""
    t = np.arange((frames - 1) * HOP_OUT + FRAME_OUT)
    first, last = rng.uniform(50, 7900, 2)
    hertz = np.linspace(first, last if rng.random() < 0.6 else first, len(t))
    start, stop = np.sort(rng.integers(0, len(t), 2))
    level = 10 ** (rng.uniform(-50, -3) / 20)
    ramp = np.clip(np.minimum(t - start, stop - t) / HOP_OUT, 0, 1)
    x = level * ramp * np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE_OUT)
    return _spectra(x.astype(np.float32))


def _gap(rng, frames) -> np.ndarray:
    """Draw a gain [frames, 1] that is zero for a while: digital silence, which must stay silent."""
    start, stop = np.sort(rng.integers(-frames // 4, frames + frames // 4, 2))
    t = np.arange(frames)
    return np.clip(np.maximum(start - t, t - stop) / 3, 0, 1).astype(np.float32)[:, np.newaxis]


def _decimated(spectra, response) -> np.ndarray:
    """Filter spectra at 48 kHz [frames, 481], and keep every third sample: [frames, 161].

    The part above 8 kHz that passes the filter is mirrored.
    """
    kept = spectra * response
    k = np.arange(OWN_BINS + 1)
    return (kept[:, k] + kept[:, 2 * OWN_BINS - k].conj() + kept[:, 2 * OWN_BINS + k]) / UPSAMPLING


def _filters() -> tuple[np.ndarray, list[np.ndarray]]:
    """Frequency of use, and response at each bin [481], of each of `downsamplers`."""
    phase = 2 * np.pi * np.outer(np.arange(_BINS), np.arange(-HALF, HALF + 1)) / FRAME_OUT
    odds, taps = zip(*downsamplers().values(), strict=True)
    return np.array(odds), [(np.cos(phase) @ h).astype(np.float32) for h in taps]


def _spectra(x) -> np.ndarray:
    """Spectra of x [T] at 48 kHz: [frames, 481], complex64, with the network's frames."""
    frames = np.lib.stride_tricks.sliding_window_view(x, FRAME_OUT)[::HOP_OUT]
    return scipy.fft.rfft(frames * window(FRAME_OUT, np.dtype(np.float32)))


def _speakers(recordings) -> tuple[list, np.ndarray]:
    """Group clips by speaker, with the probability of each clip, and of each speaker."""
    folders: dict[str, dict[str, list[Recording]]] = {}
    for r in recordings:
        folders.setdefault(r.folder, {}).setdefault(r.speaker, []).append(r)
    found, shares = [], []
    for speakers in folders.values():
        clips = [r for own in speakers.values() for r in own]
        seconds = np.array([len(r.samples) / SAMPLE_RATE_OUT for r in clips])
        has = [(min(r.edge, 24_000) - 8000) / 16_000 for r in clips]
        share = np.sqrt(seconds.sum()) * np.average(has, weights=seconds) ** 2
        lengths = [[len(r.samples) for r in own] for own in speakers.values()]
        roots = np.sqrt([sum(own) for own in lengths])
        shares += list(share * roots / roots.sum())
        for own, samples in zip(speakers.values(), lengths, strict=True):
            capped = np.minimum(samples, _LONGEST * SAMPLE_RATE_OUT)
            found.append((own, capped / capped.sum()))
    return found, np.array(shares) / sum(shares)


def _from_decibels(decibels) -> np.ndarray:
    return np.asarray(10 ** (np.asarray(decibels) / 20), np.float32)
