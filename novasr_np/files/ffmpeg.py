"""Decode files that libsndfile cannot read with the program ffmpeg, if it is installed.

ffprobe lists a file's tracks and tags, and ffmpeg decodes one track, without any change of rate or
channels. It writes the samples to a pipe and their times to a file, so that the sound keeps its
place in a video: silence stands where a track begins late or has a gap. Both programs are allowed
to read sound and video files only: they never follow a playlist to other files or hosts.
"""

import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from ..errors import AudioError

_DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,gsm,matroska,webm,mov,mp4,m4a,mp3,mpc,"
    "mpc8,mpeg,mpegts,nistsphere,ogg,rm,sox,tak,tta,voc,w64,wav,wv"
)
# Formats that ffmpeg times from the first track it uses, and all others from their first track.
_TIMED_BY_TRACK = ("mpegts", "mpeg", "ogg")
# Formats that have a clock of their own. For all others ffmpeg makes times up, by the sizes of
# frames and the like; in ASF and Ogg they are good where there are pictures.
_CLOCKS = ("flv", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "mpeg", "mpegts")
_CLOCKS_OF_PICTURES = ("asf", "ogg")
_FLOAT = np.dtype("<f4")

# Names of tags in ffprobe -> libsndfile's, where they differ.
_TAGS = {"product": "album", "track": "tracknumber", "year": "date"}

# What ffmpeg says -> what it means, the first that fits.
_MEANINGS = {
    r"moov atom not found": "cut short: its index (moov) is missing",
    r"Changing audio frame properties|change is not supported": (
        "its rate or its channels change midway"
    ),
    r"Protocol .* not on whitelist": "it names another file or host, which is not opened",
    r"Decoder .* not found": "this ffmpeg has no decoder for it",
    r"(?i)crc": "damaged: a checksum does not fit",
    r"prematurely|End of file|partial file|after EOF|Missing packet table": "cut short",
    r"Error while decoding|incomplete|error|EBML|master element|bits": "damaged or cut short",
}
_LISTS = ("concat", "concatf", "dash", "hls", "sdp")  # demuxers that open other files
_RAW = (".f32", ".pcm", ".raw", ".s16", ".s16le", ".sln", ".sw")  # suffixes

# Of the clock, in seconds. Programs that record write times that jitter, so a step counts only if
# all frames of the next half second share it.
_AHEAD = 0.5
_TOLERANCE = 0.008
_MAX_OVERLAP = 0.1  # further back, the clock starts anew: two recordings were joined
_MAX_GAP = 86_400


class Frame(NamedTuple):
    """Samples that were decoded together."""

    time: int  # of the first, in samples
    samples: np.ndarray  # [n, channels] float32


@dataclass(frozen=True)
class Track:
    """A track of sound, as ffprobe lists it."""

    index: int  # among all of the file's streams
    is_timed: bool  # False where no time but that of its first frame means anything
    offset: float | None  # s, added to ffmpeg's times; None: it begins with its first frame
    has_layout: bool  # whether the file says which speakers its channels are for
    tags: dict[str, str]
    notes: list[str]
    other_decoders: tuple[str, ...]  # of the pictures: ffmpeg tries them when it opens a file


def is_installed() -> bool:
    """Whether ffmpeg and ffprobe are installed."""
    return all(map(shutil.which, ("ffmpeg", "ffprobe")))


