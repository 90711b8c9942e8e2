"""What a file of sound holds, by its bytes.

libsndfile believes a header, and stops where the first recording ends. So a file is walked here
from its beginning to its end before it is read: by the walker of its container, then by that of
whatever follows (joined files), until nothing is left but tags and padding. README.md beside this
file lists the containers and their traps.
"""

import mmap
import os
from collections.abc import Callable
from pathlib import Path

from ..errors import AudioError
from . import chunks, headers, mpeg, ogg
from .parts import MAGIC, Held, Part, behind_tags, is_over

_Walker = Callable[[mmap.mmap, int], Held | None]
_WALKERS: dict[bytes, _Walker] = {
    **dict.fromkeys(MAGIC, chunks.walk),
    b"OggS": ogg.walk,
    b"fLaC": headers.walk_flac,
    b".snd": headers.walk_au,
    b"Crea": headers.walk_voc,
    b"NIST": headers.walk_nist,
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


def _walked(data: mmap.mmap, at: int) -> Held | None:
    """Walk the container that begins here, tags before it or not."""
    behind = behind_tags(data, at)
    if walker := _WALKERS.get(data[behind : behind + 4]):
        return walker(data, behind)
    return mpeg.walk(data, behind) if behind != at or mpeg.frame(data[at : at + 4]) else None
