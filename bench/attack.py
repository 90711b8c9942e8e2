"""Attack the command: damaged and odd files, names, weights, words, streams.

    python -m bench.attack [-o bench/ATTACK.md] [-k WORD]

Every case is a process of its own in a folder of its own. What must never happen: sound lost with
status 0, a valid file refused, a traceback, more than 1 GB of memory, a file half written or left
behind, an end that does not come. Some cases need ffmpeg and are left out without it.

What a test in `tests/` tries is not tried here: files cut short, sizes stated wrong and full disks
(test_files, test_mpeg, test_ffmpeg), formats, rates, pipes, targets and signals (test_cli),
checkpoints and tensors (test_weights), manifests (test_corpus).
"""

import argparse
import contextlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.numpy
import soundfile

from bench import attack_whole
from bench.timing import peak
from novasr_np.weights import weights_path

MAX_MEMORY = 1_000_000_000  # bytes
_TIMEOUT = 120  # s
_COMMAND = (sys.executable, "-m", "novasr_np")
_FORMATS = {
    "wav": {},
    "flac": {},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {},
    "aiff": {},
}


class Case(NamedTuple):
    """A case: what to prepare in an empty folder, what to run, what has to come of it."""

    group: str
    name: str
    prepare: Callable[[Path], object]
    arguments: tuple[str, ...]
    # The status, or None if any but a traceback will do; and how many frames the output has to have
    # if there is one, exactly or (with a margin) so many more.
    status: int | None
    frames: int | None = None
    margin: int = 0
    output: str = "a_48k.wav"
    stdin: str | None = None
    check: Callable[[Path], str] = lambda folder: ""  # what else is wrong with the output


class Outcome(NamedTuple):
    """What came of it: what is wrong (nothing, if all is well), and how much memory it took."""

    case: Case
    wrong: str
    bytes: int
    seconds: float


def sound(samples: int, rate: int = 16_000, channels: int = 1, seed: int = 0) -> np.ndarray:
    """[T, channels] of something like a voice."""
    t = np.arange(samples)[:, None] / rate
    rng = np.random.default_rng(seed)
    buzz = sum(
        np.sin(2 * np.pi * 120 * k * (t + 0.003 * np.sin(3 * t)) + k) / k for k in range(1, 40)
    )
    return 0.1 * buzz * (1 + np.arange(channels)) / channels + rng.normal(
        0, 1e-3, (samples, channels)
    )


def write(
    folder: Path, name: str, samples: int = 9000, rate: int = 16_000, channels: int = 1, **how
):
    """A sound file."""
    soundfile.write(folder / name, sound(samples, rate, channels), rate, **how)


def edited(folder: Path, name: str, edit: Callable[[bytearray], bytes | bytearray], **how) -> None:
    """A sound file whose bytes were changed."""
    suffix = name.rpartition(".")[2]
    write(folder, name, **(_FORMATS.get(suffix, {}) | how))
    path = folder / name
    path.write_bytes(edit(bytearray(path.read_bytes())))


def flip(data: bytearray, place: float) -> bytearray:
    """One bit changed, `place` of the way in."""
    data[int(place * len(data))] ^= 1 << int(place * 1000) % 8
    return data


def put(data: bytearray, offset: int, form: str, value: int) -> bytearray:
    """A number at an offset."""
    struct.pack_into(form, data, offset, value)
    return data


def damaged() -> Iterator[Case]:
    """Files that are changed, misnamed, or no sound at all."""
    for suffix in _FORMATS:
        name = f"a.{suffix}"
        for place in (0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.995):
            how = partial(edited, name=name, edit=partial(flip, place=place), samples=90_000)
            # A changed bit may be part of a sample; what comes out is then as long as ever.
            yield Case("damaged", f"{suffix} bit at {place}", how, (name,), None, 270_000, 9000)
        for other in ("wav", "flac", "mp3"):
            if other != suffix:
                how = partial(renamed, name=name, other=f"b.{other}")
                margin = 9000 if suffix == "mp3" else 0
                case = (how, (f"b.{other}",), 0, 27_000, margin, "b_48k.wav")
                yield Case("damaged", f"{suffix} called {other}", *case)
        how = partial(edited, name=name, edit=lambda d: d + b"junk behind the end" * 50)
        # Of Ogg nothing tells that the rest is not more of it.
        yield Case("damaged", f"{suffix}, junk behind", how, (name,), None, 27_000, 9000)
    for name, data in {
        "one byte": b"R",
        "noise": np.random.default_rng(0).bytes(99_999),
        "magic of wav": b"RIFF\xff\xff\xff\xffWAVE",
        "magic of flac": b"fLaC",
        "magic of ogg": b"OggS",
        "magic of mp3": b"\xff\xfb\x90\x00",
        "an mp3 frame without data": b"\xff\xfb\x90\x00" + bytes(413),
        "id3 beyond the end": b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(5000),
        "html": b"<!doctype html><title>404</title>" * 99,
        "elf": b"\x7fELF" + bytes(5000),
        "zip": b"PK\x03\x04" + bytes(5000),
        "mp4 without sound": b"\0\0\0\x20ftypisom" + bytes(5000),
        "pickle": b"\x80\x04\x95" + bytes(500),
    }.items():
        for suffix in ("wav", "mp3", "m4a"):
            path = f"a.{suffix}"
            how = partial(lambda f, path, data: (f / path).write_bytes(data), path=path, data=data)
            yield Case("damaged", f"{name} as {suffix}", how, (path,), 1)


