"""Compare what two commits give for the same inputs, byte by byte, on one machine.

    python -m bench.same COMMIT [--only PATTERN] [--but PATTERN ...] [--outputs DIR]

COMMIT against this checkout: the commands upsample, stream and corpus, `upsample`, `Stream` and the
doors of JAX, with every network at hand and every option, on a dozen inputs. Says what differs, and
by how much; exits with 1 if that is more than what --but names. SpeechSR's checkpoints are taken
from NOVASR_SHARED, if that is there. Needs the extras jax and soxr.

Hashes would not do: the last bits of a product depend on the machine's BLAS.
"""

import argparse
import contextlib
import fnmatch
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("NOVASR_SHARED") or ROOT.parent / "shared")
EMBEDDED = ("airband-2", "airband-live-2", "novasr-open")
CHECKPOINTS = {
    "speechsr-48k": "upstream/speechsr/speechsr48k_G_100000.pth",
    "speechsr-24k": "upstream/speechsr/speechsr24k_G_340000.pth",
}
LARGE = "flashsr"

# Name -> (seconds or samples, Hz, leading shape, dtype, Hz where the sound ends)
INPUTS = {
    "16k": (3.1, 16_000, (), "float32", 8000),
    "16k-stereo-int16": (1.3, 16_000, (2,), "int16", 8000),
    "16k-six-float64": (0.4, 16_000, (2, 3), "float64", 8000),
    "8k": (1.0, 8_000, (), "float32", 4000),
    "11k-stereo": (0.9, 11_025, (2,), "float32", 5500),
    "44k-narrow": (1.1, 44_100, (), "float32", 7000),
    "48k-narrow-stereo": (1.2, 48_000, (2,), "float32", 8000),
    "48k-full-int16": (0.7, 48_000, (), "int16", 24_000),
    "empty": (0, 16_000, (), "float32", 8000),
    "one": (1, 16_000, (), "float32", 8000),
    "five-stereo": (5, 16_000, (2,), "float32", 8000),
    "200": (200, 16_000, (), "float32", 8000),
}
FOR_LARGE = ("16k", "48k-narrow-stereo", "44k-narrow", "empty", "five-stereo")
LARGE_OPTIONS = (
    {"seed": 1, "condition": "sample"},
    {"overlap": 0, "schedule": "mlx", "timestep": 500},
    {"exact_windows": True},
    {"low_pass": "auto", "fade": 3840},
)


def sound(name: str) -> tuple[np.ndarray, int]:
    """An input and its rate: a buzz in noise, nothing above where it ends."""
    length, rate, lead, dtype, end = INPUTS[name]
    samples = length if isinstance(length, int) else round(length * rate)
    rng = np.random.default_rng(list(name.encode()))
    spectrum = np.fft.rfft(rng.standard_normal((*lead, max(samples, 1))))
    hertz = np.fft.rfftfreq(max(samples, 1), 1 / rate)
    spectrum *= (hertz < end) * np.exp(-hertz / 3000)
    x = np.fft.irfft(spectrum, max(samples, 1))[..., :samples]
    t = np.arange(samples) / rate
    x = 0.1 * x / max(1e-9, x.std() if x.size else 1) * (1 + np.sin(6 * t))
    x += 0.1 * sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, int(min(end, 4000) / 130)))
    return (np.int16(x * 20_000) if dtype == "int16" else x.astype(dtype)), rate


def write_large(path: Path) -> None:
    """FlashSR's weights at a small size, drawn from their names."""
    from bench import flashsr_case  # noqa: PLC0415
    from novasr_np.networks.flashsr import load  # noqa: PLC0415

    load.save(flashsr_case.tree(flashsr_case.SMALL, np.full(12, 1 / 12)), path)


# A case: its name, and what makes its output, an array or a file's bytes.
Cases = Iterator[tuple[str, Callable[[], np.ndarray | bytes]]]


def in_python(weights: dict[str, str]) -> Cases:
    """The doors that take arrays."""
    import novasr_np  # noqa: PLC0415

    ways: dict[str, dict] = {
        "default": {},
        "keep=True": {"keep_lowband": True},
        "keep=False": {"keep_lowband": False},
        "keep=3000": {"keep_lowband": 3000},
        "soxr": {"resampler": "soxr"},
        "one-thread": {"threads": 1},
    }
    for title, path in weights.items():
        for name in FOR_LARGE if title == LARGE else INPUTS:
            x, rate = sound(name)
            for way, options in ways.items():
                if title == LARGE and way in ("soxr", "one-thread", "keep=3000"):
                    continue
                yield (
                    f"python/{title}/{name}/{way}",
                    lambda x=x, r=rate, p=path, o=options: novasr_np.upsample(x, r, weights=p, **o),
                )
        if title == LARGE:
            x, rate = sound("48k-narrow-stereo")
            for i, options in enumerate(LARGE_OPTIONS):
                yield (
                    f"python/{title}/48k-narrow-stereo/options{i}",
                    lambda x=x, r=rate, p=path, o=options: novasr_np.upsample(
                        np.tile(x, 6), r, weights=p, options=o
                    ),
                )
            continue
        for name in INPUTS:
            for size, options in ((160, {}), (1000, {"keep_lowband": True}), (1 << 20, {})):
                yield (
                    f"stream/{title}/{name}/{size}",
                    lambda n=name, p=path, s=size, o=options: _streamed(n, p, s, o),
                )


