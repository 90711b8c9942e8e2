"""Work out what a cluster takes for a corpus, from the rates in PIPELINE.md.

    python -m bench.cluster [--hours 100000]

A row a shape of machine, as clouds rent them: its cores times what a core does of everything but
the network, by the CPU seconds of the clips in ``bench/PIPELINE.md`` with the stand-in. The device
has to be as fast, or it binds; the disk and the network have to carry the bytes.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.timing import table

# A device, and the virtual cores beside one in the usual machines of clouds.
SHAPES = {"A100": 12, "H100": 26, "TPU v5e": 24, "TPU v6e": 44}
NODES = (1, 8, 64)
# kB for a second of sound, in at 16 kHz and out at 48: FLAC at most, of speech; WAV of 16 bits.
KILOBYTES = {"FLAC": (60, 150), "WAV": (32, 96)}
_HERE = Path(__file__).parent
_LINE = re.compile(
    r"- (?P<format>FLAC|WAV) to \1, (?P<files>[\d,]+) files of (?P<each>[\d.]+) s, 1 worker: .*?"
    r"CPU (?P<workers>[\d.]+) s in the workers' processes, (?P<device>[\d.]+) s in the device's, "
    r"(?P<main>[\d.]+) s in the main one"
)


def rates(page: str) -> dict[str, float]:
    """Multiples of real time that a core does, by format, of the first run by one worker."""
    found: dict[str, float] = {}
    for line in _LINE.finditer(page):
        audio = int(line["files"].replace(",", "")) * float(line["each"])
        cpu = sum(float(line[name]) for name in ("workers", "device", "main"))
        found.setdefault(line["format"], audio / cpu)
    return found


def rows(found: dict[str, float], hours: float) -> Iterator[tuple]:
    for format, rate in found.items():
        for name, cores in SHAPES.items():
            x = cores * rate
            moved = (f"{x * size / 1000:,.0f}" for size in KILOBYTES[format])
            taken = (f"{hours / x / nodes:,.1f}" for nodes in NODES)
            yield name, format, cores, f"{x:,.0f}", *moved, *taken


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=100_000, help="of sound")
    args = parser.parse_args()
    found = rates((_HERE / "PIPELINE.md").read_text())
    if found.keys() != KILOBYTES.keys():
        sys.exit("PIPELINE.md must have runs of FLAC and WAV by 1 worker and a device's process")
    each = ", ".join(f"{format} {rate:,.0f} x" for format, rate in found.items())
    print("# A cluster\n")
    print(f"By `python -m bench.cluster`. A core does, of all but the network: {each} real time.")
    print("A machine does its virtual cores times that, if its device is at least as fast;")
    print("[GPU.md](GPU.md) has what an H100 does, beside which the cores bind.\n")
    taken = (f"h on {nodes} node{'s'[: nodes > 1]}" for nodes in NODES)
    columns = ("beside", "", "cores", "x real time", "MB/s in", "MB/s out", *taken)
    print(f"{args.hours:,.0f} h of sound:\n")
    for line in table(columns, rows(found, args.hours)):
        print(line)


if __name__ == "__main__":
    main()
