"""Measures of quality for bandwidth extension, on float64 arrays [T] at 48 kHz.

Each compares an output y with the recording it was made from, the truth, in step and of one length.
LSD is that of `novasr compare`.
"""

import numpy as np
from scipy import signal

from novasr_np.dsp.spectrum import FLOOR, HOP, N_FFT, power

RATE = 48_000  # Hz
BANDS = ((4500, 7500), (8500, 12_000), (12_000, 16_000), (16_000, 20_000))  # Hz, of the levels


def lsd(y, truth, edge: int = 8000) -> dict[str, float]:
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


def levels(y, truth, bands=BANDS, n_fft: int = N_FFT) -> list[float]:
    """Energy of y against that of the truth in each of some bands in Hz, dB."""
    a, b = (_mean_power(x, n_fft) for x in (y, truth))
    hertz = np.fft.rfftfreq(n_fft, 1 / RATE)
    inside = [(low <= hertz) & (hertz < high) for low, high in bands]
    return [_ratio(a[bins].sum(), b[bins].sum()) for bins in inside]


def noise_floor(y, truth, edge: int = 8000) -> float:
    """Energy of y against the truth's above the edge, in the quietest tenth of its frames, dB.

    Both with the LSD's floor added to each bin, so that digital silence stays a number.
    """
    a, b = power(y)[_split(edge) :] + FLOOR, power(truth)[_split(edge) :] + FLOOR
    level = b.sum(axis=0)
    quiet = level <= np.quantile(level, 0.1)
    return _ratio(a[:, quiet].sum(), b[:, quiet].sum())


def low_band_snr(y, truth) -> float:
    """SNR below 7 kHz, dB, of the STFTs (phase and all)."""
    bins = slice(0, round(7000 * N_FFT / RATE))

    def spectrum(x):
        return signal.stft(x, RATE, "hann", N_FFT, N_FFT - HOP)[2][bins]

    want = spectrum(truth)
    return _ratio((np.abs(want) ** 2).sum(), (np.abs(spectrum(y) - want) ** 2).sum())


def pcm16(x) -> np.ndarray:
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


def _mean_power(x, n_fft: int) -> np.ndarray:
    """Mean |X|^2 of frames of n_fft samples, a quarter apart, [n_fft / 2 + 1]."""
    frames = np.lib.stride_tricks.sliding_window_view(x, n_fft)[:: n_fft // 4]
    return (np.abs(np.fft.rfft(frames * np.hanning(n_fft))) ** 2).mean(axis=0)


def _ratio(a, b) -> float:
    tiny = np.finfo(np.float64).tiny
    return float(10 * np.log10(max(a, tiny) / max(b, tiny)))