class Decoder:
    """Decode a track; it has the interface that `reading` expects.

    That is the part of SoundFile's that `reading` uses. frames is 0, as the number is not known in
    advance. layout: the speakers of the channels, which are in the order of WAVE's bits, as these
    bits; None if the file does not say. notes: sentences for the user. Raises AudioError if ffmpeg
    returns no sound.
    """

    format = subtype = "ffmpeg"
    frames = 0

    def __init__(self, path: Path, track: Track, ffmpeg: subprocess.Popen, folder: Path) -> None:
        self._path, self._process, self._folder = path, ffmpeg, folder
        self._bytes = cast(BufferedReader, ffmpeg.stdout)
        self.notes, self._tags, self._others = track.notes, track.tags, track.other_decoders
        try:
            self.samplerate, self.channels, mask = _read_header(self._bytes)
        except EOFError:
            self._end()
            raise _unreadable("it returned no samples") from None
        self.layout = mask if mask and (track.has_layout or self.channels <= 2) else None
        frames = self._frames() if track.is_timed else _steady(self._frames())
        self._blocks = place(frames, self.samplerate, track.offset)
        self._rest = np.zeros((0, self.channels), np.float32)

    def read(self, frames: int, dtype: str, always_2d: bool) -> np.ndarray:
        """Read the next samples, [up to `frames`, channels] float32; none at the end.

        Raises AudioError if ffmpeg reported any error.
        """
        blocks, n = [self._rest], len(self._rest)
        while n < frames and (block := next(self._blocks, None)) is not None:
            blocks.append(block)
            n += len(block)
        x = np.concatenate(blocks)
        self._rest = x[frames:]
        if not len(x):
            self._end()
        return x[:frames]

    def copy_metadata(self) -> dict[str, str]:
        """Return the tags, by libsndfile's names."""
        return self._tags

    def _frames(self) -> Iterator[Frame]:
        """Yield what ffmpeg decodes. It writes a frame's time before the frame's samples."""
        with open(self._folder / "times", "rb") as times:
            while self._bytes.peek(1):
                while (line := times.readline()).startswith(b"#"):
                    pass
                _, time, _, _, size, _ = line.split(b",")
                data = self._bytes.read(int(size))
                if len(data) < int(size):
                    break
                x = np.frombuffer(data, _FLOAT).reshape(-1, self.channels)
                yield Frame(int(time), x.astype(np.float32, copy=False))

    def _end(self) -> None:
        """Raise AudioError if ffmpeg reported an error, after which it often ends with status 0."""
        status = self._process.wait()
        lines = (self._folder / "messages").read_text(errors="replace").splitlines()
        said = [line for line in lines if not line.startswith(self._others)]
        if status or said:
            raise _unreadable(_explained(said or lines or [f"status {status}"], self._path))


