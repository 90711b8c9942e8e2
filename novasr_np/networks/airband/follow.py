"""Follow the edge of a sound that moves, as in a call whose codec changes.

The law: at the end of every 20th frame (100 ms) the edge is found (`dsp.band.Spectrum`) in the
frames so far, of which those of a second ago count half. It is believed once it has been found five
times in a row within two bins, so after half a second at least, and holds from the next frame on
until another one is believed. Nothing depends on how the sound was cut into chunks.
"""

import numpy as np

from ...dsp.band import Spectrum
from .spec import BIN, BINS, HOPS

_EVERY = 20  # frames
_TIMES, _WITHIN = 5, 2  # findings in a row; bins in which they lie
_HALF_LIFE = 1.0  # s


class Follower:
    """The edge of each frame of a sound that comes in pieces.

    edge: bin with which to begin. rate: of the input, Hz. follow: False to keep that edge.
    """

    def __init__(self, edge: int, rate: int, follow: bool) -> None:
        self._edge, self._half, self._follow = edge, rate // (2 * BIN), follow
        self._spectrum = Spectrum(min(self._half, BINS))
        self._found: list[int] = []
        self._count = 0  # frames since the last finding

    def push(self, spectrum: np.ndarray) -> np.ndarray:
        """Take spectra [..., frames, bins]; return the edge of each frame, [frames]."""
        frames = spectrum.shape[-2]
        edges = np.full(frames, self._edge)
        if not self._follow:
            return edges
        begin = 0
        while begin < frames:
            stop = min(frames, begin + _EVERY - self._count)
            own = spectrum[..., begin:stop, : len(self._spectrum.power)]
            # Frame by frame, so that the sums do not depend on the chunks.
            for frame in np.moveaxis(own.real.astype(np.float64) ** 2 + own.imag**2.0, -2, 0):
                self._spectrum.add(frame)
            self._count += stop - begin
            edges[begin:] = self._edge
            if self._count == _EVERY:
                self._look()
                edges[stop:] = self._edge
                self._count = 0
            begin = stop
        return edges

    def _look(self) -> None:
        found = self._spectrum.edge() or self._half
        self._spectrum.fade(0.5 ** (_EVERY / (HOPS * _HALF_LIFE)))
        self._found = [*self._found[-_TIMES + 1 :], found]
        steady = len(self._found) == _TIMES and max(self._found) - min(self._found) <= _WITHIN
        if steady and abs(found - self._edge) > _WITHIN:
            self._edge = found
