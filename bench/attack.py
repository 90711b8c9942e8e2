"""Attack the command: damaged and odd files, weights, manifests, streams, signals, full disks.

    python -m bench.attack [-o bench/ATTACK.md] [-k WORD]

Every case is a process of its own in a folder of its own. What must never happen: sound lost with
status 0, a valid file refused, a traceback, more than 1 GB of memory, a file half written or left
behind, an end that does not come. Some cases need ffmpeg and are left out without it.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
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
    sent: tuple[int, float] | None = None  # a signal, after so many seconds
    limit: int | None = None  # bytes of the largest file it can write


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
    """Files that are cut, changed, or no sound at all."""
    for suffix in _FORMATS:
        name = f"a.{suffix}"
        for keep in (0.02, 0.2, 0.4, 0.6, 0.8, 0.99):
            cut = partial(lambda d, keep: d[: int(keep * len(d))], keep=keep)
            how = partial(edited, name=name, edit=cut, samples=90_000)
            yield Case("damaged", f"{suffix} cut at {keep}", how, (name,), 1)
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
        "empty": b"",
        "one byte": b"R",
        "text": b"no sound\n" * 999,
        "zeros": bytes(99_999),
        "noise": np.random.default_rng(0).bytes(99_999),
        "magic of wav": b"RIFF\xff\xff\xff\xffWAVE",
        "magic of flac": b"fLaC",
        "magic of ogg": b"OggS",
        "magic of mp3": b"\xff\xfb\x90\x00",
        "an mp3 frame without data": b"\xff\xfb\x90\x00" + bytes(413),
        "id3 alone": b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
        "id3 beyond the end": b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(5000),
        "html": b"<!doctype html><title>404</title>" * 99,
        "elf": b"\x7fELF" + bytes(5000),
        "zip": b"PK\x03\x04" + bytes(5000),
        "mp4 without sound": b"\0\0\0\x20ftypisom" + bytes(5000),
        "playlist": b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n",
        "concat": b"ffconcat version 1.0\nfile /etc/passwd\n",
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
    frames = 27_000
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
    for size in (0, 1, 17_999, 18_001, 10**6, 19 * 10**8, 22 * 10**8, 3 * 10**9, 42 * 10**8):
        how = partial(edited, name="a.wav", edit=partial(put, offset=40, form="<I", value=size))
        status = None if size < 18_000 else 1
        yield Case("headers", f"{size} bytes of data", how, ("a.wav",), status)
    for size in (2**31 - 1, 2**32 - 1, 2**31 - 4096):
        how = partial(edited, name="a.wav", edit=partial(put, offset=40, form="<I", value=size))
        yield Case("headers", f"{size} bytes: unknown", how, ("a.wav",), 0, frames)
    for bits in (0, 1, 7, 8, 17, 64, 65_535):
        how = partial(edited, name="a.wav", edit=partial(put, offset=34, form="<H", value=bits))
        yield Case("headers", f"{bits} bits", how, ("a.wav",), None)
    for value in (np.nan, np.inf, -np.inf, 1e10, 3e38):
        how = partial(one_value, value=value)
        yield Case("headers", f"a sample of {value}", how, ("a.wav",), 1)
    how = partial(one_value, value=30.0)
    yield Case("headers", "a sample of 30", how, ("a.wav",), 0, frames)


def one_value(folder: Path, value: float) -> None:
    """Floating-point samples, one of them odd."""
    x = sound(9000)
    x[4321] = value
    soundfile.write(folder / "a.wav", x, 16_000, subtype="FLOAT")


def valid() -> Iterator[Case]:
    """Files with nothing wrong: all of them come out whole."""
    for suffix, how in _FORMATS.items():
        rates = (
            (8000, 16_000, 24_000, 48_000) if suffix == "opus" else (8000, 16_000, 22_050, 44_100)
        )
        for rate in (*rates, *(() if suffix in ("mp3", "opus") else (96_000,))):
            for channels in (1, 2):
                name = f"a.{suffix}"
                make = partial(write, name=name, samples=rate, rate=rate, channels=channels, **how)
                margin = 9000 if suffix == "mp3" else 0
                case = f"{suffix}, {rate} Hz, {channels} channels"
                yield Case("valid", case, make, (name,), 0, 48_000, margin)
    for samples in (*range(14), 24, 25, 37, 3999, 4000, 4013, 64_000):
        make = partial(write, name="a.wav", samples=samples)
        yield Case("valid", f"{samples} samples", make, ("a.wav",), 0, 3 * samples)
    for subtype in ("PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM"):
        make = partial(write, name="a.wav", subtype=subtype)
        yield Case("valid", f"wav, {subtype}", make, ("a.wav",), 0, 27_000, 9000)
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
        yield Case("valid", f"named {name!r}", *case)
    for name, arguments, output in (
        ("to flac", ("a.wav", "-o", "b.flac"), "b.flac"),
        ("to a folder", ("a.wav", "-o", "b/"), "b/a_48k.wav"),
        ("to a deep folder", ("a.wav", "-o", "b/c/d/"), "b/c/d/a_48k.wav"),
        ("a folder", ("-r", ".", "-o", "b"), "b/a_48k.wav"),
        ("24 bits", ("a.wav", "--subtype", "PCM_24"), "a_48k.wav"),
        ("soxr", ("a.wav", "--resampler", "soxr"), "a_48k.wav"),
        ("off", ("a.wav", "--keep-lowband", "off"), "a_48k.wav"),
        ("mono", ("a.wav", "--channels", "mono"), "a_48k.wav"),
        ("twice, -f", ("a.wav", "-f"), "a_48k.wav"),
        ("a pattern", ("*.wav",), "a_48k.wav"),
    ):
        yield Case("valid", name, partial(write, name="a.wav"), arguments, 0, 27_000, 0, output)
    for suffix, how in _FORMATS.items():
        make = partial(write, name=f"a.{suffix}", **how)
        case = (make, ("-", "-o", "b.wav"), 0, 27_000, 9000 if suffix == "mp3" else 0, "b.wav")
        yield Case("valid", f"{suffix} by a pipe", *case, stdin=f"a.{suffix}")


def by_ffmpeg(folder: Path, name: str, options: str, rate: int, seconds: int = 5) -> None:
    """A file that ffmpeg makes."""
    write(folder, "source.flac", seconds * rate, rate)
    line = ["ffmpeg", "-v", "error", "-i", "source.flac", *options.split()]
    data = subprocess.run([*line, "-"], cwd=folder, capture_output=True, check=False).stdout
    if not data:  # a format that has to be wound back
        subprocess.run([*line, name], cwd=folder, capture_output=True, check=True)
    else:
        (folder / name).write_bytes(data)
    (folder / "source.flac").unlink()


def foreign() -> Iterator[Case]:
    """Valid files of ffmpeg's: MP3 with all kinds of headers, pipes, and what only it can read."""
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
                    make = partial(by_ffmpeg, name="a.mp3", options=options, rate=rate)
                    case = f"mp3, {rate} Hz, {coding}, xing {xing}, {tag}"
                    yield Case(
                        "foreign", case, make, ("a.mp3",), 0, 240_000, 3 * 1152 * 48_000 // rate
                    )
    for suffix, options, rate, margin in (
        ("wav", "-f wav", 16_000, 0),
        ("flac", "-f flac", 16_000, 0),
        ("ogg", "-c:a libvorbis -f ogg", 16_000, 3000),
        ("opus", "-c:a libopus -f ogg", 48_000, 3000),
        ("aiff", "-f aiff", 16_000, 0),
        ("m4a", "-c:a aac -f ipod", 16_000, 9000),
        ("mp4", "-c:a aac -movflags +faststart -f mp4", 44_100, 9000),
        ("webm", "-c:a libopus -f webm", 48_000, 3000),
        ("mkv", "-c:a flac -f matroska", 16_000, 0),
        ("mov", "-c:a pcm_s16le -f mov", 16_000, 0),
        ("wv", "-c:a wavpack -f wv", 16_000, 0),
        ("tta", "-c:a tta -f tta", 16_000, 0),
        ("aac", "-c:a aac -f adts", 16_000, 12_000),
    ):
        name = f"a.{suffix}"
        make = partial(by_ffmpeg, name=name, options=options, rate=rate)
        yield Case("foreign", f"{suffix} of ffmpeg", make, (name,), 0, 240_000, margin)
        case = (make, ("-", "-o", "b.wav"), 0, 240_000, margin, "b.wav")
        yield Case("foreign", f"{suffix} of ffmpeg, by a pipe", *case, stdin=name)


