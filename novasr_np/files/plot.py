"""Draw spectrograms."""

from pathlib import Path

import numpy as np

from ..atomic import atomic_write
from ..errors import missing_extra

_STYLE = {"vmin": -110, "vmax": -20, "cmap": "magma", "rasterized": True}  # dB


def plot_spectrograms(target: Path, sounds: dict[str, tuple[np.ndarray, int]]) -> None:
    """Draw spectrograms of title -> (x [T], Hz), on one scale of frequencies and levels, as PNG.

    Raises ModuleNotFoundError without matplotlib, OSError if the file cannot be written.
    """
    try:
        import matplotlib  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing_extra("needs matplotlib", "plot") from error

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    size = (9, 3.5 * len(sounds))
    figure, axes = pyplot.subplots(
        len(sounds), figsize=size, sharex=True, squeeze=False, layout="constrained"
    )
    top = max(rate for _, rate in sounds.values()) / 2000
    for axis, (title, (x, rate)) in zip(axes[:, 0], sounds.items(), strict=True):
        window = max(4, round(0.03 * rate))
        # At least two frames, which may be silence: a picture of a click is a picture, too.
        frames = np.lib.stride_tricks.sliding_window_view(
            np.pad(np.asarray(x, np.float64), (window // 2, window)), window
        )[:: window // 4]
        level = np.abs(np.fft.rfft(frames * np.hanning(window))) * 2 / window
        seconds = np.arange(len(frames)) * (window // 4) / rate
        hertz = np.fft.rfftfreq(window, 1 / rate)
        image = axis.pcolormesh(
            seconds, hertz / 1000, 20 * np.log10(np.maximum(level.T, 1e-6)), **_STYLE
        )
        axis.set(title=title, ylabel="kHz", ylim=(0, top), facecolor="black")
    axes[-1, 0].set_xlabel("s")
    figure.colorbar(image, ax=axes, label="dB")
    with atomic_write(target) as file:
        figure.savefig(file, dpi=90, format="png")
    pyplot.close(figure)
