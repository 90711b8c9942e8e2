"""Build the engine of the page as WebAssembly, plain and with relaxed SIMD.

    python -m bench.wasm FOLDER

Needs the package ziglang, whose clang makes the same bytes on every machine.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ENGINE = Path(__file__).parents[1] / "novasr_np/web/engine.c"
TARGETS = {
    "engine.wasm": "generic+simd128+bulk_memory",
    "engine-relaxed.wasm": "generic+simd128+bulk_memory+relaxed_simd",
}
EXPORTS = ("kind", "takes", "memory", "open", "edge", "reset", "latency", "room", "push")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    build(parser.parse_args().folder)


def build(folder: Path) -> None:
    """Write both into `folder`. Raises subprocess.CalledProcessError if they do not compile."""
    linker = ["--no-entry", "--strip-all", "--export=__heap_base", "-z,stack-size=65536"]
    linker += [f"--export=novasr_{name}" for name in EXPORTS]
    flags = ["-std=c11", "-Os", "-nostdlib", "-fvisibility=hidden", "-ffp-contract=fast"]
    flags += ["-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-target", "wasm32-freestanding"]
    for name, cpu in TARGETS.items():
        subprocess.run(
            [
                *(sys.executable, "-m", "ziglang", "cc", *flags, f"-mcpu={cpu}"),
                *(f"-Wl,{option}" for option in linker),
                *("-o", (folder / name).resolve(), ENGINE.name),
            ],
            check=True,
            cwd=ENGINE.parent,
        )


if __name__ == "__main__":
    main()