def weights() -> Iterator[Case]:
    """Weights that are cut, changed, too large, or no weights."""
    whole = weights_path("novasr-open").read_bytes()
    tensors = safetensors.numpy.load(whole)
    files: dict[str, bytes] = {
        "empty": b"",
        "text": b"no weights",
        "zeros": bytes(60_000),
        "a header of 2^63 bytes": (2**63 - 1).to_bytes(8, "little") + whole[8:],
        "a header of 0 bytes": bytes(8) + whole[8:],
        "larger than any": whole + bytes(9_000_000),
        "zip": b"PK\x03\x04" + bytes(900),
        "pickle": b"\x80\x02cos\nsystem\nX\x05\0\0\0touchq\0\x85R.",
        "json": b'{"conv1": 1}',
        "safetensors of nothing": safetensors.numpy.save({}),
        "one tensor": safetensors.numpy.save({"x": np.zeros(3, np.float32)}),
        "another model": safetensors.numpy.save(tensors, {"model": "nonesuch"}),
    }
    for keep in (0.01, 0.1, 0.3, 0.5, 0.9, 0.999):
        files[f"cut at {keep}"] = whole[: int(keep * len(whole))]
    for place in (0.0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05):
        files[f"header's bit at {place}"] = bytes(flip(bytearray(whole), place))
    for name in ("conv_pre.weight", "conv1.bias", "activation0.snakebeta.alpha"):
        large = 6e4 if "alpha" in name else 1e38
        for what, value in (("NaN", np.nan), ("infinity", np.inf), ("too large", large)):
            changed = {k: v.astype(np.float32) for k, v in tensors.items()}
            changed[name] = np.full_like(changed[name], value)
            files[f"{what} in {name}"] = safetensors.numpy.save(changed)
        changed = dict(tensors)
        del changed[name]
        files[f"without {name}"] = safetensors.numpy.save(changed)
        for what, value in (
            ("whole numbers", tensors[name].astype(np.int32)),
            ("one too many", np.append(tensors[name], tensors[name].flat[0])),
            ("none", tensors[name].flat[:0].copy()),
        ):
            files[f"{what} in {name}"] = safetensors.numpy.save(tensors | {name: value})
    for name, data in files.items():
        for command in (("upsample", "a.wav", "--weights", "w"), ("weights", "show", "w")):
            make = partial(with_weights, data=data)
            # What is finite, if absurd, may be looked at; a bit of a number may be anything.
            loose = "too large" in name or "bit" in name
            if "1e38" in name or ("too large" in name and command[0] == "upsample"):
                loose = "alpha" not in name
            status = (
                None if loose else (2 if command[0] == "weights" or "large in" not in name else 1)
            )
            status = None if "too large" in name else status
            yield Case("weights", f"{name}: {command[0]}", make, command, status, 27_000)


