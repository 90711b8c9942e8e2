"""The main job on a clip of a few seconds: upsample it, time it, draw it before and after.

    python -m bench.demo [-o FOLDER]

The clip, demo_16k.flac, is espeak-ng's (voice en-us, at 22.05 kHz, taken to 16 kHz): "She sells
fresh fish, six crisp chips, and thick soft cheese."
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from novasr_np import cli

CLIP = Path(__file__).with_name("demo_16k.flac")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("demo"), metavar="FOLDER")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    after, picture = folder / "demo_48k.wav", folder / "demo.png"
    if status := cli.main(["upsample", str(CLIP), "-o", str(after), "--if-exists", "overwrite"]):
        raise SystemExit(status)
    draw(picture, {"before, 16 kHz": CLIP, "after, 48 kHz": after})
    print(f"{CLIP}\n-> {after}\n-> {picture}")


def draw(target: Path, sounds: dict[str, Path]) -> None:
    """Spectrograms on one scale of frequencies, up to 24 kHz, and of levels."""
    import matplotlib  # noqa: PLC0415

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(
        len(sounds), figsize=(9, 3.5 * len(sounds)), sharex=True, layout="constrained"
    )
    for axis, (title, path) in zip(axes, sounds.items(), strict=True):
        x, rate = soundfile.read(path)
        window = round(0.03 * rate)
        hertz, seconds, z = signal.stft(x, rate, nperseg=window, noverlap=window * 3 // 4)
        level = 20 * np.log10(np.maximum(np.abs(z), 1e-6))
        image = axis.pcolormesh(
            seconds, hertz / 1000, level, vmin=-110, vmax=-20, cmap="magma", rasterized=True
        )
        axis.set(title=title, ylabel="kHz", ylim=(0, 24), facecolor="black")
    axes[-1].set_xlabel("s")
    figure.colorbar(image, ax=axes, label="dB")
    figure.savefig(target, dpi=90)


if __name__ == "__main__":
    main()
