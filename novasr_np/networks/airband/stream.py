"""Stream of a sound in pieces of any length: each layer holds the frames it still needs."""

from typing import Any

import numpy as np

from ..record import Facts
from .fast import Folded, made_frames
from .features import spectra
from .follow import Follower
from .model import edge_bin
from .spec import FRAME, HOPS, OVERLAP, Variant
from .synthesis import overlap_add

_AT_ONCE = 800  # frames that are computed together, at most: with more the cache is left
_ROOM = 64  # frames that a stream's layer can take before it moves the frames that it holds


class FrameStream:
    """Stream at `rate` Hz whose outputs equal those of the whole sound.

    Each output comes as soon as all frames that it depends on have come.
    """

    def __init__(self, variant: Variant, p: Folded, dtype: Any, facts: Facts, rate: int) -> None:
        self._variant, self._p, self._rate, self._hop = variant, p, rate, rate // HOPS
        channels = facts.channels
        self._x = np.zeros((channels, OVERLAP * self._hop), dtype)  # zeros before the signal
        self._edges = Follower(edge_bin(facts, rate), rate, facts.follow)
        self._held: list[_Held] = []
        self._overlap = np.zeros((channels, 0, FRAME), dtype)

    def push(self, x: np.ndarray, last: bool = False) -> np.ndarray:
        """Take x [channels, n]; return the samples at 48 kHz that are determined now.

        last: the signal ends with x. The last hop is filled up with zeros, and all remaining
        samples are returned.
        """
        self._x = np.concatenate([self._x, x], axis=-1)
        if last:
            missing = -self._x.shape[-1] % self._hop + OVERLAP * self._hop
            self._x = np.pad(self._x, ((0, 0), (0, missing)))
        count = self._x.shape[-1] // self._hop - OVERLAP
        if count <= 0:
            return self._x[:, :0]
        parts = []
        for begin in range(0, count, _AT_ONCE):
            stop = min(begin + _AT_ONCE, count)
            x = self._x[:, begin * self._hop : (stop + OVERLAP) * self._hop]
            parts.append(self._made(x, last and stop == count))
        self._x = self._x[:, count * self._hop :].copy()
        return np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]

    def _made(self, x: np.ndarray, last: bool) -> np.ndarray:
        spectrum = spectra(x, self._rate)
        extend = _Extension(self._held, last)
        edges = self._edges.push(spectrum)
        frames = made_frames(self._p, spectrum, edges, self._variant, extend, self._overlap)
        self._overlap = frames[..., max(0, frames.shape[-2] - OVERLAP) :, :].copy()
        return overlap_add(frames)


class _Extension:
    """Put each layer's held frames before its new ones; called in the order of the layers."""

    def __init__(self, held: list["_Held"], last: bool) -> None:
        self._held, self._last, self._call = held, last, 0

    def __call__(self, h: np.ndarray, behind: int, ahead: int, rows: bool = False) -> np.ndarray:
        if self._call == len(self._held):
            self._held.append(_Held(h, behind, ahead, rows))
        held = self._held[self._call]
        self._call += 1
        return held.push(h, self._last)


class _Held:
    """Frames that one layer still needs, contiguous in memory with free space after them.

    So most pushes only write the new frames, and move nothing. rows: whether each frame, not each
    channel, is contiguous.
    """

    def __init__(self, h: np.ndarray, behind: int, ahead: int, rows: bool) -> None:
        self._ahead, self._enough, self._rows = ahead, behind + ahead, rows
        self._first, self._end = 0, behind
        self._frames = self._zeros(h, self._enough + _ROOM)

    def push(self, h: np.ndarray, last: bool) -> np.ndarray:
        """Append h [..., frames], and zeros if it is the last; return all that is held."""
        count = h.shape[-1]
        end = self._end + count + (self._ahead if last else 0)
        if end > self._frames.shape[-1]:
            kept = self._frames[..., self._first : self._end]
            room = max(_ROOM, end - self._end)
            self._frames = self._zeros(h, kept.shape[-1] + room)
            self._frames[..., : kept.shape[-1]] = kept
            end, self._first, self._end = end - self._first, 0, kept.shape[-1]
        self._frames[..., self._end : self._end + count] = h
        wide = self._frames[..., self._first : end]
        self._first, self._end = max(self._first, end - self._enough), end
        # From exactly this number of frames a layer computes none.
        return wide if wide.shape[-1] > self._enough else self._frames[..., : self._enough]

    def _zeros(self, h: np.ndarray, frames: int) -> np.ndarray:
        if self._rows:
            return np.zeros((*h.shape[:-2], frames, h.shape[-2]), h.dtype).swapaxes(-1, -2)
        return np.zeros((*h.shape[:-1], frames), h.dtype)