def with_weights(folder: Path, data: bytes) -> None:
    """A sound file and a file of weights."""
    write(folder, "a.wav")
    (folder / "w").write_bytes(data)


def manifests() -> Iterator[Case]:
    """Lists of recordings that name what they must not."""
    rows = {
        "../": {"source": "a.wav", "target": "../x.flac"},
        "absolute": {"source": "a.wav", "target": "/x.flac"},
        "a state's": {"source": "a.wav", "target": ".novasr/x.flac"},
        "a folder": {"source": "a.wav", "target": "x/"},
        "another suffix": {"source": "a.wav", "target": "x.wav"},
        "NUL": {"source": "a.wav", "target": "a\0.flac"},
        "no source": {"target": "x.flac"},
        "a number": {"source": 1.5},
        "a list": ["a.wav"],
        "null": None,
        "deep": "[" * 9000,
    }
    for name, row in rows.items():
        text = row if name == "deep" else json.dumps(row)
        for suffix in ("jsonl", "csv"):
            make = partial(with_manifest, name=f"m.{suffix}", text=str(text))
            arguments = ("corpus", f"m.{suffix}", "out")
            yield Case("manifests", f"{name}, {suffix}", make, arguments, 2, output="none")
    for name, text in {
        "empty": "",
        "not UTF-8": "\udcff",
        "a quote nobody closes": 'source\n"a.wav\n',
        "twice": '{"source": "a.wav"}\n{"source": "a.wav"}\n',
    }.items():
        make = partial(with_manifest, name="m.jsonl", text=text)
        yield Case("manifests", name, make, ("corpus", "m.jsonl", "out"), 2, output="none")
    text = '{"source": "a.wav"}\n{"source": "missing.wav"}\n'
    make = partial(with_manifest, name="m.jsonl", text=text)
    case = (make, ("corpus", "m.jsonl", "out", "--format", "wav"), 1, 27_000, 0, "out/a.wav")
    yield Case("manifests", "one that is missing", *case)


def with_manifest(folder: Path, name: str, text: str) -> None:
    """A sound file and a list."""
    write(folder, "a.wav")
    (folder / name).write_text(text, errors="surrogateescape")


