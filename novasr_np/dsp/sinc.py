"""Windowed sincs: the low-pass kernels of every resampler and filter here."""

import numpy as np


def windowed_sinc(t: np.ndarray, window: np.ndarray) -> np.ndarray:
    """``sin(pi t) / (pi t)`` times a window; t counts zero crossings from the middle."""
    return np.sinc(t) * window


def kaiser(u: np.ndarray, beta: float) -> np.ndarray:
    """Kaiser's window, ``I0(beta sqrt(1 - u^2)) / I0(beta)`` for |u| <= 1, and 0 beyond."""
    return (np.abs(u) <= 1) * np.i0(beta * np.sqrt(np.maximum(0, 1 - u**2))) / np.i0(beta)


def kaiser_beta(attenuation: float) -> float:
    """Kaiser's rule for the beta that gives an attenuation of 50 dB or more."""
    return 0.1102 * (attenuation - 8.7)


def hann(u: np.ndarray) -> np.ndarray:
    """Hann's window, ``cos(pi u / 2)^2`` for |u| <= 1, and 0 beyond."""
    return (np.abs(u) <= 1) * np.cos(np.pi * u / 2) ** 2