def _steady(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Yield frames one behind the other, from the first one's time on."""
    time = None
    for frame in frames:
        time = frame.time if time is None else time
        yield Frame(time, frame.samples)
        time += len(frame.samples)


def place(frames: Iterator[Frame], rate: int, offset: float | None) -> Iterator[np.ndarray]:
    """Yield the samples of frames, [n, channels], where their times put them.

    Silence fills gaps. Samples before time 0, and the few that a fast clock leaves no room for, are
    cut. rate: Hz. offset: seconds that are added to all times, None to begin with the first frame.
    Raises AudioError for a gap of more than a day.
    """
    ahead: deque[tuple[int, np.ndarray]] = deque()  # how late a frame is without any steps
    n_read = n_ahead = steps = skip = 0
    start = None if offset is None else round(offset * rate)
    begun = False
    while True:
        while n_ahead < _AHEAD * rate and (frame := next(frames, None)) is not None:
            ahead.append((frame.time - n_read, frame.samples))
            n_read += len(frame.samples)
            n_ahead += len(frame.samples)
        if not ahead:
            return
        if start is None:
            start = -ahead[0][0]
        late = [start + frame_late - steps for frame_late, _ in ahead]
        least, most, step = min(late), max(late), 0
        if not begun:
            step = late[0]
        elif least > _TOLERANCE * rate:
            step = least
        elif most < -_MAX_OVERLAP * rate:
            start -= most
        elif most < -_TOLERANCE * rate and most - least < _MAX_OVERLAP * rate:
            step = most
        if step > _MAX_GAP * rate:
            raise AudioError(f"its times must have gaps of at most a day, got {step / rate:.0f} s")
        begun = True
        steps += step
        skip += max(-step, 0)
        x = ahead.popleft()[1]
        n_ahead -= len(x)
        for at in range(0, step, rate):
            yield np.zeros((min(rate, step - at), x.shape[1]), np.float32)
        if skip < len(x):
            yield x[skip:]
        skip = max(0, skip - len(x))


@contextmanager
def decoding(path: Path) -> Iterator[Decoder]:
    """Decode a file's default track of sound.

    Raises AudioError if it has none, and as `Decoder` does; OSError if ffmpeg or ffprobe cannot be
    started.
    """
    _refuse_cut_riff(path)
    track = _default_track(path)
    command = [
        *("ffmpeg", "-nostdin", "-v", "repeat+error", "-err_detect", "crccheck"),
        *("-reinit_filter", "0", *_input(path)),  # an error where rate or channels change
        *("-map", f"0:{track.index}", "-c:a", "pcm_f32le", "-map_metadata", "-1", "-bitexact"),
        # Both outputs in step: a frame's time is in its file before the frame is in the pipe.
        *("-f", "tee", "[f=framecrc:flush_packets=1]times|[f=wav:flush_packets=1]pipe:1"),
    ]
    with tempfile.TemporaryDirectory(prefix="novasr-") as folder:
        with open(Path(folder, "messages"), "wb") as messages:
            # In a separate session, so that Ctrl-C ends this program, and not ffmpeg before it.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=messages,
                start_new_session=True,
                cwd=folder,
            )
        try:
            yield Decoder(path, track, process, Path(folder))
        finally:
            process.kill()
            process.communicate()


def _input(path: Path) -> list[str]:
    """Arguments of both programs that name the file and forbid all others."""
    allowed = ["-protocol_whitelist", "file", "-format_whitelist", _DEMUXERS]
    return [*allowed, "-i", f"file:{os.path.abspath(path)}"]


def _probe(path: Path) -> dict[str, Any]:
    """What ffprobe says of a file. Raises AudioError if ffprobe cannot open it."""
    stream = "stream=index,codec_type,codec_name,start_time,channel_layout"
    entries = f"{stream}:stream_disposition:stream_tags:format=format_name:format_tags"
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", entries, *_input(path)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True, check=False
    )
    found = json.loads(done.stdout.decode(errors="replace") or "{}")
    if done.returncode or "format" not in found:
        raise _unreadable(_explained(done.stderr.decode(errors="replace").splitlines(), path))
    return found


def _default_track(path: Path) -> Track:
    """The default track of a file, or the first. Raises AudioError if there is none."""
    found = _probe(path)
    streams, format = found["streams"], found["format"]["format_name"]
    pictures = [
        s
        for s in streams
        if s.get("codec_type") == "video" and not s.get("disposition", {}).get("attached_pic")
    ]
    tracks = [s for s in streams if s.get("codec_type") == "audio"]
    if not tracks:
        raise _unreadable("there is no sound in it")
    track = next((s for s in tracks if s.get("disposition", {}).get("default")), tracks[0])
    offset, notes = None, []
    if pictures:
        is_by_track = format in _TIMED_BY_TRACK
        offset = _start(track) - _start(pictures[0]) if is_by_track else 0.0
        if offset < -_TOLERANCE:
            notes.append(f"the {-offset:.2f} s of sound before the first picture are cut")
    if len(tracks) > 1:
        notes.append(_note(tracks, track))
    # Of a video, a track's title is the name of the track.
    tags = {**({} if pictures else track.get("tags", {})), **found["format"].get("tags", {})}
    lower = {name.lower(): text for name, text in tags.items()}
    return Track(
        index=track["index"],
        is_timed=format in _CLOCKS or (bool(pictures) and format in _CLOCKS_OF_PICTURES),
        offset=offset,
        has_layout=track.get("channel_layout", "unknown") != "unknown",
        tags={_TAGS.get(name, name): text for name, text in lower.items()},
        notes=notes,
        other_decoders=tuple(f"[{s['codec_name']} @" for s in pictures if "codec_name" in s),
    )


