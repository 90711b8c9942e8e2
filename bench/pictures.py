"""Draw spectrograms fine enough in time for the pulses of a voice to show."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

_WINDOW, _HOP = 0.005, 0.0005  # s
_N_FFT = 1024  # bins are interpolated, for pictures
_TOP = 24  # kHz
_LEVELS = (-90, -25)  # dB, of a full scale sine


class Panel(NamedTuple):
    """A sound to draw."""

    title: str
    x: np.ndarray  # [T]
    rate: int  # Hz


def draw(target: Path, rows: Sequence[Sequence[Panel]]) -> None:
    """Draw panels in rows, on one scale, from 0 to 24 kHz, as a PNG file."""
    import matplotlib  # noqa: PLC0415

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    columns = len(rows[0])
    figure, axes = pyplot.subplots(
        len(rows), columns, figsize=(5 * columns, 3.2 * len(rows)), squeeze=False,
        sharey=True, layout="constrained",
    )  # fmt: skip
    for axis, panel in zip(axes.flat, (panel for row in rows for panel in row), strict=True):
        extent = (0, len(panel.x) / panel.rate, 0, panel.rate / 2000)
        image = axis.imshow(
            level(panel.x, panel.rate), origin="lower", aspect="auto", extent=extent,
            vmin=_LEVELS[0], vmax=_LEVELS[1], cmap="magma",
        )  # fmt: skip
        axis.set(title=panel.title, ylim=(0, _TOP), facecolor="black")
    for axis in axes[:, 0]:
        axis.set_ylabel("kHz")
    for axis in axes[-1]:
        axis.set_xlabel("s")
    figure.colorbar(image, ax=axes, label="dB")
    figure.savefig(target, dpi=80, format="png")
    pyplot.close(figure)


def level(x: np.ndarray, rate: int) -> np.ndarray:
    """Level of x [T] in dB, every half millisecond, by windows of 5 ms: [bins, frames]."""
    window = np.hanning(round(_WINDOW * rate))
    x = np.pad(x, len(window) // 2)
    frames = np.lib.stride_tricks.sliding_window_view(x, len(window))[:: round(_HOP * rate)]
    n_fft = _N_FFT * rate // (2000 * _TOP)
    spectra = np.abs(np.fft.rfft(frames * (2 * window / window.sum()), max(n_fft, len(window))))
    return 20 * np.log10(np.maximum(spectra.T, 1e-6))
