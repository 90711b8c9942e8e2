"""Check a port against this kit, with the standard library of Python 3.10 or newer alone.

    python check.py [KIT] './port {rate} {edge} {input} {output}'

KIT is the zip file, or the folder that it was unpacked to; by default the folder of this file. The
command is run for each case, without a shell. It has to read {input} and to write {output}, raw
little-endian float32; {rate} is the input's in Hz, {edge} the Hz at which its sound ends, {bin} the
same in bins of 50 Hz. Exit status: 0 if the port is right in float32, 1 if it is not, 2 for wrong
usage or a damaged kit.
"""

import array
import hashlib
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile
import zipfile

FORMAT, TIMEOUT = 1, 600  # of kit.json; s


def floats(data: bytes) -> "array.array[float]":
    """Little-endian float32 as an array."""
    values = array.array("f", data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def read(kit: pathlib.Path) -> tuple[dict, dict[str, bytes]]:
    """Read a kit: kit.json, and the bytes of each array. Raises ValueError if it is damaged."""
    try:
        root = zipfile.Path(kit) if kit.is_file() else kit
        index, numbers = json.loads((root / "kit.json").read_bytes()), {}
        if index["format"] != FORMAT:
            raise ValueError(f"its format must be {FORMAT}, got {index['format']}")
        for name, told in index["files"].items():
            data = (root / name).read_bytes()
            if (sha256 := hashlib.sha256(data).hexdigest()) != told["sha256"]:
                raise ValueError(f"the sha256 of {name} must be {told['sha256']}, got {sha256}")
            numbers[name] = data[10 + int.from_bytes(data[8:10], "little") :]  # after the header
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{kit} is no whole kit: {error}") from error
    return index, numbers


def run(command: list[str], x: bytes, rate: int, edge: int | None) -> "array.array[float]":
    """Run the port on the bytes of x. Raises OSError or ValueError if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder, "input.f32"), pathlib.Path(folder, "output.f32")
        source.write_bytes(x)
        hertz = rate / 2 if edge is None else edge
        values = {"rate": rate, "edge": f"{hertz:g}", "bin": round(hertz / 50)}
        values |= {"input": source, "output": target}
        for name, value in values.items():
            command = [part.replace(f"{{{name}}}", str(value)) for part in command]
        done = subprocess.run(command, check=False, capture_output=True, timeout=TIMEOUT)
        if done.returncode:
            said = " ".join(done.stderr.decode(errors="replace").split())
            raise OSError(f"exit status {done.returncode}: {said[-200:]}")
        return floats(target.read_bytes())


def main(kit: pathlib.Path, command: list[str]) -> int:
    """Try all cases, print the largest error of each, and return the exit status."""
    index, numbers = read(kit)
    errors = {}
    for name, told in index["cases"].items():
        x, skip, remark, error = numbers[f"cases/{name}.x.npy"], told["skip"], "", float("inf")
        lengths = {length: end for end, length in told["outputs"].items()}
        try:
            y = run(command, x * told["times"], told["rate"], told["edge"])
            if len(y) not in lengths:
                raise ValueError(f"it must give {sorted(lengths)} samples, got {len(y)}")
            want = floats(numbers[f"cases/{name}.{lengths[len(y)]}.npy"])
            if not all(abs(value) < 1e30 for value in y):
                raise ValueError("it gives NaN, infinity or as good as that")
            # Of a repeated input the truth is one period, and outputs that see the ends have none.
            error = max(abs(y[i] - want[i % len(want)]) for i in range(skip, len(y) - skip))
        except (OSError, ValueError) as failure:
            remark = f"  {failure}"
        errors[name] = error
        print(f"{name:28} {error:8.1e}{remark}", flush=True)
    worst = max(errors, key=errors.__getitem__)
    grade = next((g for g, most in index["grades"].items() if errors[worst] <= most), "wrong")
    print(f"{grade}: the largest error of {len(errors)} cases is {errors[worst]:.1e}, in {worst}")
    return int(errors[worst] > index["grades"]["float32"])


if __name__ == "__main__":
    *kits, line = sys.argv[1:] or [""]
    if len(kits) > 1 or "{input}" not in line or "{output}" not in line:
        sys.exit(print(__doc__, file=sys.stderr) or 2)
    try:
        kit = pathlib.Path(kits[0]) if kits else pathlib.Path(__file__).parent
        sys.exit(main(kit, shlex.split(line)))
    except subprocess.TimeoutExpired as failure:
        sys.exit(str(failure))
    except ValueError as failure:
        sys.exit(print(failure, file=sys.stderr) or 2)
