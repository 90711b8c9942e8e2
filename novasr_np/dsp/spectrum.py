"""Spectra of recordings, and how two of them differ: level and log-spectral distance by band."""

from collections.abc import Sequence
from typing import Any

import numpy as np

N_FFT, HOP = 2048, 512  # samples
MIN_CORRELATION = 0.5  # from which on a delay is believed
FLOOR = 1e-8  # of |X|^2, below which the log-spectral distance does not look
BANDS = ((0, 4000), (4000, 8000), (8000, 12_000), (12_000, 16_000), (16_000, 24_000))  # Hz


def power(x: np.ndarray) -> np.ndarray:
    """|STFT|^2 of x [T]: [1025, frames]; periodic Hann, centred, the ends reflected.

    Raises ValueError for T <= 1024, which leaves nothing to reflect.
    """
    if len(x) <= N_FFT // 2:
        raise ValueError(f"a spectrum needs more than {N_FFT // 2} samples, got {len(x)}")
    x = np.pad(np.asarray(x, np.float64), N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(x, N_FFT)[::HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    return np.abs(np.fft.rfft(frames * window)).T ** 2


def log_spectral_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The LSD of two power spectra [bins, frames], as AP-BWE's code has it (arXiv 2401.06387).

    ``mean over frames of sqrt(mean over bins of (log10 a - log10 b)^2)``, both at least `FLOOR`.
    """
    difference = np.log10(np.maximum(a, FLOOR)) - np.log10(np.maximum(b, FLOOR))
    return float(np.sqrt((difference**2).mean(axis=0)).mean())


def decibels(a: float, b: float) -> float | None:
    """Energy a against energy b in dB; None if one of them is 0."""
    return float(10 * np.log10(a / b)) if a and b else None


def compare(
    a: np.ndarray, b: np.ndarray, rate: int, bands: Sequence[tuple[int, int]] = BANDS
) -> dict[str, Any]:
    """Measure what a [T] has other than b [T], both at `rate` Hz, where they overlap.

    delay is in samples, by which a is late, and taken off first; None, and nothing is shifted,
    where a and b correlate by less than a half at any. snr in dB, and gain, of a against b. For
    each band, level of a against b in dB, and log-spectral distance. What silence leaves undefined
    is None. Raises ValueError for signals of 1024 samples or fewer.
    """
    n = min(len(a), len(b))
    a, b = np.asarray(a[:n], np.float64), np.asarray(b[:n], np.float64)
    delay = _delay(a, b)
    shift = delay or 0
    a, b = (a[shift:], b[: n - shift]) if shift >= 0 else (a[:shift], b[-shift:])
    energy, noise = b @ b, ((a - b) ** 2).sum()
    pa, pb = power(a), power(b)
    hertz = np.fft.rfftfreq(N_FFT, 1 / rate)
    rows = []
    for low, high in bands:
        bins = (low <= hertz) & (hertz < high)
        if bins.any():
            rows.append(
                {
                    "hz": [low, high],
                    "level_db": decibels(pa[bins].sum(), pb[bins].sum()),
                    "lsd": log_spectral_distance(pa[bins], pb[bins]),
                }
            )
    return {
        "samples": len(a),
        "delay": delay,
        "gain": float(a @ b / energy) if energy else None,
        "snr_db": decibels(energy, noise),
        "lsd": log_spectral_distance(pa, pb),
        "bands": rows,
    }


def _delay(a: np.ndarray, b: np.ndarray) -> int | None:
    """Samples that a is late, by the peak of the cross-correlation; None if that is a low one."""
    size = 1 << (2 * len(a) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    best = int(np.abs(product).argmax())
    least = MIN_CORRELATION * np.sqrt((a @ a) * (b @ b))
    if abs(product[best]) < least or not (a.any() and b.any()):
        return None
    return best if best < len(a) else best - size