def _start(stream: dict[str, Any]) -> float:
    return float(stream.get("start_time", 0))


def _note(tracks: list[dict[str, Any]], chosen: dict[str, Any]) -> str:
    """Name the tracks of a file with several."""

    def name(number: int, track: dict[str, Any]) -> str:
        tags = {k.lower(): v for k, v in track.get("tags", {}).items()}
        words = [tags[k] for k in ("language", "title") if tags.get(k, "und") != "und"]
        return f"{number} ({', '.join(words)})" if words else str(number)

    names = [name(number, track) for number, track in enumerate(tracks, 1)]
    taken = names.pop(tracks.index(chosen))
    return f"{len(tracks)} tracks of sound: {taken} is taken, not {', '.join(names)}"


def _read_header(wav: BufferedReader) -> tuple[int, int, int]:
    """Read a WAV stream up to its samples: rate, channels, WAVE's bits of the speakers or 0.

    Raises EOFError, also if there are no samples.
    """

    def read(size: int) -> bytes:
        if len(data := wav.read(size)) < size:
            raise EOFError
        return data

    rate = channels = mask = 0
    read(12)
    while (kind := read(4)) != b"data":
        data = read(int.from_bytes(read(4), "little"))
        if kind == b"fmt ":
            channels, rate, mask = struct.unpack_from("<2xHI12xI", data)
    read(4)
    if not wav.peek(1):
        raise EOFError
    return rate, channels, mask


def _refuse_cut_riff(path: Path) -> None:
    """Raise AudioError if an AVI file is shorter than its header says, which ffmpeg accepts."""
    with open(path, "rb") as file:
        head = file.read(8)
        there = file.seek(0, os.SEEK_END) - len(head)
    if head.startswith(b"RIFF") and (promised := int.from_bytes(head[4:], "little")) > there:
        raise AudioError(f"cut short: {there} of {promised} bytes are there")


def _explained(lines: list[str], path: Path) -> str:
    """Say in other words what ffmpeg or ffprobe said, or shorten it."""
    said = "\n".join(lines)
    unknown = f"it is no sound that ffmpeg knows{_raw_hint(path)}"
    if kind := re.search(r"\[(\w+) @ \w+\] Format not on whitelist", said):
        if kind[1] in _LISTS:
            return "it is a list of other files, which are not opened"
        if re.search(r"image|_pipe$", kind[1]):  # a picture, by its suffix or its first bytes
            return unknown
        file, wav = shlex.quote(path.name), shlex.quote(f"{path.stem}.wav")
        way = f"ffmpeg -f {kind[1]} -i {file} {wav}"
        return f"files of the kind {kind[1]} are not opened here; to convert it: {way}"
    if re.match(r"file:.*: Invalid data found", said):
        return unknown
    meanings = (meaning for pattern, meaning in _MEANINGS.items() if re.search(pattern, said))
    meaning = next(meanings, "it failed")
    first = re.sub(r"^\[[^\]]* @ \w+\] *", "", lines[0]) if lines else "no reason"
    first = first.replace(f"file:{os.path.abspath(path)}", path.name)
    return f"{meaning} (ffmpeg: {first[:100].rstrip('.')})"


def _raw_hint(path: Path) -> str:
    """Advice for samples without a header; empty for any other file."""
    if path.suffix.lower() not in _RAW:
        return ""
    file, wav = shlex.quote(path.name), shlex.quote(f"{path.stem}.wav")
    return f"; raw samples need their coding: ffmpeg -f s16le -ar 16000 -ac 1 -i {file} {wav}"


def _unreadable(why: str) -> AudioError:
    return AudioError(f"not audio that ffmpeg can read whole: {why}")
