"""Two recordings side by side: levels and log-spectral distance by band; and pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .files import replacing

N_FFT, HOP = 2048, 512  # samples
_FIT = 0.5  # correlation, from which on a delay is believed
FLOOR = 1e-8  # of |X|^2, below which the log-spectral distance does not look
BANDS = ((0, 4000), (4000, 8000), (8000, 12_000), (12_000, 16_000), (16_000, 24_000))  # Hz
_PICTURE = {"vmin": -110, "vmax": -20, "cmap": "magma", "rasterized": True}  # dB


def power(x) -> np.ndarray:
    """|STFT|^2 of x [T]: [1025, frames]; periodic Hann, centred, the ends reflected.

    Raises ValueError for T <= 1024, which leaves nothing to reflect.
    """
    if len(x) <= N_FFT // 2:
        raise ValueError(f"a spectrum needs more than {N_FFT // 2} samples, got {len(x)}")
    x = np.pad(np.asarray(x, np.float64), N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(x, N_FFT)[::HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    return np.abs(np.fft.rfft(frames * window)).T ** 2


def compare(a, b, rate: int, bands: Sequence[tuple[int, int]] = BANDS) -> dict:
    """What a [T] has other than b [T], both at `rate` Hz, where they overlap.

    delay is in samples, by which a is late, and taken off first; None, and nothing is shifted,
    where a and b correlate by less than a half at any. snr in dB, and gain, of a against b. For
    each band, level of a against b in dB, and log-spectral distance (as AP-BWE, arXiv 2401.06387).
    What silence leaves undefined is None. Raises ValueError for signals of 1024 samples or fewer.
    """
    n = min(len(a), len(b))
    a, b = np.asarray(a[:n], np.float64), np.asarray(b[:n], np.float64)
    delay = _delay(a, b)
    shift = delay or 0
    a, b = (a[shift:], b[: n - shift]) if shift >= 0 else (a[:shift], b[-shift:])
    energy, noise = b @ b, ((a - b) ** 2).sum()
    pa, pb = power(a), power(b)
    distance = (np.log10(np.maximum(pa, FLOOR)) - np.log10(np.maximum(pb, FLOOR))) ** 2
    hertz = np.fft.rfftfreq(N_FFT, 1 / rate)
    rows = []
    for low, high in bands:
        bins = (low <= hertz) & (hertz < high)
        if bins.any():
            lsd = np.sqrt(distance[bins].mean(axis=0)).mean()
            rows.append(
                {
                    "hz": [low, high],
                    "level_db": _db(pa[bins].sum(), pb[bins].sum()),
                    "lsd": float(lsd),
                }
            )
    return {
        "samples": len(a),
        "delay": delay,
        "gain": float(a @ b / energy) if energy else None,
        "snr_db": _db(energy, noise),
        "lsd": float(np.sqrt(distance.mean(axis=0)).mean()),
        "bands": rows,
    }


def draw(target: Path, sounds: dict[str, tuple[np.ndarray, int]]) -> None:
    """Spectrograms of title -> (x [T], Hz), on one scale of frequencies and of levels, as PNG.

    Raises ModuleNotFoundError without matplotlib, OSError if the file cannot be written.
    """
    try:
        import matplotlib  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("needs matplotlib: pip install 'novasr-np[plot]'") from error

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
            seconds, hertz / 1000, 20 * np.log10(np.maximum(level.T, 1e-6)), **_PICTURE
        )
        axis.set(title=title, ylabel="kHz", ylim=(0, top), facecolor="black")
    axes[-1, 0].set_xlabel("s")
    figure.colorbar(image, ax=axes, label="dB")
    with replacing(target) as temporary:
        figure.savefig(temporary, dpi=90, format="png")
    pyplot.close(figure)


def _delay(a, b) -> int | None:
    """Samples that a is late, by the peak of the cross-correlation; None if that is a low one."""
    size = 1 << (2 * len(a) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    best = int(np.abs(product).argmax())
    if abs(product[best]) < _FIT * np.sqrt((a @ a) * (b @ b)) or not (a.any() and b.any()):
        return None
    return best if best < len(a) else best - size


def _db(a, b) -> float | None:
    return float(10 * np.log10(a / b)) if a and b else None
