"""Find where the sound of a recording ends, which may be far below half its sampling rate.

The slope of a filter or a codec is steep in every frame, while that of a voice is steep in its loud
vowels and not in its pauses. So two spectra have to show it: the mean of the power, which loud
frames decide, and the mean of its logarithm, to which all frames count alike.
"""

from collections.abc import Iterable

import numpy as np

_BINS_A_SECOND = 50  # bins are 50 Hz apart, nearly so at rates of which a 50th is no whole number
_OVERLAP = 4  # frames that share a sample
_SILENT = 1e-7  # summed power of a frame that is left out; a full scale sine has 1e5
_FLOOR = 1e-9  # of power, before its logarithm
_SCALE = 960  # samples of a frame at which these hold

LOWEST = 40  # bin at which a slope can begin: 2 kHz
_FALL = 18.0  # dB at least of the mean power within the slope
_FALL_IN_ALL = 12.0  # dB of the mean logarithm
# Both together. A voice may show half of it by itself, near 3.6 kHz; telephones and steep filters
# at 8 kHz, which leave little room above their slope, show hardly more (bench/EDGES.md).
_FALLS = 34.0
_TONE = 12.0  # dB by which a tone is louder than what is before it
_DROP = 6.0  # dB below the level before the slope, where the sound ends


class Spectrum:
    """Sums of the frames' power and of its logarithm, [bins] each, from which `edge` is found."""

    def __init__(self, bins: int) -> None:
        self.power, self.logs, self.count = np.zeros(bins), np.zeros(bins), 0

    def add(self, power: np.ndarray) -> None:
        """Add frames of power [..., bins], at the scale of frames of 960 samples."""
        power = power.reshape(-1, power.shape[-1])
        power = power[power.sum(axis=1) > _SILENT]
        self.power += power.sum(axis=0, dtype=np.float64)
        self.logs += np.log10(np.maximum(power, _FLOOR)).sum(axis=0, dtype=np.float64)
        self.count += len(power)

    def __add__(self, other: "Spectrum") -> "Spectrum":
        total = Spectrum(len(self.power))
        total.power, total.logs = self.power + other.power, self.logs + other.logs
        total.count = self.count + other.count
        return total

    def edge(self) -> int | None:
        """The first bin that is not the sound's own; None if there is no end within the bins.

        A filter begins at the lowest bin k from 40 on where ``median(l[k-10 .. k-2]) -
        max(l[k+6 ..])`` is at least 18 dB in the mean power, 12 dB in the mean logarithm, each
        smoothed over 3 bins, and 34 dB in both together; but not if ``median(l[k-30 .. k-12])`` is
        12 dB lower, which is the slope of a tone. The edge is where, from k - 2 upwards, the mean
        power, not smoothed, is first 6 dB below ``median(l[k-9 .. k-2])``.
        """
        if not self.count:
            return None
        loud, usual = self._levels()
        exact = _decibels(self.power / self.count)
        for k in range(LOWEST, len(loud) - 3):
            fall = _fall(loud, k)
            if fall < _FALL:
                continue
            fall_in_all = _fall(usual, k)
            if fall_in_all < _FALL_IN_ALL or fall + fall_in_all < _FALLS:
                continue
            before = np.median(loud[k - 10 : k - 1])
            if np.median(loud[k - 30 : k - 12 + 1]) < before - _TONE:
                continue
            below = np.flatnonzero(exact[k - 2 :] < np.median(loud[k - 9 : k - 1]) - _DROP)
            return k - 2 + int(below[0]) if len(below) else None
        return None

    def goes_on(self, edge: int) -> bool:
        """Whether there is plainly sound above a bin: the mean power hardly falls there."""
        if not self.count or edge >= len(self.power) - 3:
            return False
        return _fall(self._levels()[0], edge) < _FALL / 2

    def _levels(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean power and the mean logarithm in dB, each smoothed over 3 bins."""
        loud = _decibels(_smooth(self.power / self.count))
        return loud, _smooth(10 * self.logs / self.count)


def edge(blocks: Iterable[np.ndarray], sample_rate: int) -> float | None:
    """Hz at which the sound ends, to 50 Hz; None if it has no end below half the sampling rate.

    blocks [channels, n], in order, at `sample_rate` Hz. By frames of 20 ms (`Spectrum.edge`).
    """
    size = max(_OVERLAP, round(sample_rate / _BINS_A_SECOND) // _OVERLAP * _OVERLAP)
    hop = size // _OVERLAP
    window = np.sin(np.pi * np.arange(size) / size) * (_SCALE / size)
    spectrum, rest = Spectrum(size // 2), None
    for block in blocks:
        x = block if rest is None else np.concatenate([rest, block], axis=-1)
        count = max(0, (x.shape[-1] - size) // hop + 1)
        rest = x[:, count * hop :].copy()
        if count:
            frames = np.lib.stride_tricks.sliding_window_view(x, size, axis=-1)[:, ::hop][:, :count]
            for row in frames:
                bins = np.fft.rfft(row * window)[:, : size // 2]
                spectrum.add(bins.real**2 + bins.imag**2)
    found = spectrum.edge()
    return None if found is None else found * sample_rate / size


def _fall(level: np.ndarray, k: int) -> float:
    """dB by which all above a slope at bin k lies below what is before it."""
    above = min(k + 6, len(level) - 1)
    return float(np.median(level[k - 10 : k - 1]) - level[above:].max())


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, _FLOOR))


def _smooth(x: np.ndarray) -> np.ndarray:
    """Mean over 3 bins, the ends held."""
    wide = np.pad(x, 1, "edge")
    return (wide[:-2] + wide[1:-1] + wide[2:]) / 3
