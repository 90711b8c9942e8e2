"""Overlap-add: join windows of sound, each cross-faded into the next."""

from typing import Any

import numpy as np


def fade_in(overlap: int, fade: int) -> np.ndarray:
    """Gain of the later window in an overlap, ``sin(pi u / 2)^2``, float64 [overlap].

    u goes from 0 to 1 within the `fade` samples in the middle, so before them only the earlier
    window is heard, and after them only the later one. The earlier window's gain is 1 minus this,
    so a sound that is the same in both passes unchanged.
    """
    place = np.arange(overlap) + 0.5 - (overlap - fade) / 2
    return np.sin(np.pi / 2 * np.clip(place / fade, 0, 1)) ** 2


class OverlapAdd:
    """Join windows [channels, length] to one sound; each begins length - overlap later."""

    def __init__(self, overlap: int, fade: int, dtype: Any) -> None:
        self._share = fade_in(overlap, fade).astype(dtype) if overlap else np.zeros(0, dtype)
        self._tail: np.ndarray | None = None

    def push(self, y: np.ndarray) -> np.ndarray:
        """Take the next window; return the samples that no later window changes.

        Returns [channels, length - overlap].
        """
        overlap = len(self._share)
        stop = y.shape[-1] - overlap
        sure = y[:, :stop].copy()
        if self._tail is not None:
            sure[:, :overlap] = self._tail + self._share * (sure[:, :overlap] - self._tail)
        self._tail = y[:, stop:].copy()
        return sure

    def rest(self) -> np.ndarray:
        """Return the rest of the last window, [channels, overlap]."""
        assert self._tail is not None
        return self._tail
