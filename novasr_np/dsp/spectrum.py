"""Spectra of recordings, and the difference of two: level and log-spectral distance by band.

Signals may have any length, and are read a piece at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import Any

import numpy as np

N_FFT, HOP = 2048, 512  # samples
MIN_CORRELATION = 0.5  # least correlation with which a delay is accepted
MAX_DELAY = 1 << 18  # samples, in either direction
FLOOR = 1e-8  # of |X|^2 in the log-spectral distance
BANDS = ((0, 4000), (4000, 8000), (8000, 12_000), (12_000, 16_000), (16_000, 24_000))  # Hz
_PIECE = 1 << 15  # samples at a time

# A signal [T], or a function that returns its pieces [n] in order, each time it is called.
Signal = np.ndarray | Callable[[], Iterable[np.ndarray]]


class Power:
    """|STFT|^2 of a signal in pieces: periodic Hann window, centred frames, ends reflected."""

    def __init__(self) -> None:
        self._window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
        self._held = np.zeros(0)
        self._begun = False

    def push(self, x: np.ndarray, last: bool = False) -> np.ndarray:
        """Take x [n]; return the frames that are complete now, [1025, frames].

        last: the signal ends with x. Raises ValueError then for a total of 1024 samples or fewer,
        which are too few to reflect.
        """
        half = N_FFT // 2
        held = np.concatenate([self._held, x])
        if not self._begun and len(held) > half:
            held, self._begun = np.concatenate([held[half:0:-1], held]), True
        if last:
            if not self._begun:
                raise ValueError(f"a signal must have more than {half} samples, got {len(held)}")
            held = np.concatenate([held, held[-2 : -half - 2 : -1]])
        count = max(0, (len(held) - N_FFT) // HOP + 1) if self._begun else 0
        self._held = held[count * HOP :].copy()
        if count == 0:
            return np.zeros((half + 1, 0))
        frames = np.lib.stride_tricks.sliding_window_view(held, N_FFT)[: count * HOP : HOP]
        return np.abs(np.fft.rfft(frames * self._window)).T ** 2


def power(x: np.ndarray) -> np.ndarray:
    """|STFT|^2 of a whole signal [T]: [1025, frames]. Raises as `Power.push`."""
    return Power().push(x, last=True)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance of two power spectra [bins, frames] in each frame.

    ``sqrt(mean over bins of (log10 a - log10 b)^2)``, both at least `FLOOR`, as in AP-BWE's code
    (arXiv 2401.06387). The mean over the frames is the log-spectral distance.
    """
    difference = np.log10(np.maximum(a, FLOOR)) - np.log10(np.maximum(b, FLOOR))
    return np.sqrt((difference**2).mean(axis=0))


def decibels(a: float, b: float) -> float | None:
    """Ratio of energy a to energy b in dB; None if one of them is 0."""
    return float(10 * np.log10(a / b)) if a and b else None


