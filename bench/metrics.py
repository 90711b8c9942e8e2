"""Measures of quality for bandwidth extension, on float64 arrays at 48 kHz.

LSD is that of `novasr compare`. The rest are ratios of energies between the
same spectra, in dB.
"""

import numpy as np
from scipy import signal

from novasr_np.dsp.spectrum import FLOOR, HOP, N_FFT, power
from novasr_np.networks.novasr.spec import SAMPLE_RATE_OUT

SPLIT = 341  # the first bin above 8 kHz; of N_FFT / 2 + 1
BANDS = ((8500, 12_000), (12_000, 16_000), (16_000, 20_000))  # Hz
_HERTZ = np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE_OUT)


def lsd(y, truth) -> dict[str, float]:
    """Log-spectral distance over all bins, above 8 kHz ("high") and below ("low")."""
    a, b = power(y), power(truth)
    return {
        name: _log_spectral_distance(a[bins], b[bins])
        for name, bins in (
            ("all", slice(None)),
            ("high", slice(SPLIT, None)),
            ("low", slice(None, SPLIT)),
        )
    }


def _log_spectral_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The mean over frames of the root mean square over bins of the logarithms' difference."""
    difference = np.log10(np.maximum(a, FLOOR)) - np.log10(np.maximum(b, FLOOR))
    return float(np.sqrt((difference**2).mean(axis=0)).mean())


def level_errors(y, truth) -> list[float]:
    """Energy of y against that of the truth in each of BANDS, dB."""
    a, b = power(y), power(truth)
    return [_ratio(a[_between(*band)].sum(), b[_between(*band)].sum()) for band in BANDS]


def noise_floor(y, truth) -> float:
    """Energy of y against the truth's above 8 kHz, in the quietest tenth of its frames, dB.

    Both with the LSD's floor added to each bin, so that digital silence stays a number.
    """
    a, b = power(y) + FLOOR, power(truth) + FLOOR
    level = b.sum(axis=0)
    quiet = level <= np.quantile(level, 0.1)
    return _ratio(a[SPLIT:, quiet].sum(), b[SPLIT:, quiet].sum())


def low_band_snr(y, truth) -> float:
    """SNR below 7 kHz, dB, of the STFTs (phase and all)."""
    bins = _between(0, 7000)

    def spectrum(x):
        return signal.stft(x, SAMPLE_RATE_OUT, "hann", N_FFT, N_FFT - HOP)[2][bins]

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


def _between(low, high):
    return (low <= _HERTZ) & (high > _HERTZ)


def _ratio(a, b) -> float:
    tiny = np.finfo(np.float64).tiny
    return float(10 * np.log10(max(a, tiny) / max(b, tiny)))
