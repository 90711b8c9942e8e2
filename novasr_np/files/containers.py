"""What a file of sound holds, by its bytes.

libsndfile believes a header, and stops where the first recording ends. So a file is walked here
from its beginning to its end before it is read: by the walker of its container, then by that of
whatever follows (joined files), until nothing is left but tags and padding. README.md beside this
file lists the containers and their traps.
"""

import mmap
import os
import re
from collections.abc import Callable
from pathlib import Path

from ..errors import AudioError
from . import chunks, headers, mpeg, ogg
from .parts import MAGIC, Held, Part, behind_tags, is_over

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_Walker = Callable[[mmap.mmap, int], Held | None]
_WALKERS: dict[bytes, _Walker] = {
    **dict.fromkeys(MAGIC, chunks.walk),
    b"OggS": ogg.walk,
    b"fLaC": headers.walk_flac,
    b".snd": headers.walk_au,
    b"Crea": headers.walk_voc,
    b"NIST": headers.walk_nist,
}
# Containers that only ffmpeg reads, and the first recording only if files were joined: some bytes,
# their offset from a recording's beginning, and a pattern of that beginning.
_FIRST_ONLY = {
    "MP4": (b"ftyp", 4, rb"\0\0..ftyp[ -~]{4}"),
    "Matroska": (b"\x1aE\xdf\xa3", 0, rb"\x1aE\xdf\xa3.{1,64}(webm|matroska)"),
    "ASF": (_ASF, 0, re.escape(_ASF)),
    "FLV": (b"FLV\1", 0, rb"FLV\x01[\x01\x04\x05]\0\0\0\x09\0\0\0\0"),
    "TTA": (b"TTA1", 0, rb"TTA1[\x01\x02]\0[\x01-\xff]\0"),
    "AMR": (b"#!AMR", 0, rb"#!AMR(-WB)?\n"),
    "APE": (b"MAC ", 0, rb"MAC [\x00-\xff]\x0f\0\0"),
}


def walk(path: Path) -> Held:
    """Walk a file from its beginning to its end. One that no walker knows is one part.

    Raises AudioError if it is cut short or damaged, or holds bytes behind its sound that nothing
    accounts for; OSError.
    """
    size = os.path.getsize(path)
    if size == 0:
        return Held([Part(0, 0)], 0)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        held = Held([], 0)
        while not (held.parts and is_over(data, held.end)):
            found = _walked(data, held.end)
            if found is None and not held.parts:
                _refuse_a_second(data)
                return Held([Part(0, size)], size)
            if found is None:
                raise AudioError(
                    f"{size - held.end} bytes that are no sound known here follow its sound, which "
                    f"ends at byte {held.end}"
                )
            held = Held(held.parts + found.parts, found.end, held.beyond or found.beyond)
    if len(held.parts) == 1 and not held.parts[0].head:
        return held._replace(parts=[held.parts[0]._replace(start=0, stop=size)])
    return held


def _refuse_a_second(data: mmap.mmap) -> None:
    """Raise AudioError if a second recording begins where only the first would be read."""
    for name, (key, offset, beginning) in _FIRST_ONLY.items():
        pattern = re.compile(beginning, re.DOTALL)
        if not pattern.match(data, 0):
            continue
        at = offset
        while (at := data.find(key, at + 1)) >= 0:
            if pattern.match(data, at - offset):
                raise AudioError(
                    f"a second {name} recording begins at byte {at - offset}, and only the first "
                    "would be read: split the file there"
                )


def _walked(data: mmap.mmap, at: int) -> Held | None:
    """Walk the container that begins here, tags before it or not."""
    behind = behind_tags(data, at)
    if walker := _WALKERS.get(data[behind : behind + 4]):
        return walker(data, behind)
    header = data[behind : behind + 4]
    if len(header) == 4 and mpeg.is_other_layer(header):
        held = Held([Part(at, len(data))], len(data))
        return held._replace(
            beyond="it is MPEG audio of Layer I or II, whose frames are not counted"
        )
    return mpeg.walk(data, behind) if behind != at or mpeg.frame(header) else None