def renamed(folder: Path, name: str, other: str) -> None:
    """A file under another's suffix."""
    suffix = name.rpartition(".")[2]
    write(folder, name, **_FORMATS[suffix])
    (folder / name).rename(folder / other)


def headers() -> Iterator[Case]:
    """WAV headers that say too much, too little, or nonsense."""
    for rate in (0, 1, 7, 999, 768_001, 96_001, 3_000_000, 2**31 - 1, 2**32 - 1):
        how = partial(edited, name="a.wav", edit=partial(put, offset=24, form="<I", value=rate))
        yield Case("headers", f"{rate} Hz", how, ("a.wav",), None if rate == 96_001 else 1)
    for rate in (1000, 7999, 15_999, 16_001, 44_099, 47_999, 95_999, 191_999, 383_999, 767_999):
        how = partial(edited, name="a.wav", edit=partial(put, offset=24, form="<I", value=rate))
        want = -(-9000 * 48_000 // rate)
        yield Case("headers", f"{rate} Hz", how, ("a.wav",), None, want)
        yield Case("headers", f"{rate} Hz, soxr", how, ("a.wav", "--resampler=soxr"), None, want)
    for channels in (0, 2, 3, 255, 256, 1024, 1025, 65_535):
        how = partial(edited, name="a.wav", edit=partial(put, offset=22, form="<H", value=channels))
        yield Case("headers", f"{channels} channels", how, ("a.wav",), None)
    for bits in (0, 1, 7, 8, 17, 64, 65_535):
        how = partial(edited, name="a.wav", edit=partial(put, offset=34, form="<H", value=bits))
        yield Case("headers", f"{bits} bits", how, ("a.wav",), None)
    for value in (-np.inf, 1e10, 3e38):
        how = partial(one_value, value=value)
        yield Case("headers", f"a sample of {value}", how, ("a.wav",), 1)
    how = partial(one_value, value=30.0)
    yield Case("headers", "a sample of 30", how, ("a.wav",), 0, 27_000)


def one_value(folder: Path, value: float) -> None:
    """Floating-point samples, one of them odd."""
    x = sound(9000)
    x[4321] = value
    soundfile.write(folder / "a.wav", x, 16_000, subtype="FLOAT")


def names() -> Iterator[Case]:
    """Names that mean something elsewhere."""
    for name in (
        "a b.wav",
        "ä.wav",
        "-a.wav",
        "a'\"$.wav",
        "a\n.wav",
        "\x1b]0;x\x07.wav",
        "[a].wav",
        "*.wav",
    ):
        make = partial(write, name=name)
        output = name.replace(".wav", "_48k.wav")
        case = (make, ("upsample", "--", name), 0, 27_000, 0, output)
        yield Case("names", repr(name), *case)


def by_ffmpeg(folder: Path, options: str, rate: int) -> None:
    """An MP3 file of 5 s that ffmpeg makes, as it pipes it."""
    write(folder, "source.flac", 5 * rate, rate)
    line = ["ffmpeg", "-v", "error", "-i", "source.flac", *options.split(), "-"]
    made = subprocess.run(line, cwd=folder, capture_output=True, check=True)
    (folder / "a.mp3").write_bytes(made.stdout)
    (folder / "source.flac").unlink()


def foreign() -> Iterator[Case]:
    """Valid MP3 files of ffmpeg's, with all kinds of headers."""
    if shutil.which("ffmpeg") is None:
        return
    for rate in (16_000, 22_050, 44_100):
        for coding in ("-b:a 32k", "-b:a 64k", "-b:a 128k", "-q:a 9", "-q:a 4", "-q:a 2"):
            for xing in (0, 1):
                for tag in (
                    "-id3v2_version 0",
                    "-id3v2_version 3 -metadata title=x",
                    "-write_id3v1 1",
                ):
                    options = f"-c:a libmp3lame {coding} -write_xing {xing} {tag} -f mp3"
                    make = partial(by_ffmpeg, options=options, rate=rate)
                    case = f"mp3, {rate} Hz, {coding}, xing {xing}, {tag}"
                    yield Case(
                        "foreign", case, make, ("a.mp3",), 0, 240_000, 3 * 1152 * 48_000 // rate
                    )


def weights() -> Iterator[Case]:
    """Safetensors that are cut or changed in any place of their header."""
    whole = weights_path("novasr-open").read_bytes()
    tensors = safetensors.numpy.load(whole)
    files: dict[str, bytes] = {
        "a header of 2^63 bytes": (2**63 - 1).to_bytes(8, "little") + whole[8:],
        "a header of 0 bytes": bytes(8) + whole[8:],
        "larger than any": whole + bytes(9_000_000),
        "json": b'{"conv1": 1}',
        "nothing": safetensors.numpy.save({}),
        "another model": safetensors.numpy.save(tensors, {"model": "nonesuch"}),
    }
    for keep in (0.01, 0.1, 0.3, 0.5, 0.9, 0.999):
        files[f"cut at {keep}"] = whole[: int(keep * len(whole))]
    for place in (0.0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05):
        files[f"header's bit at {place}"] = bytes(flip(bytearray(whole), place))
    for name, data in files.items():
        for command in (("upsample", "a.wav", "--weights", "w"), ("weights", "show", "w")):
            make = partial(with_weights, data=data)
            status = None if "bit" in name else 2  # a bit may be part of a number, or of a name
            yield Case("weights", f"{name}: {command[0]}", make, command, status, 27_000)


def with_weights(folder: Path, data: bytes) -> None:
    """A sound file and a file of weights."""
    write(folder, "a.wav")
    (folder / "w").write_bytes(data)


def usage() -> Iterator[Case]:
    """Words that make no sense."""
    for line in (
        "upsmaple a.wav",
        "a.wav -o noext",
        "a.wav -o",
        "a.wav --format m4a",
        "a.wav --subtype NONE",
        "a.wav --keep-lowband x",
        "a.wav --keep-lowband -1",
        "a.wav --keep-lowband nan",
        "a.wav --threads x",
        "a.wav --channels 7",
        "a.wav --resampler none",
        "a.wav --backend none",
        "a.wav --device gpu",
        "a.wav a.wav -o b.wav",
        "*.nothing",
        ".",
        "a.wav --if-exists maybe",
        "stream --rate 767999",
        "stream --input x",
        "spectrogram a.wav",
        "spectrogram a.wav -o x.gif",
        "spectrogram none.wav -o x.png",
        "compare a.wav",
        "compare a.wav none.wav",
        "weights convert a.wav x",
        "export onnx x.txt",
        "verify",
        "verify --command x",
    ):
        make = partial(write, name="a.wav")
        yield Case("usage", line, make, tuple(line.split()), 2, output="none")


def streams() -> Iterator[Case]:
    """Bytes of all kinds to `stream`; what comes out goes to a file of the shell's."""
    for name, data in {
        "one byte": b"x",
        "noise": np.random.default_rng(0).bytes(99_999),
        "zeros": bytes(4_000_000),
    }.items():
        for options in ("", "--input s16", "--channels 2", "--channels 1024", "--rate 44100"):
            make = partial(lambda f, data: (f / "in").write_bytes(data), data=data)
            arguments = ("stream", *options.split())
            yield Case(
                "streams", f"{name} {options}", make, arguments, None, output="none", stdin="in"
            )


def targets() -> Iterator[Case]:
    """Places where no file can be, and links."""
    make = partial(write, name="a.wav", samples=200_000)
    for name, arguments in (
        ("corpus", ("corpus", ".", "/dev/full")),
        ("file", ("a.wav", "-o", "/dev/full/x.wav")),
    ):
        yield Case("targets", f"no folder: {name}", make, arguments, None, output="none")
    yield Case("targets", "a link that leads nowhere", linked, ("b.wav",), 1, output="none")


def linked(folder: Path) -> None:
    """A link to nothing."""
    os.symlink("nothing.wav", folder / "b.wav")


def joined() -> Iterator[Case]:
    """Files that hold more than their first header says."""
    for name, make, path, is_whole, frames in attack_whole.joined():
        status = 0 if is_whole else None
        output = f"{Path(path).stem}_48k.wav"
        yield Case("joined", name, make, (path,), status, frames, 0 if is_whole else 9000, output)
        if is_whole:
            case = (make, ("-", "-o", "b.wav"), status, frames, 0, "b.wav", path)
            yield Case("joined", f"{name}, by a pipe", *case)


def sizes() -> Iterator[Case]:
    """Sizes that stand for unknown, or were counted too early."""
    for name, make, path, is_whole, frames in attack_whole.sizes():
        output = f"{Path(path).stem}_48k.wav"
        yield Case("sizes", name, make, (path,), 0 if is_whole else None, frames, 0, output)


def clocks() -> Iterator[Case]:
    """Sound that begins later than its pictures."""
    for name, make, path, check in attack_whole.videos():
        yield Case("clocks", name, make, (path,), 0, check=check)


def channels() -> Iterator[Case]:
    """Layouts of channels from format to format; one without a place may be refused."""
    for name, make, path, output, check in attack_whole.channels():
        arguments = (path, "-o", output, "--weights", "novasr-open")
        yield Case("channels", name, make, arguments, None, output=output, check=check)


GROUPS = (
    *(damaged, headers, names, foreign, weights, usage, streams, targets),
    *(joined, sizes, clocks, channels),
)


def run(case: Case) -> Outcome:
    """Run a case in a process and a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="attack-") as name:
        folder = Path(name)
        case.prepare(folder)
        before = set(files(folder))
        start = time.perf_counter()
        status, said, memory = _process(case, folder)
        seconds = time.perf_counter() - start
        wrong = "; ".join(_judge(case, folder, before, status, said, memory))
        return Outcome(case, wrong, memory, seconds)


def files(folder: Path) -> list[str]:
    """All below a folder but for a corpus's own state."""
    found = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return [str(p) for p in found if ".novasr" not in p.parts and not p.name.startswith("results")]


def _process(case: Case, folder: Path) -> tuple[int | None, str, int]:
    """The exit status (None: it did not end), what was said, and the peak of memory in bytes."""
    environment = {k: v for k, v in os.environ.items() if k != "NOVASR_WEIGHTS"}
    with contextlib.ExitStack() as stack:
        stdin = stack.enter_context(open(folder / case.stdin if case.stdin else os.devnull, "rb"))
        stderr = stack.enter_context(tempfile.TemporaryFile())
        process = subprocess.Popen(
            [*_COMMAND, *case.arguments],
            cwd=folder,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=environment | {"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        end, most = time.monotonic() + _TIMEOUT, 0
        while process.poll() is None:
            # Asked again and again, since what wait4() says begins with the memory of this process.
            most = max(most, peak(process.pid))
            if time.monotonic() > end:
                process.kill()
                process.wait()
                return None, "", most
            time.sleep(0.005)
        stderr.seek(0)
        return process.returncode, stderr.read().decode(errors="replace"), most


def _judge(
    case: Case, folder: Path, before: set[str], status: int | None, said: str, memory: int
) -> Iterator[str]:
    if status is None:
        yield f"no end in {_TIMEOUT} s"
        return
    if "Traceback" in said or "RuntimeWarning" in said:
        yield f"traceback: {said.strip().splitlines()[-1]}"
    if memory > MAX_MEMORY:
        yield f"{memory / 1e9:.1f} GB"
    if case.status is not None and status != case.status:
        lines = said.strip().splitlines()
        yield f"status {status}, expected {case.status}: {lines[0] if lines else ''}"
    if status < 0:
        yield f"ended by signal {-status}"
    output = folder / case.output
    after = set(files(folder))
    if status == 0 and case.frames is not None:
        if case.output not in after:
            if case.arguments[0] != "weights":
                yield "status 0 and no output"
        else:
            frames = soundfile.info(os.fsencode(output)).frames
            if not case.frames <= frames <= case.frames + case.margin:
                yield f"{frames} frames, expected {case.frames}"
    if status == 0 and case.output in after and (wrong := case.check(folder)):
        yield wrong
    made = after - before
    if status and case.output in made:
        yield f"status {status}, and an output"
    if left := [name for name in made if "part" in name]:
        yield f"left behind: {left[0]}"


def report(outcomes: list[Outcome]) -> str:
    """The table, as Markdown."""
    lines = [
        "# Attack",
        "",
        "Written by `python -m bench.attack`: each case a process of its own.",
        "",
        "| group | cases | wrong | most memory, MB | longest, s |",
        "|---|---:|---:|---:|---:|",
    ]
    counts = Counter(outcome.case.group for outcome in outcomes)
    for group, count in counts.items():
        its = [o for o in outcomes if o.case.group == group]
        wrong = sum(bool(o.wrong) for o in its)
        memory, seconds = max(o.bytes for o in its) / 1e6, max(o.seconds for o in its)
        lines.append(f"| {group} | {count} | {wrong} | {memory:.0f} | {seconds:.1f} |")
    lines.append(f"| all | {len(outcomes)} | {sum(bool(o.wrong) for o in outcomes)} | | |")
    lines += ["", *(f"- {o.case.group}, {o.case.name}: {o.wrong}" for o in outcomes if o.wrong)]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument(
        "-k", "--only", default="", metavar="WORD", help="cases with it in the name"
    )
    args = parser.parse_args()
    cases = [c for group in GROUPS for c in group() if args.only in f"{c.group}, {c.name}"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(run, cases))
    text = report(outcomes)
    print(text)
    if args.output:
        args.output.write_text(text)
    sys.exit(any(outcome.wrong for outcome in outcomes))


if __name__ == "__main__":
    main()