def _streamed(name: str, weights: str, size: int, options: dict) -> np.ndarray:
    import novasr_np  # noqa: PLC0415

    x, rate = sound(name)
    rows = x.reshape(-1, x.shape[-1]) if x.ndim != 1 else x
    channels = len(rows) if rows.ndim == 2 else 1
    dtype = np.float64 if x.dtype == np.float64 else np.float32
    with novasr_np.Stream(weights, rate, channels, dtype=dtype, **options) as stream:
        starts = range(0, rows.shape[-1], size)
        parts = [stream.push(rows[..., start : start + size]) for start in starts]
        parts.append(stream.push(rows[..., :0], last=True))
    return np.concatenate(parts, axis=-1)


def in_jax(weights: dict[str, str]) -> Cases:
    """The doors of JAX."""
    import novasr_jax  # noqa: PLC0415

    for title, path in weights.items():
        ways: dict[str, dict] = {
            "default": {},
            "keep=True": {"keep_lowband": True},
            "keep=False": {"keep_lowband": False},
        }
        if title != LARGE:
            ways["small"] = {"batch": 3, "segment": 1600}
        for name in FOR_LARGE[:3] if title == LARGE else INPUTS:
            x, rate = sound(name)
            for way, options in ways.items():
                yield (
                    f"jax/{title}/{name}/{way}",
                    lambda x=x, r=rate, p=path, o=options: novasr_jax.upsample(
                        x, r, weights=p, **o
                    ),
                )
        clips = [sound(name)[0] for name in ("16k", "five-stereo", "200", "empty", "one")]
        yield (
            f"jax/{title}/several",
            lambda c=clips, p=path: np.concatenate(
                [y.reshape(-1) for y in novasr_jax.upsample(c, 16_000, weights=p)]
            ),
        )
        if title == LARGE:
            x, rate = sound("48k-narrow-stereo")
            yield (
                f"jax/{title}/48k-narrow-stereo/options",
                lambda x=x, r=rate, p=path: novasr_jax.upsample(
                    np.tile(x, 6), r, weights=p, options=LARGE_OPTIONS[0], batch=2
                ),
            )


def by_command(weights: dict[str, str], folder: Path) -> Cases:
    """The commands, on files in `folder`."""
    ways: dict[str, tuple[str, ...]] = {
        "default": (),
        "off": ("--keep-lowband", "off"),
        "3000": ("--keep-lowband", "3000"),
        "mono": ("--channels", "mono", "--resampler", "soxr"),
        "first": ("--channels", "first", "--format", "flac"),
        "jax": ("--backend", "jax", "--device", "cpu"),
    }
    large = ("--seed", "3", "--overlap", "0.8", "--fade", "0.4", "--low-pass", "9000")
    for title, path in weights.items():
        files = [n for n in (FOR_LARGE if title == LARGE else INPUTS) if n != "16k-six-float64"]
        for way, options in {**ways, "large": large}.items():
            if (title == LARGE) == (way in ("3000", "first")) or (way == "large" != title != LARGE):
                continue
            for name in files if way == "default" else files[:3]:
                yield (
                    f"upsample/{title}/{name}/{way}",
                    lambda n=name, p=path, o=options: _upsampled(folder / f"{n}.wav", p, o),
                )
        for way in ("numpy", "jax"):
            if title != LARGE:
                yield (
                    f"corpus/{title}/{way}",
                    lambda p=path, w=way: _corpus(folder, p, w),
                )
        if title != LARGE:
            for name in ("16k", "48k-narrow-stereo"):
                yield f"pipe/{title}/{name}", lambda n=name, p=path: _piped(n, p)


def _novasr(*arguments: object) -> None:
    from novasr_np.cli import main  # noqa: PLC0415

    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as error:
        status = error.code
    if status:
        raise RuntimeError(f"novasr {arguments[0]} ended with exit status {status}")


