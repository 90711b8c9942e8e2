"""Follow the edge of a sound that moves, as in a call whose codec changes.

The law: at the end of every 20th frame (100 ms) the edge is looked for (`dsp.band.Spectrum`) in the
last second. What is found three times in a row, within two bins, is believed, so after 1.2 s at
most where the sound shows it; if none is found, and in one second of three there is plainly sound
above the edge, it goes up to half the rate. The edge follows upwards by more than two bins, and
downwards by more than six, as a second without an s may seem to end a little lower. It holds from
the next frame on until another is believed. Nothing depends on how the sound was cut into chunks.
"""

import numpy as np

from ...dsp.band import Spectrum
from .spec import BIN, BINS

_EVERY = 20  # frames
_LOOKS_BACK = 10  # of these
_TIMES, _WITHIN = 3, 2  # findings in a row; bins in which they lie
_UP, _DOWN = 2, 6  # bins beyond which the edge follows


class Follower:
    """The edge of each frame of a sound that comes in pieces.

    edge: bin with which to begin. rate: of the input, Hz. follow: False to keep that edge.
    """

    def __init__(self, edge: int, rate: int, follow: bool) -> None:
        self._edge, self._half, self._follow = edge, rate // (2 * BIN), follow
        self._spectra = [Spectrum(min(self._half, BINS))]
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
            own = spectrum[..., begin:stop, : len(self._spectra[-1].power)]
            # Frame by frame, so that the sums do not depend on the chunks.
            for frame in np.moveaxis(own.real.astype(np.float64) ** 2 + own.imag**2.0, -2, 0):
                self._spectra[-1].add(frame)
            self._count += stop - begin
            edges[begin:] = self._edge
            if self._count == _EVERY:
                self._look()
                edges[stop:] = self._edge
                self._count = 0
            begin = stop
        return edges

    def _look(self) -> None:
        bins = len(self._spectra[-1].power)
        last = sum(self._spectra, Spectrum(bins))
        found = last.edge()
        if found is None:
            found = self._half if last.goes_on(self._edge) else self._edge
        self._spectra = [*self._spectra[-_LOOKS_BACK + 1 :], Spectrum(bins)]
        self._found = [*self._found[-_TIMES + 1 :], found]
        steady = len(self._found) == _TIMES and max(self._found) - min(self._found) <= _WITHIN
        if steady and not self._edge - _DOWN <= found <= self._edge + _UP:
            self._edge = found
