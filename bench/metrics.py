"""Measures of quality for bandwidth extension, on float64 arrays [T] at 48 kHz.

Each compares an output y with the recording it was made from, the truth, in step and of one length.
LSD is that of `novasr compare`; it and ViSQOL hardly hear what fills a band as long as its energy
is right, so that `beat` and `before_onsets` ask for the pulses of a voice and for bursts.
"""

from typing import NamedTuple

import numpy as np
from scipy import fft, signal

from novasr_np.dsp.spectrum import FLOOR, N_FFT, power

RATE = 48_000  # Hz
LEVEL_BANDS = ((4500, 7500), (8500, 12_000), (12_000, 16_000), (16_000, 20_000))  # Hz
BEAT_BANDS = ((4000, 8000), (8000, 12_000), (12_000, 18_000))  # Hz
# Of the seam, in parts of the edge.
SEAM_BANDS = ((0.925, 0.956), (0.956, 0.981), (0.981, 1), (1, 1.019), (1.019, 1.05), (1.05, 1.125))
_SEAM_FFT = 4096  # samples

_PITCH_RATE = 8000  # Hz at which pitch is looked for
_PITCHES = (80, 400)  # Hz
_FRAME, _STEP = 0.04, 0.01  # s
_VOICED = 0.8  # least autocorrelation at the pitch period
_LOUD = 0.1  # least rms of a voiced frame, of the loudest frame's
_PULSES = (80, 500)  # Hz, of the envelope: the pitch and its first overtones, no slow swell

_MOMENT = 480  # samples: 10 ms before an onset, and after it
_RISE = 15  # dB from one to the other
_APART = 0.02  # s between onsets
_SLOPE = 500  # Hz, of the filter above the edge
_SILENT = 1e-9  # energy of 10 ms, for digital silence to stay a number


def lsd(y: np.ndarray, truth: np.ndarray, edge: float = 8000) -> dict[str, float]:
    """Log-spectral distance over all bins, above the edge in Hz ("high") and below it ("low")."""
    a, b = power(y), power(truth)
    split = _split(edge)
    return {
        name: _log_spectral_distance(a[bins], b[bins])
        for name, bins in (
            ("all", slice(None)),
            ("high", slice(split, None)),
            ("low", slice(None, split)),
        )
    }


def _log_spectral_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The mean over frames of the root mean square over bins of the logarithms' difference."""
    difference = np.log10(np.maximum(a, FLOOR)) - np.log10(np.maximum(b, FLOOR))
    return float(np.sqrt((difference**2).mean(axis=0)).mean())


def levels(y: np.ndarray, truth: np.ndarray, bands=LEVEL_BANDS, n_fft: int = N_FFT) -> list[float]:
    """Energy of y against that of the truth in each of some bands in Hz, dB."""
    a, b = (_mean_power(x, n_fft) for x in (y, truth))
    hertz = np.fft.rfftfreq(n_fft, 1 / RATE)
    inside = [(low <= hertz) & (hertz < high) for low, high in bands]
    return [_ratio(a[bins].sum(), b[bins].sum()) for bins in inside]


def seam(y: np.ndarray, truth: np.ndarray, edge: float) -> list[float]:
    """Level of y against the truth in narrow bands around the edge in Hz (`SEAM_BANDS`), dB."""
    return levels(y, truth, np.array(SEAM_BANDS) * edge, _SEAM_FFT)


def noise_floor(y: np.ndarray, truth: np.ndarray, edge: float = 8000) -> float:
    """Energy of y against the truth's above the edge, in the quietest tenth of its frames, dB.

    Both with the LSD's floor added to each bin, so that digital silence stays a number.
    """
    a, b = (power(x)[_split(edge) :] + FLOOR for x in (y, truth))
    level = b.sum(axis=0)
    quiet = level <= np.quantile(level, 0.1)
    return _ratio(a[:, quiet].sum(), b[:, quiet].sum())


class Voiced(NamedTuple):
    """Voiced frames of a recording, in samples."""

    starts: np.ndarray
    periods: np.ndarray