def usage() -> Iterator[Case]:
    """Words that make no sense."""
    for line in (
        "",
        "upsmaple a.wav",
        "nonesuch",
        "upsample",
        "a.wav -o x.m4a",
        "a.wav -o noext",
        "a.wav -o",
        "a.wav --format m4a",
        "a.wav --subtype NONE",
        "a.wav --keep-lowband x",
        "a.wav --keep-lowband -1",
        "a.wav --keep-lowband nan",
        "a.wav --threads 0",
        "a.wav --threads x",
        "a.wav --channels 7",
        "a.wav --resampler none",
        "a.wav --weights none",
        "a.wav --backend none",
        "a.wav --device gpu",
        "a.wav a.wav -o b.wav",
        "*.nothing",
        ".",
        "- -",
        "a.wav --if-exists maybe",
        "stream --channels 0",
        "stream --channels 100000",
        "stream --rate 7",
        "stream --rate 767999",
        "stream --input x",
        "spectrogram a.wav",
        "spectrogram a.wav -o x.gif",
        "spectrogram none.wav -o x.png",
        "compare a.wav",
        "compare a.wav none.wav",
        "weights show none",
        "weights convert a.wav x",
        "export onnx x.txt",
        "verify",
        "verify --command x",
        "corpus none out",
        "corpus . .",
    ):
        make = partial(write, name="a.wav")
        yield Case("usage", line or "nothing", make, tuple(line.split()), 2, output="none")


def streams() -> Iterator[Case]:
    """Bytes of all kinds to `stream`; what comes out goes to a file of the shell's."""
    for name, data in {
        "nothing": b"",
        "one byte": b"x",
        "noise": np.random.default_rng(0).bytes(99_999),
        "NaN": np.full(999, np.nan, "<f4").tobytes(),
        "a wav": b"RIFF" + bytes(9999),
        "zeros": bytes(4_000_000),
    }.items():
        for options in ("", "--input s16", "--channels 2", "--channels 1024", "--rate 44100"):
            make = partial(lambda f, data: (f / "in").write_bytes(data), data=data)
            arguments = ("stream", *options.split())
            yield Case(
                "streams", f"{name} {options}", make, arguments, None, output="none", stdin="in"
            )


def ends() -> Iterator[Case]:
    """Signals at any moment, full disks, targets that cannot be."""
    for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for seconds in (0.15, 0.3, 0.5, 0.8, 1.5):
            make = partial(write, name="a.wav", samples=3_000_000)
            case = (make, ("a.wav",), None, 9_000_000)
            yield Case("ends", f"{sent.name} after {seconds} s", *case, sent=(sent, seconds))
    for suffix in _FORMATS:
        for limit in (100, 20_000):
            make = partial(write, name="a.wav", samples=200_000)
            case = (make, ("a.wav", "-o", f"b.{suffix}"), 1, None, 0, f"b.{suffix}")
            yield Case("ends", f"{limit} bytes for {suffix}", *case, limit=limit)
    make = partial(write, name="a.wav", samples=200_000)
    for name, arguments in (
        ("corpus", ("corpus", ".", "/dev/full")),
        ("file", ("a.wav", "-o", "/dev/full/x.wav")),
    ):
        yield Case("ends", f"no folder: {name}", make, arguments, None, output="none")
    yield Case("ends", "onto itself", make, ("a.wav", "-o", "a.wav", "-f"), 1, output="none")
    yield Case("ends", "a second time", twice, ("a.wav",), 1, 3, 0)
    yield Case("ends", "through a link that leads nowhere", linked, ("b.wav",), 1, output="none")


def twice(folder: Path) -> None:
    """A file whose output is there already."""
    write(folder, "a.wav")
    soundfile.write(folder / "a_48k.wav", np.zeros(3), 48_000)


def linked(folder: Path) -> None:
    """A link to nothing."""
    os.symlink("nothing.wav", folder / "b.wav")


GROUPS = (damaged, headers, valid, foreign, weights, manifests, usage, streams, ends)


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
        if case.limit:  # long before Python has started
            limits = (case.limit, resource.RLIM_INFINITY)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)
        sent = case.sent
        end = time.monotonic() + _TIMEOUT
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                stderr.seek(0)
                return (
                    process.returncode,
                    stderr.read().decode(errors="replace"),
                    usage.ru_maxrss * 1024,
                )
            if sent and time.monotonic() > end - _TIMEOUT + sent[1]:
                process.send_signal(sent[0])
                sent = None
            if time.monotonic() > end:
                process.kill()
                process.wait()
                return None, "", 0
            time.sleep(0.005)


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
    if status < 0 and not (case.sent and -status == case.sent[0]):
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
    made = after - before
    if status and case.output in made and case.frames is None:
        yield f"status {status}, and an output"
    if status and case.output in made and case.frames is not None and case.sent:
        frames = soundfile.info(output).frames
        if frames != case.frames:
            yield f"{frames} of {case.frames} frames under the real name"
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
    # Shells have background jobs ignore it, and children would, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
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
