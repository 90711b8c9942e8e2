"""Draw training crops: which frames of which voice, and all that happens to them, as numbers.

The recordings' spectra lie on the device (`hold`); a `Draw` is a few numbers a crop, from which
`crops` makes the pairs there. So a batch depends on the plan's seed and its number alone, and
nothing large is moved.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import scipy.fft
from scipy import signal

from novasr_np.dsp import resample
from novasr_np.dsp.sinc import hann, kaiser, windowed_sinc
from novasr_np.networks.airband.features import window
from novasr_np.networks.airband.spec import BIN, BINS, FIRST, FRAME, HOP, SAMPLE_RATE_OUT, WIDTHS

from ..data import Recording
from ..state import TrainingPlan

SHORTEST = 0.3  # seconds that a recording must have
MOST_OF_A_VOICE = 15 * 60  # seconds: more of one voice, by chance, would only cost memory

HERTZ = BIN * np.arange(BINS)
_TOPS = BIN * (FIRST + np.cumsum(WIDTHS))  # Hz at which the bands end
# Recordings whose spectrum ends above this, as at 44.1 kHz, should be empty beyond their edge.
_FULL = 20_500  # Hz
_LONGEST = 6  # seconds up to which a clip's length raises its chance of being drawn
HISS_FRAMES = 6000  # of noise that lies on the device

# Shares of the groups of recordings, by a word of the licence or the source. They weigh a corpus of
# many voices against languages and rooms that are few here.
_SHARES = {
    "VCTK": 0.50,
    "AISHELL-3": 0.08,
    "FeedTheMonsterJS": 0.08,
    "audio-cmn": 0.06,
    "GCompris": 0.05,
    "kathleen": 0.04,
    "AssessmentApp": 0.04,
    "assessment-survey": 0.05,
}
_OTHERS, _ENOUGH = 0.03, 60  # of any other, if it has this number of seconds; else less
# Half rates of the inputs in kHz, None for any from 2 to 16, and how often each is drawn.
_HALVES = {4: 0.30, 5.5125: 0.05, 6: 0.12, 8: 0.24, 11.025: 0.05, 12: 0.09, 16: 0.04, None: 0.11}


class Draw(NamedTuple):
    """A batch of B crops of F frames, as numbers. Levels are of power, as factors."""

    frames: np.ndarray  # [B, F] the recordings' frames, by their number on the device
    peak: np.ndarray  # [B] power of the loudest frame
    gate: np.ndarray  # [B] multiple of the quiet frames' power that a noise gate takes; 0: none
    gate_least: np.ndarray  # [B] its lowest gain
    zeroed: np.ndarray  # [B] quantile of the frames' power below which they are made silent; 0: no
    zeroed_times: np.ndarray  # [B] and a factor on it
    response: np.ndarray  # [B, 480] gain of microphone and room
    tone: np.ndarray  # [B, F] frequency of a whistle, in bins
    tone_power: np.ndarray  # [B, F] its square over 4
    speech: np.ndarray  # [B] 0: the whistle is alone; else 1
    hiss: np.ndarray  # [B, 2] first frames of the noises
    noise: np.ndarray  # [B, 480] power of the room's noise
    sounding: np.ndarray  # [B, F] 0 in digital silence
    low_pass: np.ndarray  # [B, 480] gain of the filter before the rate is brought down
    half: np.ndarray  # [B] bin at half the input's rate, about which the rest is mirrored
    edge: np.ndarray  # [B] first bin that is not the input's own
    coarse: np.ndarray  # [B] power of quantisation noise
    follows: np.ndarray  # [B] power of noise against the signal's
    counts: np.ndarray  # [B, 56] weights of the bands in the loss


def power_of(x: np.ndarray) -> np.ndarray:
    """Power of the frames of x [T] at 48 kHz, [frames, 480] float32."""
    frames = np.lib.stride_tricks.sliding_window_view(x, FRAME)[::HOP]
    spectra = scipy.fft.rfft(frames * window(FRAME, np.dtype(np.float32)))[:, :BINS]
    return spectra.real**2 + spectra.imag**2


def batches(
    recordings: Sequence[Recording], plan: TrainingPlan, numbers: Iterable[int]
) -> Iterator[Draw]:
    """Yield random draws; clips of a voice are joined if one is too short.

    Batch number k depends only on the seed and k. A group's share is fixed (`_SHARES`); within it
    that of a voice grows with the square root of its seconds, and with the square of the part that
    it has of the band from the input's half rate to 24 kHz; a clip's with its seconds, up to six.
    """
    voices = _voices(recordings)
    shares, ends = np.array([(voice.share, voice.end) for voice in voices]).T
    for number in numbers:
        rng = np.random.default_rng([plan.seed, number])
        rows = [_draw(rng, voices, shares, ends, plan.samples // HOP) for _ in range(plan.batch)]
        yield Draw(*(np.stack(part) for part in zip(*rows, strict=True)))


class _Voice(NamedTuple):
    share: float
    end: float  # Hz, the mean of its clips
    firsts: np.ndarray  # number of each clip's first frame
    sizes: np.ndarray  # frames of each clip
    ends: np.ndarray  # Hz
    odds: np.ndarray


def frames_of(samples: int) -> int:
    """Number of complete frames of a recording."""
    return (samples - FRAME) // HOP + 1


def _draw(rng, voices: list[_Voice], shares: np.ndarray, ends: np.ndarray, frames: int) -> tuple:
    """Draw a crop, the fields of `Draw` in order. shares, ends: those of the voices."""
    kinds = list(_HALVES)
    half = kinds[rng.choice(len(kinds), p=list(_HALVES.values()))]
    top = 1000 * (rng.uniform(2, 16) if half is None else half)
    top = min(top, 0.9 * ends.max())  # a voice must have more
    shares = shares * np.maximum((ends - top) / (24_000 - top), 0) ** 2
    chosen, end = _frames(rng, voices[rng.choice(len(voices), p=shares / shares.sum())], frames)

    gated = rng.random() < 0.3
    zeroed = rng.random() < 0.08
    response = np.zeros(BINS)
    if rng.random() < (0.3 if gated else 0.04):
        # An end below 24 kHz, as processed recordings often have one.
        response -= np.clip((HERTZ - rng.uniform(19_500, 22_500)) / 500, 0, 1) * rng.uniform(40, 90)
    if rng.random() < 0.4:
        response += _microphone(rng)
    if rng.random() < (0.12 if gated else 0.04):
        response -= _dull_room(rng, top)
    tone, tone_power, alone = np.zeros(frames), np.zeros(frames), False
    if rng.random() < 0.08:
        # A whistle or a beep, over the speech or alone: the network must add nothing above it.
        tone, tone_power = _tone(rng, frames, top)
        alone = rng.random() < 0.5
    noise = np.full(BINS, -np.inf)
    if rng.random() < (0.2 if zeroed else 0.6):
        # A room and an amplifier: flat to 4 kHz, then falling or rising.
        tilt = np.clip((HERTZ - 4000) / 20_000, 0, 1) * rng.uniform(-6, 12)
        noise = rng.uniform(-97, -55) + tilt
    sounding = _gap(rng, frames) if rng.random() < 0.15 else np.ones(frames)
    low_pass, half_bin, edge = _low_pass(rng, top)
    step = 2.0 ** -rng.integers(7, 14) if rng.random() < 0.12 else 0.0
    follows = rng.random() < 0.12 and top <= 8000
    counts = (BIN * edge < _TOPS) & ((end >= _TOPS) | (end >= _FULL))
    single = np.float32
    return (
        chosen,
        single(_gain(rng.uniform(-22, 3))),
        single(rng.uniform(2, 6) if gated else 0),
        single(_gain(-rng.uniform(5, 40))),
        single(rng.uniform(0.05, 0.3) if zeroed else 0),
        single(rng.uniform(1, 3)),
        single(_gain(response)),
        single(tone),
        single(tone_power),
        single(not alone),
        rng.integers(0, HISS_FRAMES - frames, 2).astype(np.int32),
        single(_gain(noise) * FRAME / 2),
        single(sounding),
        single(low_pass),
        np.int32(half_bin),
        np.int32(edge),
        single(step**2 / 12 * SAMPLE_RATE_OUT / (2 * top) * FRAME / 2),
        single(_gain(-rng.uniform(25, 42)) if follows else 0),
        single(counts * np.sqrt(WIDTHS)),
    )


def _frames(rng, voice: _Voice, frames: int) -> tuple[np.ndarray, float]:
    """Draw a voice's frames, and the lowest end of their clips in Hz."""
    parts: list[np.ndarray] = []
    count, end = 0, np.inf
    while count < frames:
        clip = rng.choice(len(voice.sizes), p=voice.odds)
        size = min(voice.sizes[clip], frames - count)
        first = voice.firsts[clip] + rng.integers(0, voice.sizes[clip] - size + 1)
        parts.append(np.arange(first, first + size))
        count, end = count + size, min(end, voice.ends[clip])
    return np.concatenate(parts).astype(np.int32), end


