"""Cases of `bench.attack` on sound that is not where it may seem: joined files, headers that say
less than there is, the clock of a video, the order of channels.
"""

import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000  # Hz
SAMPLES = 9000
CONTAINERS = {
    "wav": ("WAV", "PCM_16"),
    "ulaw.wav": ("WAV", "ULAW"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_24"),
    "caf": ("CAF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "sph": ("NIST", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
# Where the size of the samples stands: a name before it, and its form.
_SIZES = {
    "wav": (b"data", "<I"),
    "ulaw.wav": (b"data", "<I"),
    "w64": (bytes.fromhex("64617461f3acd3118cd100c04f8edb8a"), "<Q"),
    "aiff": (b"SSND", ">I"),
    "caf": (b"data", ">Q"),
}
_MARKS = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 2_000_000_000)
# What ffmpeg writes, with pictures beside the sound: suffix -> codings of the sound.
_VIDEOS = {"mp4": ("aac", "libmp3lame"), "mov": ("aac", "pcm_s16le"), "mkv": ("libopus", "flac")}
_LAYOUTS = {"3.0": 3, "quad": 4, "5.0": 5, "5.1": 6, "6.1": 7, "7.1": 8}
_BASE, _STEP = 300, 170  # Hz of the first channel's tone, and from one to the next

Make = Callable[[Path], object]
Check = Callable[[Path], str]


def joined() -> Iterator[tuple[str, Make, str, bool, int]]:
    """Files of a kind joined, with the same rate and with another.

    Yields the name, what makes "a.<suffix>", that name, whether it has to be read, and the frames
    of the output.
    """
    for kind in CONTAINERS:
        name = f"a.{kind}"
        for count in (2, 3):
            make = partial(_joined, name=name, kinds=[(kind, {})] * count)
            yield f"{kind}, {count} joined", make, name, True, 3 * SAMPLES * count
        for other in ({"rate": 8000}, {"channels": 2}):
            make = partial(_joined, name=name, kinds=[(kind, {}), (kind, other)])
            frames = 3 * SAMPLES + 3 * SAMPLES * RATE // other.get("rate", RATE)
            yield f"{kind} joined with {other}", make, name, False, frames
    make = partial(_joined, name="a.wav", kinds=[("wav", {}), ("aiff", {}), ("flac", {})])
    yield "wav, aiff and flac joined", make, "a.wav", True, 9 * SAMPLES


def sizes() -> Iterator[tuple[str, Make, str, bool, int]]:
    """Headers whose size of the samples is not theirs. Yields as `joined`."""
    for kind, (key, form) in _SIZES.items():
        name, width = f"a.{kind}", struct.calcsize(form)
        for size in _MARKS if width == 4 else (0, (1 << 63) - 1, (1 << 64) - 1):
            make = partial(_sized, name=name, kind=kind, key=key, form=form, size=size)
            yield f"{kind}, size {size}", make, name, True, 3 * SAMPLES
        for size in (2, 1000, SAMPLES):
            make = partial(_sized, name=name, kind=kind, key=key, form=form, size=size)
            yield f"{kind}, size {size}", make, name, False, 3 * SAMPLES


def videos() -> Iterator[tuple[str, Make, str, Check]]:
    """Videos whose sound begins late. Yields the name, what makes the file, its name, a check."""
    if shutil.which("ffmpeg") is None:
        return
    for suffix, codings in _VIDEOS.items():
        for coding in codings:
            for late in (0.0, 0.25, 0.5, 1.7):
                name = f"a.{suffix}"
                make = partial(_late, name=name, coding=coding, late=late)
                yield f"{suffix}, {coding}, {late} s late", make, name, partial(_onset, late=late)


def channels() -> Iterator[tuple[str, Make, str, str, Check]]:
    """A tone for each channel. Yields the name, what makes the file, its name, the output's, a
    check.
    """
    if shutil.which("ffmpeg") is None:
        return
    for layout, count in _LAYOUTS.items():
        for source in ("wav", "flac", "ogg", "opus", "caf"):
            for target in ("wav", "flac", "ogg", "opus", "aiff"):
                make = partial(_tones, name=f"a.{source}", layout=layout, count=count)
                check = partial(_order, names=(f"a.{source}", f"b.{target}"), count=count)
                title = f"{layout}, {source} to {target}"
                yield title, make, f"a.{source}", f"b.{target}", check


def _joined(folder: Path, name: str, kinds: list[tuple[str, dict]]) -> None:
    data = b""
    for number, (kind, how) in enumerate(kinds):
        major, subtype = CONTAINERS[kind]
        x = np.random.default_rng(number).normal(0, 0.05, (SAMPLES, how.get("channels", 1)))
        soundfile.write(folder / "part", x, how.get("rate", RATE), subtype, format=major)
        data += (folder / "part").read_bytes()
    (folder / "part").unlink()
    (folder / name).write_bytes(data)


def _sized(folder: Path, name: str, kind: str, key: bytes, form: str, size: int) -> None:
    _joined(folder, name, [(kind, {})])
    data = bytearray((folder / name).read_bytes())
    struct.pack_into(form, data, data.index(key) + len(key), size)
    (folder / name).write_bytes(data)


def _ffmpeg(folder: Path, *line: str) -> bytes:
    command = ["ffmpeg", "-v", "error", *line]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout


def _late(folder: Path, name: str, coding: str, late: float) -> None:
    pictures = ("-f", "lavfi", "-i", "testsrc=s=64x64:r=25:d=4")
    tone = ("-itsoffset", str(late), "-f", "lavfi", "-i", "sine=440:d=2:r=48000")
    _ffmpeg(
        folder,
        *(*pictures, *tone, "-map", "0:v", "-map", "1:a", "-c:v", "mpeg4", "-c:a", coding, name),
    )


def _onset(folder: Path, late: float) -> str:
    x, rate = soundfile.read(folder / "a_48k.wav")
    at = np.argmax(np.abs(x) > 0.03) / rate
    if abs(at - late) > 0.01:
        return f"the tone begins at {at:.3f} s, expected {late} s"
    length = len(x) / rate - late - 2
    return "" if abs(length) < 0.06 else f"{length:.3f} s too long"


def _tones(folder: Path, name: str, layout: str, count: int) -> None:
    hertz = [_BASE + _STEP * n for n in range(count)]
    if layout.endswith(".1"):
        hertz[3] = 60  # an LFE keeps only its lowest sound
    tones = "|".join(f"0.1*sin(2*PI*{hz}*t)" for hz in hertz)
    coding = {"ogg": "libvorbis", "opus": "libopus"}.get(name.partition(".")[2])
    source = f"aevalsrc={tones}:s=48000:c={layout}:d=1"
    chosen = ("-c:a", coding) if coding else ()
    _ffmpeg(folder, "-f", "lavfi", "-i", source, *chosen, name)


def _order(folder: Path, names: tuple[str, str], count: int) -> str:
    """Whether the output's channels hold what the input's do, both as ffmpeg decodes them.

    ffmpeg itself writes some layouts into Opus in another order than it reads.
    """
    wanted, found = (_peaks(folder / name, count) for name in names)
    wrong = np.abs(found - wanted) > 5
    return f"channels hold {found.round()} Hz, expected {wanted.round()}" if wrong.any() else ""


def _peaks(path: Path, count: int) -> np.ndarray:
    """Loudest frequency of each channel in Hz, in the order of WAVE's mask."""
    data = _ffmpeg(path.parent, "-i", path.name, "-f", "f32le", "-")
    x = np.frombuffer(data, "<f4").reshape(-1, count)[6000:-6000]
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x))[:, None], axis=0))
    rate = soundfile.info(path).samplerate
    return spectrum.argmax(axis=0) * rate / len(x)
