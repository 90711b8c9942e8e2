"""Draw spectrograms of files, of any length."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import numpy as np

from ..atomic import atomic_write
from ..errors import missing_extra
from .reading import first_channel

_STYLE = {"vmin": -110, "vmax": -20, "cmap": "magma", "rasterized": True}  # dB
_COLUMNS = 1500  # of a picture, at most: it is hardly more pixels wide


def plot_spectrograms(target: Path, sounds: Mapping[str, Path]) -> None:
    """Draw the spectrograms of the files' first channels, on one scale, as a PNG file.

    sounds: title -> file. Frequency and level have the same scale in all spectrograms.

    Raises AudioError with the file's name for one that cannot be read whole, ModuleNotFoundError
    without matplotlib, OSError if a file cannot be read or the picture cannot be written.
    """
    try:
        import matplotlib  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing_extra("needs matplotlib", "plot") from error

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    spectra = {title: _spectrogram(path) for title, path in sounds.items()}
    size = (9, 3.5 * len(sounds))
    figure, axes = pyplot.subplots(
        len(sounds), figsize=size, sharex=True, squeeze=False, layout="constrained"
    )
    top = max(rate for *_, rate in spectra.values()) / 2000
    for axis, (title, (level, seconds, rate)) in zip(axes[:, 0], spectra.items(), strict=True):
        hertz = np.linspace(0, rate / 2, len(level))
        image = axis.pcolormesh(seconds, hertz / 1000, level, **_STYLE)
        axis.set(title=title, ylabel="kHz", ylim=(0, top), facecolor="black")
    axes[-1, 0].set_xlabel("s")
    figure.colorbar(image, ax=axes, label="dB")
    with atomic_write(target) as file:
        figure.savefig(file, dpi=90, format="png")
    pyplot.close(figure)


def _spectrogram(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean level in dB [bins, columns], the columns' times in s, and the rate in Hz."""
    rate, pieces = first_channel(path)
    window = max(4, round(0.03 * rate))
    hop, shape = window // 4, np.hanning(window)
    # At least two frames, which may be silence, so that a very short sound can be drawn too.
    frames = max(2, (sum(map(len, pieces())) + window // 2) // hop + 1)
    columns = min(frames, _COLUMNS)
    power, counts = np.zeros((columns, window // 2 + 1)), np.zeros(columns)
    held, done = np.zeros(window // 2), 0
    for x in chain(pieces(), [np.zeros(2 * window)]):
        held = np.concatenate([held, x])
        ready = min(frames - done, max(0, (len(held) - window) // hop + 1))
        if ready == 0:
            continue
        views = np.lib.stride_tricks.sliding_window_view(held, window)[: ready * hop : hop]
        level = (np.abs(np.fft.rfft(views * shape)) * 2 / window) ** 2
        column = np.arange(done, done + ready) * columns // frames
        starts = np.flatnonzero(np.diff(column, prepend=-1))
        power[column[starts]] += np.add.reduceat(level, starts)
        counts += np.bincount(column, minlength=columns)
        held, done = held[ready * hop :], done + ready
    seconds = np.arange(columns) * (frames / columns) * hop / rate
    return 10 * np.log10(np.maximum(power.T / counts, 1e-12)), seconds, rate