def _microphone(rng) -> np.ndarray:
    """Draw a response in dB that varies by 2.5 dB between its corners, of mean 0 up to 8 kHz."""
    corners = (0, 500, 2000, 5000, 8000, 12_000, 16_000, 24_000)
    decibels = np.interp(HERTZ, corners, np.cumsum(rng.normal(0, 2.5, len(corners))))
    return decibels - decibels[HERTZ < 8000].mean()


def _dull_room(rng, top: float) -> np.ndarray:
    """Draw the dB that a dull room takes: a smooth fall that begins where the input can tell."""
    first, last = top * rng.uniform(0.25, 0.6), top * rng.uniform(1.2, 2)
    part = np.clip((HERTZ - first) / (last - first), 0, 1)
    return rng.uniform(0, 15) * (1 - np.cos(np.pi * part)) / 2


def _tone(rng, frames: int, top: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw a constant or moving tone below `top`, at -50 to -3 dB: its bins, and its power."""
    first, last = rng.uniform(50, top - 100, 2) / BIN
    place = np.linspace(first, last if rng.random() < 0.6 else first, frames)
    start, stop = np.sort(rng.integers(0, frames + 1, 2))
    t = np.arange(frames)
    ramp = np.clip(np.minimum(t - start, stop - t) / 2, 0, 1)
    return place, ramp * _gain(rng.uniform(-50, -3)) / 4


def _gap(rng, frames: int) -> np.ndarray:
    """Draw a gain of power [frames] that is zero for a while: digital silence, which must stay."""
    start, stop = np.sort(rng.integers(-frames // 4, frames + frames // 4, 2))
    t = np.arange(frames)
    return np.clip(np.maximum(start - t, t - stop) / 3, 0, 1) ** 2


def _low_pass(rng, top: float) -> tuple[np.ndarray, int, int]:
    """Draw the filter below half a rate of `top` Hz: gain [480], half the rate and edge in bins.

    The edge is where the power has fallen by 6 dB, give or take a bin; but a filter that leaks is
    filled up by the mirror image, and its edge is half the rate.
    """
    half = round(top / BIN)
    telephone = top <= 4250 and rng.random() < 0.25
    kind = rng.integers(9)
    if telephone or kind >= 4:
        last = top * rng.uniform(0.96, 1.0)
        first = top * rng.uniform(0.90, 0.98)
        if telephone:
            last = rng.uniform(3350, 3650)
            first = last - rng.uniform(100, 400)
        part = np.clip((HERTZ - first) / (max(last, first + BIN) - first), 0, 1)
        gain = np.maximum(((1 + np.cos(np.pi * part)) / 2) ** 2, 1e-10)
    else:
        gain = np.interp(HERTZ / top, *_filters()[kind])
    edge = half
    if telephone or kind >= 2:
        below = np.flatnonzero(gain[FIRST // 2 :] < 0.25)
        found = FIRST // 2 + (below[0] if len(below) else half)
        edge = int(np.clip(found + rng.integers(-1, 2), FIRST - 2, half))
    if telephone:
        gain *= _gain(-rng.uniform(10, 40) * np.clip(1 - HERTZ / 300, 0, 1))
    return gain, half, edge


@cache
def _filters() -> list[tuple[np.ndarray, np.ndarray]]:
    """Filters of common resamplers: frequency as a part of half the rate, and gain of power.

    torchaudio's two windowed sincs, which leak, and the Chebyshev filters of scipy's ``decimate``.
    """
    part = np.linspace(0, 12, 4097)
    reach, ratio = 240, 6  # taps on either side, output samples per input sample
    t = np.arange(-reach, reach + 1) / ratio * resample.ROLLOFF
    u = t / resample.ZERO_CROSSINGS
    found = []
    for shape in (hann(u), kaiser(u, resample.KAISER_BETA)):
        taps = windowed_sinc(np.clip(t, -resample.ZERO_CROSSINGS, resample.ZERO_CROSSINGS), shape)
        angle = np.pi * np.outer(np.minimum(part, ratio) / ratio, np.arange(-reach, reach + 1))
        found.append((part, (np.cos(angle) @ taps * resample.ROLLOFF / ratio) ** 2))
    for order in (6, 8):
        sections = signal.cheby1(order, 0.05, 0.8 / ratio, output="sos")
        angle = np.pi * np.minimum(part / ratio, 1)
        found.append((part, np.abs(signal.sosfreqz(sections, angle)[1]) ** 4))
    return found


def _voices(recordings: Sequence[Recording]) -> list[_Voice]:
    firsts = np.cumsum([0, *(frames_of(len(r.samples)) for r in recordings)])
    groups: dict[str, dict[tuple[str, str], list[int]]] = {}
    for i, r in enumerate(recordings):
        voices = groups.setdefault(_group(r), {})
        voices.setdefault((r.folder, r.speaker), []).append(i)
    found = []
    for name, voices in groups.items():
        seconds = sum(len(recordings[i].samples) for own in voices.values() for i in own)
        others = _OTHERS * min(1, np.sqrt(seconds / SAMPLE_RATE_OUT / _ENOUGH))
        roots = {
            voice: np.sqrt(sum(len(recordings[i].samples) for i in own))
            for voice, own in voices.items()
        }
        for voice, own in voices.items():
            sizes = np.array([firsts[i + 1] - firsts[i] for i in own])
            capped = np.minimum(sizes, _LONGEST * SAMPLE_RATE_OUT // HOP)
            ends = np.array([min(recordings[i].edge, 24_000) for i in own])
            share = _SHARES.get(name, others) * roots[voice] / sum(roots.values())
            end = float(np.average(ends, weights=sizes))
            found.append(_Voice(share, end, firsts[own], sizes, ends, capped / capped.sum()))
    return found


def _group(recording: Recording) -> str:
    text = f"{recording.licence} {recording.source}"
    return next((word for word in _SHARES if word in text), recording.source)


def _gain(decibels) -> np.ndarray:
    """Factor of power."""
    return 10 ** (np.asarray(decibels) / 10)