def voiced(x: np.ndarray) -> Voiced:
    """Find the frames of 40 ms in which x is voiced, and the period of its pitch in each.

    Voiced is a frame that has a tenth of the loudest frame's rms at least, and that resembles what
    comes 1 / 400 to 1 / 80 s later: a peak of the normalised autocorrelation of at least 0.8. The
    period is the first peak that reaches nine tenths of the highest. At 8 kHz, every 10 ms.
    """
    x = signal.resample_poly(x, _PITCH_RATE, RATE)
    size, step = round(_FRAME * _PITCH_RATE), round(_STEP * _PITCH_RATE)
    lags = np.arange(_PITCH_RATE // _PITCHES[1] - 1, _PITCH_RATE // _PITCHES[0] + 2)
    total = np.concatenate([[0], np.cumsum(x**2)])
    energy = total[size:] - total[:-size]
    starts, periods = [], []
    if len(x) > size + lags[-1]:
        frames = np.lib.stride_tricks.sliding_window_view(x, size)
        for start in range(0, len(frames) - lags[-1], step):
            if energy[start] <= _LOUD**2 * energy.max():
                continue
            norm = np.sqrt(energy[start] * energy[start + lags])
            r = frames[start + lags] @ frames[start] / np.maximum(norm, np.finfo(float).tiny)
            peaks = 1 + np.flatnonzero((r[1:-1] >= r[:-2]) & (r[1:-1] > r[2:]))
            peaks = peaks[r[peaks] >= max(_VOICED, 0.9 * r[peaks].max(initial=0))]
            if len(peaks):
                starts.append(start)
                periods.append(lags[peaks[0]])
    scale = RATE // _PITCH_RATE
    return Voiced(scale * np.array(starts, int), scale * np.array(periods, int))


def beat(y: np.ndarray, frames: Voiced, band: tuple[float, float]) -> float:
    """How strongly the pulses of a voice are heard in a band of y, in Hz: -1 to 1.

    A voice's pulses make the envelope of each band as periodic as the voice; that of noise is not,
    and sounds hoarse. It is the band's Hilbert envelope, of which 80 to 500 Hz are kept: its
    normalised autocorrelation at the pitch period of the truth, the mean over the truth's voiced
    frames (`voiced`). NaN without any.
    """
    size, envelope = round(_FRAME * RATE), _envelope(y, *band)
    found = []
    for start, period in zip(*frames, strict=True):
        a, b = (envelope[at : at + size] for at in (start, start + period))
        if len(b) == size:
            a, b = a - a.mean(), b - b.mean()
            found.append(a @ b / max(np.sqrt((a @ a) * (b @ b)), np.finfo(float).tiny))
    return float(np.mean(found)) if found else np.nan


def _envelope(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """The Hilbert envelope of a band in Hz, in it what beats as fast as a voice."""
    size = fft.next_fast_len(len(x))
    spectrum = fft.fft(x, size)
    hertz = fft.fftfreq(size, 1 / RATE)
    spectrum[(hertz < low) | (hertz >= high)] = 0
    spectrum = fft.rfft(np.abs(fft.ifft(2 * spectrum)))
    hertz = fft.rfftfreq(size, 1 / RATE)
    spectrum[(hertz < _PULSES[0]) | (hertz >= _PULSES[1])] = 0
    return fft.irfft(spectrum, size)[: len(x)]


def before_onsets(y: np.ndarray, truth: np.ndarray, edge: float) -> float:
    """How much louder than the truth y is above the edge in Hz just before onsets, dB.

    What is made in frames spreads a burst to where it has not begun. An onset is a moment in which
    the truth above the edge has 15 dB more energy in the 10 ms to come than in the last 10 ms. The
    mean over onsets of the last 10 ms' energy in dB, y's against the truth's; NaN without any.
    """
    y, truth = (_above(x, edge) for x in (y, truth))
    found = onsets(truth)
    if not len(found):
        return np.nan
    return float(np.mean([_ratio(*(_before(x, at) for x in (y, truth))) for at in found]))


def onsets(x: np.ndarray) -> np.ndarray:
    """Positions of the samples at which x rises by 15 dB, at least 20 ms apart.

    What follows has at least a hundredth of x's mean power.
    """
    total = np.concatenate([[0], np.cumsum(x**2)])
    at = np.arange(_MOMENT, len(x) - _MOMENT, RATE // 1000)
    before, after = total[at] - total[at - _MOMENT], total[at + _MOMENT] - total[at]
    rise = 10 * np.log10((after + _SILENT) / (before + _SILENT))
    rise[after < 1e-2 * _MOMENT * np.mean(x**2)] = 0
    peaks, _ = signal.find_peaks(rise, height=_RISE, distance=round(1000 * _APART))
    return at[peaks]


def _before(x: np.ndarray, at: int) -> float:
    return float((x[at - _MOMENT : at] ** 2).sum()) + _SILENT


def _above(x: np.ndarray, edge: float) -> np.ndarray:
    """What x has above the edge in Hz, from a gentle slope on, which hardly rings."""
    size = fft.next_fast_len(len(x) + _MOMENT, real=True)
    share = np.clip((fft.rfftfreq(size, 1 / RATE) - edge) / _SLOPE, 0, 1)
    return fft.irfft(fft.rfft(x, size) * np.sin(np.pi / 2 * share) ** 2, size)[: len(x)]


def pcm16(x: np.ndarray) -> np.ndarray:
    """x as a 16-bit file has it."""
    return np.clip(np.rint(x * 32767), -32768, 32767) / 32767


def bootstrap(values, seed: int = 0) -> tuple[float, float]:
    """The middle 95 % of the means of 10,000 draws of as many files, with replacement."""
    values = np.asarray(values, np.float64)
    draws = np.random.default_rng(seed).integers(0, len(values), (10_000, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _split(edge: float) -> int:
    """The first bin above the edge in Hz, as AP-BWE's code counts."""
    return int(edge / (RATE / 2) * (N_FFT // 2 + 1))


def _mean_power(x: np.ndarray, n_fft: int) -> np.ndarray:
    """Mean |X|^2 of frames of n_fft samples, a quarter of them apart: [n_fft / 2 + 1]."""
    frames = np.lib.stride_tricks.sliding_window_view(x, n_fft)[:: n_fft // 4]
    return (np.abs(np.fft.rfft(frames * np.hanning(n_fft))) ** 2).mean(axis=0)


def _ratio(a: float, b: float) -> float:
    tiny = np.finfo(np.float64).tiny
    return float(10 * np.log10(max(a, tiny) / max(b, tiny)))
