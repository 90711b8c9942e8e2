"""Find where the sound of a recording ends, which may be far below half its sampling rate."""

from collections.abc import Iterable

import numpy as np

_BAND = 250  # Hz, the width of a band of the mean spectrum
_SLOPE = 4  # bands within which a filter or a codec cuts the sound off
_DROP = 30  # dB by which the sound has to fall within them, and to stay below
_LOWEST = 3500  # Hz, where a telephone's band ends; speech itself falls steeply below it
_BINS_OF_A_BAND = 10


def edge(blocks: Iterable[np.ndarray], sample_rate: int) -> float | None:
    """Hz at which the sound ends, to 250 Hz; None if it has no end below half the sampling rate.

    blocks [channels, n], in order, at `sample_rate` Hz. Looks for the lowest frequency at which the
    mean spectrum falls by 30 dB within 1 kHz and stays there, as it does after a resampler or a
    codec's low-pass filter, but not with noise or the slope of a room's response.
    """
    n = 1 << round(np.log2(_BINS_OF_A_BAND * sample_rate / _BAND))
    window = np.hanning(n)
    power, rest = np.zeros(n // 2 + 1), None
    for block in blocks:
        x = block if rest is None else np.concatenate([rest, block], axis=-1)
        frames = x.shape[-1] // n
        rest = x[:, frames * n :].copy()
        spectra = np.fft.rfft(x[:, : frames * n].reshape(-1, n) * window)
        power += (np.abs(spectra) ** 2).sum(axis=0)
    hertz = np.fft.rfftfreq(n, 1 / sample_rate)
    count = int(sample_rate / 2 // _BAND)
    level = np.bincount((hertz // _BAND).astype(int), power)[:count]
    level = 10 * np.log10(level + 1e-20)
    for band in range(_LOWEST // _BAND, count - _SLOPE):
        around = level[band - _SLOPE : band + _SLOPE]
        below, above = level[band - _SLOPE : band].max(), level[band + _SLOPE :].max()
        if below - above >= _DROP:
            last = np.flatnonzero(around >= below - _DROP / 2)[-1]
            return float((band - _SLOPE + last + 1) * _BAND)
    return None
