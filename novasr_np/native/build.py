"""Build the engine: a shared library or a plugin for this processor, or WebAssembly for the page.

    python -m novasr_np.native.build library libnovasr.so
    python -m novasr_np.native.build plugin novasr.so
    python -m novasr_np.native.build wasm FOLDER

The compiler of the first two is `CC`, or else cc, clang or gcc, whichever is found first; `CFLAGS`
are put behind the flags, so that `CFLAGS=-march=x86-64-v3` builds for other processors than this
one. The WebAssembly needs the package ziglang, whose clang makes the same bytes on every machine.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from ..atomic import atomic_write
from ..errors import message
from ..weights import LIVE, weights_path

SOURCE = Path(__file__).with_name("engine.c")
WEB = {  # plain, and with relaxed SIMD
    "engine.wasm": "generic+simd128+bulk_memory",
    "engine-relaxed.wasm": "generic+simd128+bulk_memory+relaxed_simd",
}
PLUGIN = SOURCE.with_name("ladspa.c")
PLUGIN_WEIGHTS = {"airband": LIVE, "novasr": "novasr-open"}
_FLAGS = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-ffp-contract=fast")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("library", "plugin", "wasm"))
    parser.add_argument("out", type=Path, help="the file, or the folder of both .wasm")
    args = parser.parse_args()
    try:
        {"library": library, "plugin": plugin, "wasm": wasm}[args.what](args.out)
    except (OSError, ModuleNotFoundError) as error:
        parser.exit(1, f"{parser.prog}: {message(error)}\n")
    except subprocess.CalledProcessError as error:  # the compiler has said why
        parser.exit(1, f"{parser.prog}: {error.cmd[0]} exited with {error.returncode}\n")


def library(path: Path) -> None:
    """Build the shared library at `path`.

    Raises FileNotFoundError if there is no compiler, and subprocess.CalledProcessError if it fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _shared("-o", str(path), str(SOURCE))


def plugin(path: Path) -> None:
    """Build the LADSPA plugin, with its weights inside, at `path`, which appears when it is whole.

    Raises as `library`, and OSError if the file cannot be written.
    """
    with TemporaryDirectory() as folder:
        made = Path(folder, path.name)
        # A host has all plugins in one process: nothing but the descriptor has a name there.
        hidden = ("-fvisibility=hidden", "-DNOVASR_API=", "-I", str(weights_header(Path(folder))))
        _shared(*hidden, "-o", str(made), str(PLUGIN), str(SOURCE))
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(made.read_bytes())


def weights_header(folder: Path) -> Path:
    """Write weights.h, which has the plugin's weights as arrays, into a folder, and return that."""
    with open(folder / "weights.h", "w") as file:
        for name, weights in PLUGIN_WEIGHTS.items():
            data = ",".join(map(str, weights_path(weights).read_bytes()))
            file.write(f"static const unsigned char {name}_weights[] = {{{data}}};\n")
    return folder


def _shared(*arguments: str) -> None:
    """Compile a shared object for this processor. Raises as `library`."""
    more = shlex.split(os.environ.get("CFLAGS", ""))
    flags = ("-O3", "-march=native", "-fPIC", "-shared", "-s", *more)
    subprocess.run([*compiler(), *_FLAGS, *flags, *arguments], check=True)


def wasm(folder: Path) -> None:
    """Build the WebAssembly, `WEB`, in `folder`.

    Raises ModuleNotFoundError without ziglang, and subprocess.CalledProcessError if it fails.
    """
    if find_spec("ziglang") is None:
        raise ModuleNotFoundError("WebAssembly needs ziglang: pip install ziglang==0.17.1")
    linker = ["--no-entry", "--strip-all", "--export-dynamic", "--export=__heap_base"]
    linker += ["-z,stack-size=65536"]
    flags = [*_FLAGS, "-Os", "-nostdlib", "-fvisibility=hidden", "-target", "wasm32-freestanding"]
    folder.mkdir(parents=True, exist_ok=True)
    for name, cpu in WEB.items():
        subprocess.run(
            [
                *(sys.executable, "-m", "ziglang", "cc", *flags, f"-mcpu={cpu}"),
                *(f"-Wl,{option}" for option in linker),
                *("-o", (folder / name).resolve(), SOURCE.name),
            ],
            check=True,
            cwd=SOURCE.parent,  # names of files are in the bytes of some builds
        )
        (folder / name).chmod(0o644)  # they are data, which the linker does not know


def compiler() -> list[str]:
    """Command of the C compiler. Raises FileNotFoundError if there is none."""
    named = shlex.split(os.environ.get("CC", ""))
    for command in [named] if named else (["cc"], ["clang"], ["gcc"]):
        if shutil.which(command[0]):
            return command
    wanted = f"CC={named[0]}" if named else "cc, clang or gcc"
    raise FileNotFoundError(f"no C compiler: {wanted} is not on the path; install one or set CC")


if __name__ == "__main__":
    main()
