"""Filter from one sampling rate to another, chunk by chunk."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from .. import blas
from ..samples import ceil_div
from .sinc import kaiser, kaiser_beta, windowed_sinc

# Up to this number of phases a filter is a matrix that gives some hundred outputs at a time; with
# more, the matrix would be too large.
_MAX_PHASES = 640
_OUTPUTS = 192  # of the matrix, at least
_PIECE = 1 << 16  # outputs computed at a time, so that working memory stays small
_ROWS = 512  # of a table computed at a time, likewise
MAX_TABLE_BYTES = 200_000_000


class ChunkFilter(Protocol):
    """Filter that takes a signal chunk by chunk."""

    @property
    def latency(self) -> int:
        """Look-ahead: input samples needed after one before all its outputs can be computed."""

    def push(self, x: np.ndarray, last: bool) -> np.ndarray:
        """Take x [channels, n], any n; return the outputs that are determined now, [channels, m].

        last: the signal ends with x, and all remaining outputs are returned.
        """


class Polyphase:
    """``y[m] = sum_i h(i - m o / n) x[i]``, for n samples out on o samples in, and zeros around x.

    kernels [n, taps], taps even: h for each fraction of an input sample that an output can lie
    at. Row p serves the outputs m with m % n = p; its taps are the input samples
    floor(m o / n) + k, k = -(taps/2 - 1) .. taps/2.
    """

    def __init__(self, kernels: np.ndarray, o: int, channels: int) -> None:
        self._kernels = kernels
        self._o, self._n = o, len(kernels)
        self.latency = kernels.shape[1] // 2  # samples of the input
        self._before = self.latency - 1
        self._matrix: Any = None
        if self._n <= _MAX_PHASES:
            self._matrix = _matrix(self._kernels, o, ceil_div(_OUTPUTS, self._n))
        # Samples still needed, from input sample self._begin on; zeros before the first.
        self._begin = -self._before
        self._recent = np.zeros((channels, self._before), kernels.dtype)
        self._given = 0

    def push(self, x: np.ndarray, last: bool) -> np.ndarray:
        """Take x [channels, k], any k; return every output that it determines, [channels, m].

        The total after the last chunk is ceil(T n / o) for T samples.
        """
        o, n = self._o, self._n
        x = np.concatenate([self._recent, x], axis=-1)
        end = self._begin + x.shape[-1]
        # Output m needs the input samples up to floor(m o / n) + latency, zeros after the end.
        determined = end if last else end - self.latency
        ready = max(self._given, ceil_div(determined * n, o))
        y = np.empty((len(x), ready - self._given), x.dtype)
        piece = self._by_table if self._matrix is None else self._by_matrix
        for start in range(self._given, ready, _PIECE):
            stop = min(start + _PIECE, ready)
            y[:, start - self._given : stop - self._given] = piece(x, start, stop)
        self._given = ready
        block = 1 if self._matrix is None else self._matrix.shape[1]
        begin = max(self._begin, ready // block * block * o // n - self._before)
        self._recent, self._begin = x[:, begin - self._begin :].copy(), begin
        return y

    def _by_matrix(self, x: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Compute outputs start .. stop - 1, as a product with windows of x."""
        inputs, outputs = self._matrix.shape
        first = start // outputs
        count = ceil_div(stop, outputs) - first
        hop = outputs * self._o // self._n
        windows = self._windows(x, first * hop - self._before, count, hop, inputs)
        with blas.one_thread():  # otherwise the bytes would depend on the number of cores
            y = np.ascontiguousarray(windows) @ self._matrix
        return y.reshape(len(x), -1)[:, start - first * outputs : stop - first * outputs]

    def _by_table(self, x: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Compute the same, each output with the kernel of its phase."""
        m = np.arange(start, stop, dtype=np.int64)
        at = m * self._o // self._n
        first, taps = int(at[0]) - self._before, self._kernels.shape[1]
        windows = self._windows(x, first, int(at[-1] - at[0]) + 1, 1, taps)
        return np.einsum("cmk,mk->cm", windows[:, at - at[0]], self._kernels[m % self._n])

    def _windows(self, x: np.ndarray, first: int, count: int, hop: int, width: int) -> np.ndarray:
        """View the input from sample `first` on as [channels, count, width]; zeros after its end.

        numpy's function for such views leaks a little memory in some versions, which adds up in a
        long stream.
        """
        needed = (count - 1) * hop + width
        x = np.ascontiguousarray(x[:, first - self._begin :][:, :needed])
        if x.shape[-1] < needed:
            x = np.pad(x, ((0, 0), (0, needed - x.shape[-1])))
        channel, item = x.strides
        shape, strides = (len(x), count, width), (channel, hop * item, item)
        return np.ndarray(shape, x.dtype, x, strides=strides)


def low_pass(
    hertz: float, transition: float, attenuation: float, sample_rate: int, new_rate: int, dtype: Any
) -> np.ndarray:
    """Table for `Polyphase` of a windowed sinc, by Kaiser's rules for beta and length.

    hertz: where half of the sound passes, in the middle of a transition of `transition` Hz;
    attenuation: dB beyond it, at least 50. Raises ValueError as `kernels`.
    """
    half = (attenuation - 7.95) / (2.285 * 2 * np.pi * transition) / 2  # s
    beta = kaiser_beta(attenuation)

    def h(distance: np.ndarray) -> np.ndarray:
        t = distance / sample_rate  # s
        return windowed_sinc(2 * hertz * t, kaiser(t / half, beta)) * 2 * hertz / sample_rate

    divisor = math.gcd(sample_rate, new_rate)
    o, n = sample_rate // divisor, new_rate // divisor
    return kernels(o, n, h, half * sample_rate, dtype)


def kernels(
    o: int, n: int, h: Callable[[np.ndarray], np.ndarray], half: float, dtype: Any
) -> np.ndarray:
    """Table for `Polyphase` of a kernel h(d), d in input samples, that is 0 where |d| > half.

    Raises ValueError if it would take more than `MAX_TABLE_BYTES`, as it does for a high rate with
    a small greatest common divisor with the other rate.
    """
    width = int(np.ceil(half))
    taps = 2 * width + 2
    needed = n * taps * np.dtype(dtype).itemsize
    if needed > MAX_TABLE_BYTES:
        raise ValueError(
            f"a filter must take at most {MAX_TABLE_BYTES / 1e6:.0f} MB, got {needed / 1e6:.0f} "
            f"MB for {n} phases of {taps} taps: resample the sound to a usual rate first, such as "
            "44.1 kHz"
        )
    table = np.empty((n, taps), dtype)
    for start in range(0, n, _ROWS):
        rows = np.arange(start, min(start + _ROWS, n), dtype=np.int64)
        fraction = (rows * o % n) / n
        table[rows] = h(np.arange(-width, width + 2) - fraction[:, np.newaxis])
    return table


def _matrix(kernels: np.ndarray, o: int, repeats: int) -> np.ndarray:
    """Matrix [inputs, outputs] of the weights of `repeats` o + taps inputs in repeats n outputs.

    The taps of column j begin at row floor(j o / n).
    """
    n, taps = kernels.shape
    j = np.arange(repeats * n)
    matrix = np.zeros((int(j[-1]) * o // n + taps, len(j)), kernels.dtype)
    matrix[(j * o // n)[:, np.newaxis] + np.arange(taps), j[:, np.newaxis]] = kernels[j % n]
    return matrix
