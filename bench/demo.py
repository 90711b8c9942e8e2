"""Upsample two short clips, of a telephone and at 16 kHz, and draw them before and after.

    python -m bench.demo [-o FOLDER] [--picture bench/demo.png]
    python -m bench.demo --make-telephone

demo_16k.flac is espeak-ng's (voice en-us, at 22.05 kHz, taken to 16 kHz): "She sells fresh fish,
six crisp chips, and thick soft cheese." demo_telephone.flac is a clip of VCTK (CC BY 4.0), which
the second command, with NOVASR_SHARED, sends through a telephone.
"""

import argparse
from pathlib import Path

import soundfile

from bench.data import SHARED
from bench.inputs import RATE, telephone
from bench.pictures import Panel, draw
from novasr_np import cli

FOLDER = Path(__file__).parent
TELEPHONE = FOLDER / "demo_telephone.flac"
CLIPS = {"telephone, 8 kHz": TELEPHONE, "speech synthesiser, 16 kHz": FOLDER / "demo_16k.flac"}
EXCERPT = 0.0, 0.9  # s, that are drawn
SOURCE, START, STOP = "vctk-test8_spkunk_apbwe-8kto48k.flac", 0.9, 4.4  # s


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("demo"), metavar="FOLDER")
    parser.add_argument("--picture", type=Path, help="default: demo.png in FOLDER")
    parser.add_argument("--make-telephone", action="store_true", help=f"write {TELEPHONE.name}")
    args = parser.parse_args()
    if args.make_telephone:
        make_telephone()
        return
    folder, rows = args.output, []
    folder.mkdir(parents=True, exist_ok=True)
    for words, clip in CLIPS.items():
        after = folder / f"{clip.stem}_48k.wav"
        argv = ["upsample", str(clip), "-o", str(after), "--if-exists", "overwrite"]
        if status := cli.main(argv):
            raise SystemExit(status)
        print(f"{clip}\n-> {after}")
        rows.append([excerpt(f"before: {words}", clip), excerpt("after: 48 kHz", after)])
    picture = args.picture or folder / "demo.png"
    draw(picture, rows)
    print(f"-> {picture}")


def excerpt(title: str, path: Path) -> Panel:
    x, rate = soundfile.read(path)
    start, stop = (round(rate * seconds) for seconds in EXCERPT)
    return Panel(title, x[start:stop], rate)


def make_telephone() -> None:
    x, rate = soundfile.read(SHARED / "speech/eval" / SOURCE)
    assert rate == RATE
    soundfile.write(TELEPHONE, telephone(x[round(START * rate) : round(STOP * rate)]), 8000)


if __name__ == "__main__":
    main()
