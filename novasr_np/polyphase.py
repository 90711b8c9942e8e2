"""Filters from one sampling rate to another, for signals that come bit by bit."""

from typing import Any

import numpy as np

from . import blas

# Up to so many phases a filter is a matrix that gives some hundred outputs at a time; beyond, the
# matrix would be too large.
_MAX_PHASES = 640
_OUTPUTS = 192  # of the matrix, at least
_PIECE = 1 << 16  # outputs made at a time, so that working memory stays small


class Polyphase:
    """``y[m] = sum_i h(i - m o / n) x[i]``, for n samples out on o samples in, and zeros around x.

    kernels [n, taps], taps even: h for each fraction of an input sample that an output can lie
    at. Row p serves the outputs m with m % n = p; its taps are the input samples
    floor(m o / n) + k, k = -(taps/2 - 1) .. taps/2.
    """

    def __init__(self, kernels, o, channels, dtype):
        self._kernels = kernels.astype(dtype)
        self._o, self._n = o, len(kernels)
        self.latency = kernels.shape[1] // 2  # samples of the input
        self._before = self.latency - 1
        self._matrix: Any = None
        if self._n <= _MAX_PHASES:
            self._matrix = _matrix(self._kernels, o, -(-_OUTPUTS // self._n))
        # Samples not yet done with, from input sample self._begin on; zeros before the first.
        self._begin = -self._before
        self._recent = np.zeros((channels, self._before), dtype)
        self._given = 0

    def push(self, x, last):
        """Take x [channels, k], any k; give every output that it settles, [channels, m].

        After the last, ceil(T n / o) have come out for T samples in all.
        """
        o, n = self._o, self._n
        x = np.concatenate([self._recent, x], axis=-1)
        end = self._begin + x.shape[-1]
        # Output m looks at the input samples up to floor(m o / n) + taps / 2, at the end at zeros.
        ready = max(self._given, -(-(end if last else end - self.latency) * n // o))
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

    def _by_matrix(self, x, start, stop):
        """Outputs start .. stop - 1, as a product with windows of x."""
        inputs, outputs = self._matrix.shape
        first = start // outputs
        count = -(-stop // outputs) - first
        hop = outputs * self._o // self._n
        windows = self._windows(x, first * hop - self._before, count, hop, inputs)
        with blas.one_thread():  # or the bytes would depend on the number of cores
            y = np.ascontiguousarray(windows) @ self._matrix
        return y.reshape(len(x), -1)[:, start - first * outputs : stop - first * outputs]

    def _by_table(self, x, start, stop):
        """The same, each output with a kernel of its own."""
        m = np.arange(start, stop, dtype=np.int64)
        at = m * self._o // self._n
        first, taps = int(at[0]) - self._before, self._kernels.shape[1]
        windows = self._windows(x, first, int(at[-1] - at[0]) + 1, 1, taps)
        return np.einsum("cmk,mk->cm", windows[:, at - at[0]], self._kernels[m % self._n])

    def _windows(self, x, first, count, hop, width):
        """[channels, count, width] of the input from sample `first` on; after its end zeros.

        Numpy's own function for such views leaks a little in some versions, which a long stream
        would feel.
        """
        needed = (count - 1) * hop + width
        x = np.ascontiguousarray(x[:, first - self._begin :][:, :needed])
        if x.shape[-1] < needed:
            x = np.pad(x, ((0, 0), (0, needed - x.shape[-1])))
        channel, item = x.strides
        shape, strides = (len(x), count, width), (channel, hop * item, item)
        return np.ndarray(shape, x.dtype, x, strides=strides)


def kernels(o, n, h, half):
    """The table of a kernel h(d), d in input samples, that is 0 where |d| > half."""
    width = int(np.ceil(half))
    fraction = (np.arange(n, dtype=np.int64) * o % n) / n
    distance = np.arange(-width, width + 2) - fraction[:, np.newaxis]
    return h(distance)


def _matrix(kernels, o, repeats):
    """[inputs, outputs]: what each of `repeats` o + taps inputs adds to each of repeats n outputs.

    Column j's taps stand from row floor(j o / n) on.
    """
    n, taps = kernels.shape
    j = np.arange(repeats * n)
    matrix = np.zeros((int(j[-1]) * o // n + taps, len(j)), kernels.dtype)
    matrix[(j * o // n)[:, np.newaxis] + np.arange(taps), j[:, np.newaxis]] = kernels[j % n]
    return matrix
