"""FlashSR's normalisation of samples, and their spectrogram."""

from functools import cache

import numpy as np

from ...dsp.sinc import hann
from ..record import Level
from .spec import FLOOR, HIGHEST, HOP, LOWEST, N_FFT, SAMPLE_RATE

_LEAST = 1e-8  # added to a peak, so that silence is not divided by 0


def level(x: np.ndarray) -> Level:
    """Measure the means of rows x [B, T], and the peaks without the means, [B, 1] each."""
    mean = x.mean(axis=-1, keepdims=True)
    return Level(mean, np.abs(x - mean).max(axis=-1, keepdims=True))


def normalise(x: np.ndarray, level: Level) -> np.ndarray:
    """Normalise rows [B, T] to mean 0 and peak 1/2: ``(x - mean) / (peak + 1e-8) / 2``."""
    return (x - level.mean) / (level.peak + _LEAST) / 2


def denormalise(y: np.ndarray, level: Level) -> np.ndarray:
    """Undo `normalise`: ``2 y (peak + 1e-8) + mean``."""
    return 2 * y * (level.peak + _LEAST) + level.mean


def log_mel(x: np.ndarray, mels: int = 256) -> np.ndarray:
    """Natural logarithms of magnitudes in mel bands: [B, T] -> [B, T / 480, mels].

    Frames of 2048 samples, 480 apart, periodic Hann window, 784 samples reflected at each end; T is
    a multiple of 480, and at least 960. Computed in float64, returned in x's dtype.
    """
    half = (N_FFT - HOP) // 2
    wide = np.pad(x.astype(np.float64), [(0, 0), (half, half)], mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(wide, N_FFT, axis=-1)[:, ::HOP]
    window = hann(np.arange(N_FFT) / (N_FFT // 2) - 1)
    bands = np.abs(np.fft.rfft(frames * window)) @ filterbank(mels).T.astype(np.float64)
    return np.log(np.maximum(bands, FLOOR)).astype(x.dtype)


@cache
def filterbank(mels: int = 256) -> np.ndarray:
    """Triangles on Slaney's mel scale, each of area 1 Hz: float32 [mels, 1025], read-only.

    The scale is linear, 3 mels in 200 Hz, up to 1000 Hz, and logarithmic above. Rounded to float32
    before and after the triangles are scaled, as by librosa's ``mel``.
    """
    bins = np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE)
    low, high = _mel(LOWEST), _mel(HIGHEST)
    edges = _hertz(np.linspace(low, high, mels + 2))[:, np.newaxis]
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - left) / (middle - left), (right - bins) / (right - middle)
    triangles = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    bank = (triangles * (2 / (right - left))).astype(np.float32)
    bank.flags.writeable = False
    return bank


_KNEE, _OCTAVES = 15, 27 / np.log(6.4)  # mels at 1000 Hz; mels for each factor of e above


def _mel(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else _KNEE + np.log(hertz / 1000) * _OCTAVES


def _hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < _KNEE, mel * 200 / 3, 1000 * np.exp((mel - _KNEE) / _OCTAVES))