def compare(
    a: Signal, b: Signal, rate: int, bands: Sequence[tuple[int, int]] = BANDS
) -> dict[str, Any]:
    """Measure the difference of a from b, both at `rate` Hz, where they overlap.

    delay: samples by which a is late, at most `MAX_DELAY`, removed before the other measurements;
    None if a and b correlate by less than a half at every delay, and then nothing is shifted. snr,
    in dB, and gain: of a against b. bands: for each band below half the rate, level of a against b
    in dB, and log-spectral distance. A value that is undefined, because of silence, is None.
    lengths: of a and b.

    Memory does not grow with the lengths. Raises ValueError for signals of 1024 samples or fewer,
    and the errors of reading their pieces.
    """
    delay, lengths = _delay(a, b)
    shift = delay or 0
    samples = min(lengths) - abs(shift)
    hertz = np.fft.rfftfreq(N_FFT, 1 / rate)
    inside = [(low, min(high, rate // 2)) for low, high in bands if low < rate / 2]
    bins = [slice(0, None), *(slice(*np.searchsorted(hertz, band)) for band in inside)]
    levels, sums = np.zeros((len(bins), 2)), np.zeros(len(bins))
    energy = product = noise = 0.0
    frames = 0
    power_a, power_b = Power(), Power()

    def measure(x: np.ndarray, y: np.ndarray, last: bool = False) -> None:
        nonlocal energy, product, noise, frames
        energy, product = energy + y @ y, product + x @ y
        noise += ((x - y) ** 2).sum()
        pa, pb = power_a.push(x, last), power_b.push(y, last)
        frames += pa.shape[-1]
        for i, part in enumerate(bins):
            levels[i] += pa[part].sum(), pb[part].sum()
            sums[i] += _distances(pa[part], pb[part]).sum()

    left = _pieces(a, max(shift, 0), samples, _PIECE)
    right = _pieces(b, max(-shift, 0), samples, _PIECE)
    for x, y in zip(left, right, strict=True):
        measure(x, y)
    measure(np.zeros(0), np.zeros(0), last=True)
    return {
        "samples": samples,
        "lengths": list(lengths),
        "delay": delay,
        "gain": float(product / energy) if energy else None,
        "snr_db": decibels(energy, noise),
        "lsd": float(sums[0] / frames),
        "bands": [
            {"hz": list(band), "level_db": decibels(*level), "lsd": float(total / frames)}
            for band, level, total in zip(inside, levels[1:], sums[1:], strict=True)
        ],
    }


def _pieces(x: Signal, start: int, count: int | None, size: int) -> Iterator[np.ndarray]:
    """Yield samples start .. start + count - 1, None for all, float64, `size` at a time."""
    given, held, waiting = -start, [], 0
    for piece in (x,) if isinstance(x, np.ndarray) else x():
        begin = max(0, -given)
        given += len(piece)
        end = len(piece) if count is None else len(piece) - max(0, given - count)
        part = np.asarray(piece[begin : max(begin, end)], np.float64)
        for at in range(0, len(part), size):  # one by one, so that an array of any size fits
            held.append(part[at : at + size])
            waiting += len(held[-1])
            if waiting >= size:
                whole = np.concatenate(held)
                yield whole[:size]
                held, waiting = [whole[size:]], len(whole) - size
    if waiting:
        yield np.concatenate(held)


def _delay(a: Signal, b: Signal) -> tuple[int | None, tuple[int, int]]:
    """Find the delay of a in samples, by the peak of the cross-correlation, and both lengths.

    None if that peak is low. Each block of b is correlated with the three of a around it.
    """
    size = MAX_DELAY
    lengths, energies = np.zeros(2, int), np.zeros(2)

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield pairs of blocks; both signals are read to their ends."""
        for x, y in zip_longest(
            _pieces(a, 0, None, size), _pieces(b, 0, None, size), fillvalue=np.zeros(0)
        ):
            lengths[:] += len(x), len(y)
            n = min(len(x), len(y))
            if n:
                energies[:] += x[:n] @ x[:n], y[:n] @ y[:n]
                yield _filled(x[:n], size), _filled(y[:n], size)

    spectrum: Any = 0.0
    before = x = y = np.zeros(size)
    for after, next_y in chain(pairs(), [(np.zeros(size),) * 2]):
        around = np.fft.rfft(np.concatenate([before, x, after]), 4 * size)
        spectrum = spectrum + around * np.conj(np.fft.rfft(y, 4 * size))
        before, x, y = x, after, next_y
    product = np.fft.irfft(spectrum)[: 2 * size + 1]
    best = int(np.abs(product).argmax())
    found = energies.all() and abs(product[best]) >= MIN_CORRELATION * np.sqrt(energies.prod())
    return best - size if found else None, (int(lengths[0]), int(lengths[1]))


def _filled(x: np.ndarray, size: int) -> np.ndarray:
    return np.pad(x, (0, size - len(x)))
