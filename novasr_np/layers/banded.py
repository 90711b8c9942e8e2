"""Layers as matrix products that make several steps of time at once, for the networks' fast paths.

Signals are [time, channel] here, so that what a product takes lies side by side in memory. Nothing
is padded: what lies before and behind is read as it is.
"""

from typing import Any

import numpy as np

from ..samples import ceil_div


def toeplitz(kernel: np.ndarray, rows: int) -> np.ndarray:
    """[taps, channels in, channels out] -> the matrix that gives `rows` steps at once.

    [W, in, rows, out], W = taps + rows - 1 or the next multiple of rows, as [W in, rows out].
    """
    taps, channels_in, channels_out = kernel.shape
    window = ceil_div(taps + rows - 1, rows) * rows
    matrix = np.zeros((window, channels_in, rows, channels_out))
    for row in range(rows):
        matrix[row : row + taps, :, row] = kernel
    return matrix.reshape(window * channels_in, rows * channels_out)


def correlate(
    x: np.ndarray, matrix: np.ndarray, hop: int, y: np.ndarray, count: int, spare: Any = None
) -> None:
    """Convolve along time, across channels: count steps of x on to y, `matrix` by `toeplitz`.

    A row of the product takes W steps of x, which lie side by side, to what `hop` steps give.
    Rows that do not overlap begin W steps apart, so one product makes every (W / hop)-th row of
    y, and W / hop of them make all, on views: no window is ever copied. y gets up to W - 1 steps
    more than count, which mean nothing.

    With `spare`, room for a second y, the long sums are made in two halves, which rounds less.
    """
    channels = 1 if x.ndim == 1 else x.shape[1]
    width, out = matrix.shape
    window = width // channels
    turns = window // hop
    rows = ceil_div(count, window)
    x, y = x.reshape(-1), y.reshape(-1)[: rows * turns * out].reshape(rows, turns, out)
    half = width if spare is None else width // 2
    if spare is not None:
        spare = spare.reshape(-1)[: y.size].reshape(y.shape)
    for turn in range(turns):
        start = turn * hop * channels
        windows = x[start : start + rows * width].reshape(rows, width)
        np.matmul(windows[:, :half], matrix[:half], out=y[:, turn])
        if spare is not None:
            np.matmul(windows[:, half:], matrix[half:], out=spare[:, turn])
    if spare is not None:
        y += spare


def band(bank: np.ndarray, hop: int, rows: int) -> np.ndarray:
    """[P, taps] -> [rows P, (rows - 1) hop + taps]: the P filters, `rows` times, `hop` apart."""
    phases, taps = bank.shape
    matrix = np.zeros((rows, phases, (rows - 1) * hop + taps))
    for row in range(rows):
        matrix[row, :, row * hop : row * hop + taps] = bank
    return matrix.reshape(rows * phases, -1)


def fir(x: np.ndarray, band: np.ndarray, hop: int, rows: int, y: np.ndarray, count: int) -> None:
    """Filter along time, each channel on its own: count values of n, `hop` steps of x apart.

    `band` and rows as for `band`; y gets up to rows - 1 values of n more.
    """
    out, width = band.shape
    channels = x.shape[1]
    blocks = ceil_div(count, rows)
    step, item = x.strides
    strides = (hop * rows * step, step, item)
    windows = np.ndarray((blocks, width, channels), x.dtype, x, strides=strides)
    np.matmul(band, windows, out=y[: blocks * out].reshape(blocks, out, channels))
