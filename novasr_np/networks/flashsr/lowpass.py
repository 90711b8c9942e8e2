"""Low-pass filter that removes all above a sound's band, as in the training of FlashSR.

A Chebyshev filter is applied forwards and backwards, then the sound is resampled to twice the
cutoff and back, by scipy. The original does this by default.
"""

import numpy as np

from ...dsp.sinc import hann
from .spec import HIGHEST, HOP, N_FFT, SAMPLE_RATE

_SHARE = 0.983  # of all magnitude, which is below the cutoff
_LEAST = 1000  # Hz; a lower cutoff is rejected
_ORDER, _RIPPLE = 8, 0.1  # dB
_EXTENSION = 27  # samples put before and after, for the filter to settle in


def cutoff(x: np.ndarray) -> np.ndarray:
    """Frequency in Hz below which 98.3 % of each row is: [B, T] -> [B]; 24,000 for all of it.

    Sums of ``|Re X|`` over frames of 2048 samples, 480 apart: the original means the magnitude, but
    loses the imaginary part. If it is below 1000 Hz, as for silence or a low tone, returns 24,000.
    """
    frames = np.lib.stride_tricks.sliding_window_view(x, N_FFT, axis=-1)[:, ::HOP]
    window = hann(np.arange(N_FFT) / (N_FFT // 2) - 1)
    parts = np.abs(np.fft.rfft(frames * window).real).sum(axis=1)
    sums = parts.cumsum(axis=-1)
    below = (sums[:, :-1] < _SHARE * sums[:, -1:]).sum(axis=-1)  # sums only grow
    hertz = np.maximum(below - 1, 0) / (N_FFT // 2) * HIGHEST
    return np.where(hertz < _LEAST, HIGHEST, hertz)


def low_pass(x: np.ndarray, hertz: float) -> np.ndarray:
    """Remove from x [B, T] all above `hertz`, rounded to whole Hz; computed in float64.

    24,000 Hz or more leave x as it is. Needs scipy (the extra flashsr). Raises ValueError for less
    than 1 Hz, and for a sound of 27 samples or fewer, which are too few for the filter's extension.
    """
    edge = int(hertz)
    if edge >= HIGHEST:
        return x
    if edge < 1 or x.shape[-1] <= _EXTENSION:
        raise ValueError(
            f"a low-pass must have at least 1 Hz and {_EXTENSION + 1} samples, got {hertz} Hz and "
            f"{x.shape[-1]} samples"
        )
    from scipy.signal import cheby1, resample_poly, sosfiltfilt  # noqa: PLC0415

    sections = cheby1(_ORDER, _RIPPLE, edge / HIGHEST, output="sos")
    y = sosfiltfilt(sections, x.astype(np.float64), axis=-1, padlen=_EXTENSION)
    # This product can be slightly below 2 edge by rounding, and then the rate is one less.
    rate = int(edge / HIGHEST * SAMPLE_RATE)
    for up, down in ((rate, SAMPLE_RATE), (SAMPLE_RATE, rate)):
        y = resample_poly(y, up, down, axis=-1)
    y = y[:, : x.shape[-1]]
    return np.pad(y, [(0, 0), (0, x.shape[-1] - y.shape[-1])]).astype(x.dtype)