def _upsampled(source: Path, weights: str, options: tuple[str, ...]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        suffix = "flac" if "flac" in options else "wav"
        target = Path(folder, f"out.{suffix}")
        _novasr("upsample", source, "-o", target, "-q", "--weights", weights, *options)
        return target.read_bytes()


def _corpus(source: Path, weights: str, backend: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "out")
        options = ("--jobs", 1, "-q", "--backend", backend)
        with contextlib.suppress(RuntimeError):  # of a file that is refused
            _novasr("corpus", source, target, "--weights", weights, *options)
        files = sorted(target.rglob("*.flac"))
        return b"".join(file.name.encode() + file.read_bytes() for file in files)


def _piped(name: str, weights: str) -> bytes:
    x, rate = sound(name)
    channels = len(x) if x.ndim == 2 else 1
    line = [sys.executable, "-m", "novasr_np", "stream", "--weights", weights]
    line += ["--rate", str(rate), "--channels", str(channels), "--output", "s16"]
    done = subprocess.run(line, input=x.T.astype("<f4").tobytes(), stdout=-1, check=True)
    return done.stdout


def probe(outputs: Path, material: Path, only: str) -> None:
    """Write the outputs of whatever novasr_np is imported here, a file for each case."""
    weights = {name: name for name in EMBEDDED}
    for name, place in CHECKPOINTS.items():
        if (SHARED / place).exists():
            weights[name] = str(SHARED / place)
    weights[LARGE] = str(material / "flashsr.safetensors")
    folder = material / "files"
    for number, (name, make) in enumerate(
        (*in_python(weights).__iter__(), *by_command(weights, folder), *in_jax(weights))
    ):
        if not fnmatch.fnmatch(name, only):
            continue
        try:
            made = make()
        except Exception as error:  # an error is an output, too
            traceback.print_exc()
            made = repr(error).encode()
        path = outputs / name.replace("/", "__")
        if isinstance(made, bytes):
            path.write_bytes(made)
        else:
            np.save(path.with_name(path.name + ".npy"), made)
        if number % 50 == 0:
            print(f"  {name}", file=sys.stderr, flush=True)


def make_material(folder: Path) -> None:
    """The inputs as files, and weights that are not at hand."""
    write_large(folder / "flashsr.safetensors")
    (folder / "files").mkdir()
    for name, (_, rate, lead, dtype, _) in INPUTS.items():
        if len(lead) < 2:
            kind = "PCM_16" if dtype == "int16" else "FLOAT"
            soundfile.write(folder / "files" / f"{name}.wav", sound(name)[0].T, rate, kind)


def run_tree(tree: Path, outputs: Path, material: Path, only: str) -> None:
    """`probe` on the packages in a tree, in a process of its own."""
    outputs.mkdir(parents=True)
    shutil.copy(__file__, outputs.parent / "probe.py")
    environment = os.environ | {"PYTHONPATH": str(tree), "NOVASR_SHARED": str(SHARED)}
    line = [sys.executable, outputs.parent / "probe.py", "--probe", outputs, material]
    subprocess.run([*line, "--only", only], cwd=tree, env=environment, check=True)


def difference(a: Path, b: Path) -> str | None:
    """How two outputs differ, in words; None if they are the same to the byte."""
    left, right = a.read_bytes(), b.read_bytes()
    if left == right:
        return None
    if a.suffix == ".npy":
        x, y = np.load(a), np.load(b)
        if x.shape == y.shape and x.dtype == y.dtype:
            return f"max-abs {np.abs(np.float64(x) - y).max():.1e}"
        return f"{x.dtype} {x.shape}, and {y.dtype} {y.shape}"
    try:
        x, y = (soundfile.read(io.BytesIO(data))[0] for data in (left, right))
        if x.shape == y.shape:
            return f"samples max-abs {np.abs(x - y).max(initial=0):.1e}"
    except soundfile.LibsndfileError:
        pass
    shorter = min(len(left), len(right))
    at = next((i for i in range(shorter) if left[i] != right[i]), shorter)
    return f"{len(left)} and {len(right)} bytes, which differ from byte {at} on"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commit", nargs="?")
    parser.add_argument("--only", default="*", help="pattern of cases, such as 'jax/*'")
    parser.add_argument("--but", nargs="*", default=[], help="patterns that may differ")
    parser.add_argument("--outputs", type=Path, help="keep outputs there; COMMIT's are made once")
    parser.add_argument("--probe", nargs=2, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.probe:
        probe(*args.probe, args.only)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.outputs or Path(temporary)
        commit = subprocess.run(
            ["git", "rev-parse", args.commit], cwd=ROOT, check=True, stdout=-1, text=True
        ).stdout.strip()
        material, before = folder / "material", folder / commit
        if not material.exists():
            material.mkdir(parents=True)
            make_material(material)
        if not before.exists():
            tree = Path(temporary, "tree")
            archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, stdout=-1)
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
                tar.extractall(tree, filter="data")
            run_tree(tree, before, material, args.only)
        now = folder / "now"
        shutil.rmtree(now, ignore_errors=True)
        run_tree(ROOT, now, material, args.only)
        return compare(before, now, args.only, args.but)


def compare(before: Path, now: Path, only: str, but: list[str]) -> int:
    """Say what differs between two folders of outputs; 1 if it is more than `but` allows."""
    bad = same = 0
    names = sorted({path.name for folder in (before, now) for path in folder.iterdir()})
    for file in names:
        name = file.removesuffix(".npy").replace("__", "/")
        if not fnmatch.fnmatch(name, only):
            continue
        if not ((before / file).exists() and (now / file).exists()):
            words: str | None = "is there only once"
        else:
            words = difference(before / file, now / file)
        if words is None:
            same += 1
            continue
        named = any(fnmatch.fnmatch(name, pattern) for pattern in but)
        bad += not named
        print(f"{'named' if named else 'DIFFERS'}  {name}: {words}")
    print(f"{same} of {len(names)} cases are the same to the byte; {bad} differ unnamed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
