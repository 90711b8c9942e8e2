"""Find where the sound of a recording ends, which may be far below half its sampling rate.

The slope of a filter or a codec is steep in every frame, while that of a voice is steep in its loud
vowels and not in its pauses. So two spectra have to show it: the mean of the power, which loud
frames decide, and the mean of its logarithm, to which all frames count alike.
"""

from collections.abc import Iterable

import numpy as np

_BINS_A_SECOND = 50  # bins are 50 Hz apart, nearly so at rates of which a 50th is no whole number
_OVERLAP = 2  # frames that share a sample; more of them find the same edges
_SILENT = 1e-7  # summed power of a frame that is left out; a full scale sine has 1e5
_FLOOR = 1e-9  # of power, before its logarithm
_AT_A_TIME = 128  # frames that fit a core's cache
_FACTORS = 4  # frames whose powers are multiplied before the logarithm, by far within float64
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
        loud = power @ np.ones(power.shape[-1], power.dtype) > _SILENT
        if not loud.all():
            power = power[loud]
        self.power += power.sum(axis=0)
        self.count += len(power)
        power = np.maximum(power, power.dtype.type(_FLOOR))
        whole = len(power) // _FACTORS * _FACTORS
        some = power[:whole].reshape(_FACTORS, -1, power.shape[-1])
        products, rest = (np.prod(part, axis=0, dtype=np.float64) for part in (some, power[whole:]))
        self.logs += np.log10(products).sum(axis=0) + np.log10(rest)

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
        fall, fall_in_all = _falls(loud), _falls(usual)
        steep = (fall >= _FALL) & (fall_in_all >= _FALL_IN_ALL) & (fall + fall_in_all >= _FALLS)
        for k in (np.flatnonzero(steep[LOWEST:]) + LOWEST).tolist():
            before = _median(loud[k - 10 : k - 1])
            if _median(loud[k - 30 : k - 12 + 1]) < before - _TONE:
                continue
            below = np.flatnonzero(exact[k - 2 :] < np.median(loud[k - 9 : k - 1]) - _DROP)
            return k - 2 + int(below[0]) if len(below) else None
        return None

    def goes_on(self, edge: int) -> bool:
        """Whether there is plainly sound above a bin: the mean power hardly falls there."""
        if not self.count or edge >= len(self.power) - 3:
            return False
        return bool(_falls(self._levels()[0])[edge] < _FALL / 2)

    def _levels(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean power and the mean logarithm in dB, each smoothed over 3 bins."""
        loud = _decibels(_smooth(self.power / self.count))
        return loud, _smooth(10 * self.logs / self.count)


def edge(blocks: Iterable[np.ndarray], sample_rate: int) -> float | None:
    """Hz at which the sound ends, to 50 Hz; None if it has no end below half the sampling rate.

    blocks [channels, n], in order, at `sample_rate` Hz. By frames of 20 ms that
    overlap by half (`Spectrum.edge`).
    """
    size = max(4, round(sample_rate / _BINS_A_SECOND) // 4 * 4)
    hop = size // _OVERLAP
    window = np.float32(np.sin(np.pi * np.arange(size) / size) * _SCALE)
    spectrum, rest = Spectrum(size // 2), None
    for block in blocks:
        x = block if rest is None else np.concatenate([rest, block], axis=-1)
        count = max(0, (x.shape[-1] - size) // hop + 1)
        rest = x[:, count * hop :].copy()
        if not count:
            continue
        for row in np.lib.stride_tricks.sliding_window_view(x, size, axis=-1)[:, ::hop]:
            for start in range(0, count, _AT_A_TIME):
                frames = row[start : start + _AT_A_TIME] * window
                # By a factor in float32, as this norm's is, numpy computes in float32.
                bins = np.fft.rfft(frames, norm="forward")[:, : size // 2]
                power = bins.real**2
                power += bins.imag**2
                spectrum.add(power)
    found = spectrum.edge()
    return None if found is None else found * sample_rate / size


def _falls(level: np.ndarray) -> np.ndarray:
    """dB by which all above a slope at bin k lies below what is before it, [bins - 3].

    -inf at the bins below 10, which have too few before them.
    """
    bins = len(level)
    falls = np.full(max(0, bins - 3), -np.inf)
    k = np.arange(10, bins - 3)
    if len(k):
        windows = np.lib.stride_tricks.sliding_window_view(level, 9)
        median = _median(windows[k - 10])
        highest = np.maximum.accumulate(level[::-1])[::-1]  # of all bins from one on
        falls[k] = median - highest[np.minimum(k + 6, bins - 1)]
    return falls


def _median(x: np.ndarray) -> np.ndarray:
    """Median of x [..., n], n odd; numpy's own takes ten times as long for a few numbers."""
    return np.sort(x, axis=-1)[..., x.shape[-1] // 2]


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, _FLOOR))


def _smooth(x: np.ndarray) -> np.ndarray:
    """Mean over 3 bins, the ends held."""
    wide = np.concatenate([x[:1], x, x[-1:]])
    return (wide[:-2] + wide[1:-1] + wide[2:]) / 3
