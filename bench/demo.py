"""Upsample a clip of a few seconds, time it, draw it before and after.

    python -m bench.demo [-o FOLDER] [--picture bench/demo.png]

The clip, demo_16k.flac, is espeak-ng's (voice en-us, at 22.05 kHz, taken to 16 kHz): "She sells
fresh fish, six crisp chips, and thick soft cheese."
"""

import argparse
from pathlib import Path

from novasr_np import cli
from novasr_np.files.plot import plot_spectrograms

CLIP = Path(__file__).with_name("demo_16k.flac")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("demo"), metavar="FOLDER")
    parser.add_argument("--picture", type=Path, help="default: demo.png in FOLDER")
    args = parser.parse_args()
    folder = args.output
    folder.mkdir(parents=True, exist_ok=True)
    after, picture = folder / "demo_48k.wav", args.picture or folder / "demo.png"
    if status := cli.main(["upsample", str(CLIP), "-o", str(after), "--if-exists", "overwrite"]):
        raise SystemExit(status)
    sounds = {"before, 16 kHz": CLIP, "after, 48 kHz": after}
    plot_spectrograms(picture, sounds)
    print(f"{CLIP}\n-> {after}\n-> {picture}")


if __name__ == "__main__":
    main()
