"""Layers as matrix products that compute several time steps at once, for the networks' fast paths.

Signals are [time, channel] here, so that the operands of a product are contiguous in memory.
Nothing is padded: the values before and after a signal are read as they are.
"""

from typing import Any

import numpy as np

from ..samples import ceil_div

ROWS = 8  # steps that elementwise operations take as one row, as numpy is slow with short rows


def tall(x: np.ndarray, steps: int) -> np.ndarray:
    """View [T, C] as [rows, ROWS C]: the steps, and up to 7 more."""
    rows = ceil_div(steps, ROWS)
    return x[: rows * ROWS].reshape(rows, -1)


def toeplitz(kernel: np.ndarray, rows: int) -> np.ndarray:
    """Matrix that computes `rows` steps at once, of a kernel [taps, channels in, channels out].

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
    """Convolve along time, across channels: write count steps to y, with `matrix` by `toeplitz`.

    A row of the product maps W contiguous steps of x to `hop` steps of y. Rows that do not overlap
    begin W steps apart, so one product computes every (W / hop)-th row of y, and W / hop products
    compute all, on views, without copying windows. y gets up to W - 1 steps more than count, whose
    values are meaningless.

    With `spare`, memory for a second y, the long sums are computed in two halves, which rounds
    less.
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


def correlate_dilated(
    x: np.ndarray,
    matrix: np.ndarray,
    hop: int,
    dilation: int,
    y: np.ndarray,
    count: int,
    spare: np.ndarray | None = None,
) -> None:
    """Convolve as `correlate` does, with `dilation` steps between taps: from x [T, I] to y [T, O].

    Every dilation-th step belongs to one of `dilation` separate signals: these are put one after
    another, and back. x and y need memory for `dilation` signals of ``ceil(count / dilation) +
    W - 1`` steps. spare: memory to reuse, for twice as much and W steps more each.
    """
    if dilation == 1:
        correlate(x, matrix, hop, y, count)
        return
    channels, out = x.shape[1], matrix.shape[1] // hop
    window = len(matrix) // channels
    each = ceil_div(count, dilation)
    length = each + window - 1
    room = length + 2 * window
    if spare is None:
        spare = np.zeros(dilation * room * (channels + out), x.dtype)
    flat, middle = spare.reshape(-1), dilation * room * channels
    apart = flat[:middle].reshape(dilation, room, channels)
    after = flat[middle:][: dilation * room * out].reshape(dilation, room, out)
    whole = x[: length * dilation].reshape(length, dilation, channels)
    apart[:, :length] = whole.transpose(1, 0, 2)
    for one, its in zip(apart, after, strict=True):
        correlate(one, matrix, hop, its, each)
    turned = y[: each * dilation].reshape(each, dilation, out)
    turned[:] = after[:, :each].transpose(1, 0, 2)


def band(bank: np.ndarray, hop: int, rows: int) -> np.ndarray:
    """[P, taps] -> [rows P, (rows - 1) hop + taps]: the P filters, `rows` times, `hop` apart."""
    phases, taps = bank.shape
    matrix = np.zeros((rows, phases, (rows - 1) * hop + taps))
    for row in range(rows):
        matrix[row, :, row * hop : row * hop + taps] = bank
    return matrix.reshape(rows * phases, -1)


def fir(x: np.ndarray, band: np.ndarray, hop: int, rows: int, y: np.ndarray, count: int) -> None:
    """Filter each channel along time: count values of n, `hop` steps of x apart.

    `band` and rows as for `band`; y gets up to rows - 1 more values of n.
    """
    out, width = band.shape
    channels = x.shape[1]
    blocks = ceil_div(count, rows)
    step, item = x.strides
    strides = (hop * rows * step, step, item)
    windows = np.ndarray((blocks, width, channels), x.dtype, x, strides=strides)
    np.matmul(band, windows, out=y[: blocks * out].reshape(blocks, out, channels))
