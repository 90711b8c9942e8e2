"""Take away what lies above a sound's own band, as FlashSR's input was made for its training.

A Chebyshev filter forwards and backwards, then down to twice its cutoff and up again. The original
does this unless it is told not to.
"""

import math

import numpy as np

from ...dsp.sinc import hann, kaiser, windowed_sinc
from .spec import HIGHEST, HOP, N_FFT, SAMPLE_RATE

_SHARE = 0.983  # of all magnitude, which lies below the cutoff
_LEAST = 1000  # Hz; a cutoff below is not believed
_ORDER, _RIPPLE = 8, 0.1  # dB
_EXTENSION = 27  # samples put before and after, for the filter to settle in
_BLOCK = 256  # samples that are filtered in one product


def cutoff(x: np.ndarray) -> np.ndarray:
    """Below which frequency in Hz 98.3 % of each row lies: [B, T] -> [B]; 24,000 for all of it.

    Sums of ``|Re X|`` over frames of 2048 samples, 480 apart: the original means the magnitude, but
    loses the imaginary part. Below 1000 Hz, as for silence or a low tone, 24,000 it is.
    """
    frames = np.lib.stride_tricks.sliding_window_view(x, N_FFT, axis=-1)[:, ::HOP]
    window = hann(np.arange(N_FFT) / (N_FFT // 2) - 1)
    parts = np.abs(np.fft.rfft(frames * window).real).sum(axis=1)
    sums = parts.cumsum(axis=-1)
    below = (sums[:, :-1] < _SHARE * sums[:, -1:]).sum(axis=-1)  # sums only grow
    hertz = np.maximum(below - 1, 0) / (N_FFT // 2) * HIGHEST
    return np.where(hertz < _LEAST, HIGHEST, hertz)


def low_pass(x: np.ndarray, hertz: float) -> np.ndarray:
    """x [B, T] without what lies above so many Hz, whole ones, in float64 inside.

    24,000 or more leave it as it is. Raises ValueError for less than 1 Hz, and for a sound of 27
    samples or fewer, which leave nothing to begin from.
    """
    edge = int(hertz)
    if edge >= HIGHEST:
        return x
    if edge < 1 or x.shape[-1] <= _EXTENSION:
        raise ValueError(
            f"a low-pass takes at least 1 Hz and {_EXTENSION + 1} samples, got {hertz} Hz and "
            f"{x.shape[-1]} samples"
        )
    y = _both_ways(x.astype(np.float64), _chebyshev(edge / HIGHEST))
    # This product can be a rounding below 2 edge, and the rate is one less then.
    rate = int(edge / HIGHEST * SAMPLE_RATE)
    y = _resample(_resample(y, rate, SAMPLE_RATE), SAMPLE_RATE, rate)[:, : x.shape[-1]]
    return np.pad(y, [(0, 0), (0, x.shape[-1] - y.shape[-1])]).astype(x.dtype)


def _chebyshev(edge: float) -> np.ndarray:
    """Chebyshev's filter of the first kind in sections of second order: [4, 5], b0 b1 b2 a1 a2.

    edge: as a share of half the rate. The poles lie on an ellipse, and the bilinear transform takes
    them to the circle's inside; all zeros are at -1.
    """
    epsilon = math.sqrt(10 ** (_RIPPLE / 10) - 1)
    angles = np.pi * np.arange(1, _ORDER, 2) / (2 * _ORDER)  # of one of each pair of poles
    warped = 4 * math.tan(np.pi * edge / 2)
    analog = -np.sinh(math.asinh(1 / epsilon) / _ORDER + 1j * angles) * warped
    poles = (4 + analog) / (4 - analog)
    gains = np.abs(analog / (4 - analog)) ** 2
    gains[0] /= math.sqrt(1 + epsilon**2)  # at 0 Hz an even order is in a trough of the ripple
    b = gains[:, np.newaxis] * [1, 2, 1]
    return np.column_stack([b, -2 * poles.real, np.abs(poles) ** 2])


def _both_ways(x: np.ndarray, sections: np.ndarray) -> np.ndarray:
    """Filter [B, T] forwards, then backwards, both ends continued through a point reflection."""
    n = _EXTENSION
    before, after = 2 * x[:, :1] - x[:, n:0:-1], 2 * x[:, -1:] - x[:, -2 : -n - 2 : -1]
    y = np.concatenate([before, x, after], axis=1)
    for _ in range(2):
        for section in sections:
            y = _filter(y, section)
        y = y[:, ::-1]
    return y[:, n:-n]


def _filter(x: np.ndarray, section: np.ndarray) -> np.ndarray:
    """``y[n] = b0 x[n] + b1 x[n-1] + b2 x[n-2] - a1 y[n-1] - a2 y[n-2]``: [B, T] -> [B, T].

    Before the first sample all have been as it is. In blocks: what a block's own samples make of
    it is one product for all blocks, and so is what two numbers of state before it make; only
    these go from block to block.
    """
    b0, b1, b2, a1, a2 = section
    step = np.array([[-a1, 1], [-a2, 0]])  # state to state, where x is 0
    given = np.array([b1 - a1 * b0, b2 - a2 * b0])  # x to state
    powers = [np.eye(2)]
    for _ in range(_BLOCK):
        powers.append(powers[-1] @ step)
    free = np.array([power[0] for power in powers[:-1]])  # state to output, [block, 2]
    impulse = np.concatenate([[b0], free[:-1] @ given])
    lag = np.arange(_BLOCK)[:, np.newaxis] - np.arange(_BLOCK)
    own = np.where(lag >= 0, impulse[np.abs(lag)], 0)
    kept = np.array([power @ given for power in powers[-2::-1]])  # samples to the state behind

    rows, steps = x.shape
    blocks = np.pad(x, [(0, 0), (0, -steps % _BLOCK)]).reshape(rows, -1, _BLOCK)
    added = blocks @ kept
    settled = x[:, 0] * (b0 + b1 + b2) / (1 + a1 + a2)
    state = np.stack([settled - b0 * x[:, 0], b2 * x[:, 0] - a2 * settled], axis=-1)
    states = np.empty_like(added)
    for i in range(added.shape[1]):
        states[:, i] = state
        state = state @ powers[-1].T + added[:, i]
    y = blocks @ own.T + states @ free.T
    return y.reshape(rows, -1)[:, :steps]


def _resample(x: np.ndarray, new_rate: int, rate: int) -> np.ndarray:
    """[B, T] from one rate to another, zeros beyond the ends: [B, ceil(T new_rate / rate)].

    A sinc of ten zero crossings of the lower rate to either side, in Kaiser's window of beta 5.
    """
    common = math.gcd(new_rate, rate)
    up, down = new_rate // common, rate // common
    widest = max(up, down)
    half = 10 * widest
    at = np.arange(-half, half + 1)
    kernel = windowed_sinc(at / widest, kaiser(at / half, 5.0))
    kernel *= up / kernel.sum()
    # Output m lies at input m down / up, and the kernel has `up` taps between two inputs.
    place = np.arange(-(-x.shape[-1] * up // down)) * down
    first = -((half - place) // up)
    y = np.zeros((len(x), len(place)))
    for j in range(2 * half // up + 1):
        n = first + j
        tap = half + place - n * up
        inside = (tap >= 0) & (n >= 0) & (n < x.shape[-1])
        y[:, inside] += kernel[tap[inside]] * x[:, n[inside]]
    return y
