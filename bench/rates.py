"""Filters, the crossover and edges by the engine in C, called through ctypes, for tests."""

import ctypes
from collections.abc import Callable, Sequence

import numpy as np

from novasr_np.native.binding import Memory

DESIGNS = {"steep": 1, "upstream": 2, "low pass": 3}

_POINTER, _SIZE, _INT, _LONG = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_long
_DOUBLE, _FLOAT = ctypes.c_double, ctypes.c_float
_FUNCTIONS: dict[str, tuple] = {  # of rates.h: what each gives, and what it takes
    "filter_bytes": (_SIZE, _INT, _DOUBLE, _INT, _INT),
    "filter_make": (_POINTER, _POINTER, _INT, _DOUBLE, _INT, _INT),
    "filter_state_bytes": (_SIZE, _POINTER),
    "filter_passes": (_DOUBLE, _POINTER),
    "filter_latency": (_LONG, _POINTER),
    "filter_room": (_LONG, _POINTER, _LONG),
    "filter_begin": (_POINTER, _POINTER, _POINTER),
    "filter_reset": (None, _POINTER),
    "filter_push": (_LONG, _POINTER, _POINTER, _LONG, _INT, _POINTER),
    "crossover_highest": (_DOUBLE, _INT, _INT, _DOUBLE),
    "crossover_bytes": (_SIZE, _DOUBLE, _INT, _INT),
    "crossover_make": (_POINTER, _POINTER, _DOUBLE, _INT, _INT),
    "crossover_latency": (_LONG, _POINTER),
    "crossover_state_bytes": (_SIZE, _POINTER, _LONG),
    "crossover_begin": (_POINTER, _POINTER, _POINTER, _LONG),
    "crossover_room": (_LONG, _POINTER, _LONG),
    "crossover_push": (
        *(_LONG, _POINTER, _POINTER, _LONG, _POINTER, _LONG),
        *(_FLOAT, _INT, _POINTER),
    ),
    "band_bytes": (_SIZE, _INT, _INT),
    "band_begin": (_POINTER, _POINTER, _INT, _INT),
    "band_push": (None, _POINTER, _INT, _POINTER, _LONG),
    "band_edge": (_DOUBLE, _POINTER),
    "follow_bytes": (_SIZE, _INT, _INT),
    "follow_begin": (_POINTER, _POINTER, _INT, _INT, _INT),
    "follow_push": (_LONG, _POINTER, _POINTER, _LONG),
    "follow_edge": (_INT, _POINTER),
}


def declare(lib: ctypes.CDLL) -> ctypes.CDLL:
    """Declare the functions of rates.h in the engine's library, and return it."""
    for name, (gives, *takes) in _FUNCTIONS.items():
        function = getattr(lib, f"novasr_{name}")
        function.restype, function.argtypes = gives, takes
    return lib


class Filter:
    """Filter of one channel, as `dsp.polyphase.Polyphase`; hertz: of the design "low pass".

    Raises ValueError for what the engine refuses.
    """

    def __init__(
        self, lib: ctypes.CDLL, design: str, rate: int, new_rate: int, hertz: float = 0
    ) -> None:
        arguments = DESIGNS[design], hertz, rate, new_rate
        size = lib.novasr_filter_bytes(*arguments)
        self._lib, self._table = lib, Memory(size)
        self._filter = lib.novasr_filter_make(self._table.address, *arguments)
        if not self._filter:
            assert not size
            raise ValueError(f"there is no {design} filter from {rate} to {new_rate} Hz, {hertz}")
        self.latency = lib.novasr_filter_latency(self._filter)
        self.passes = lib.novasr_filter_passes(self._filter)  # Hz
        self._memory = Memory(lib.novasr_filter_state_bytes(self._filter))
        self._state = lib.novasr_filter_begin(self._memory.address, self._filter)

    def reset(self) -> None:
        """Begin another signal."""
        self._lib.novasr_filter_reset(self._state)

    def push(self, x: np.ndarray, last: bool) -> np.ndarray:
        """Take samples x [n]; return the outputs that are determined now."""
        x = np.ascontiguousarray(x, np.float32)
        y = np.empty(self._lib.novasr_filter_room(self._filter, len(x)), np.float32)
        made = self._lib.novasr_filter_push(self._state, x.ctypes.data, len(x), last, y.ctypes.data)
        assert made <= len(y)
        return y[:made]

    def __call__(self, x: np.ndarray, cuts: Sequence[int] = ()) -> np.ndarray:
        """Filter a whole sound x [T], cut at these samples."""
        parts = np.split(x, cuts)
        return np.concatenate([self.push(part, i == len(cuts)) for i, part in enumerate(parts)])


class Crossover:
    """Crossover of one channel, as `dsp.crossover.Crossover`; ahead: as in rates.h.

    Raises ValueError for what the engine refuses.
    """

    def __init__(
        self, lib: ctypes.CDLL, hertz: float, rate: int, rate_out: int, ahead: int
    ) -> None:
        size = lib.novasr_crossover_bytes(hertz, rate, rate_out)
        self._lib, self._tables = lib, Memory(size)
        crossover = lib.novasr_crossover_make(self._tables.address, hertz, rate, rate_out)
        if not crossover:
            assert not size
            raise ValueError(f"there is no crossover of {hertz} Hz from {rate} to {rate_out} Hz")
        self.latency = lib.novasr_crossover_latency(crossover)
        self._memory = Memory(lib.novasr_crossover_state_bytes(crossover, ahead))
        self._state = lib.novasr_crossover_begin(self._memory.address, crossover, ahead)

    def push(self, x: np.ndarray, y: np.ndarray, last: bool, gain: float = 1) -> np.ndarray:
        """Take x [n] and the network's outputs y [m]; return the outputs determined now.

        Raises ValueError if one of both is too far ahead.
        """
        x, y = np.ascontiguousarray(x, np.float32), np.ascontiguousarray(y, np.float32)
        out = np.empty(self._lib.novasr_crossover_room(self._state, len(y)), np.float32)
        signals = x.ctypes.data, len(x), y.ctypes.data, len(y)
        made = self._lib.novasr_crossover_push(self._state, *signals, gain, last, out.ctypes.data)
        if made < 0:
            raise ValueError("x or y is too far ahead of the other")
        assert made <= len(out)
        return out[:made]


class Band:
    """Edge of a whole sound, as `dsp.band.edge`. Raises ValueError for what the engine refuses."""

    def __init__(self, lib: ctypes.CDLL, rate: int, channels: int) -> None:
        size = lib.novasr_band_bytes(rate, channels)
        self._lib, self._memory = lib, Memory(size)
        self._band = lib.novasr_band_begin(self._memory.address, rate, channels)
        if not self._band:
            assert not size
            raise ValueError(f"no edge is found of {channels} channels at {rate} Hz")

    def push(self, x: np.ndarray) -> None:
        """Take samples x [channels, n]."""
        for channel, row in enumerate(np.ascontiguousarray(x, np.float32)):
            self._lib.novasr_band_push(self._band, channel, row.ctypes.data, len(row))

    def edge(self) -> float | None:
        """Return the Hz at which the sound that was pushed ends; None if it has no end."""
        return self._lib.novasr_band_edge(self._band) or None


class Follow:
    """Edge of a sound that moves, as `networks.airband.follow.Follower`; edge: the first, Hz.

    Raises ValueError for what the engine refuses.
    """

    def __init__(self, lib: ctypes.CDLL, rate: int, channels: int, edge: int = 0) -> None:
        size = lib.novasr_follow_bytes(rate, channels)
        self._lib, self._memory = lib, Memory(size)
        self._follow = lib.novasr_follow_begin(self._memory.address, rate, channels, edge)
        if not self._follow:
            assert not size
            raise ValueError(f"no edge is followed of {channels} channels at {rate} Hz")

    @property
    def edge(self) -> int:
        """Hz at which the sound ends."""
        return self._lib.novasr_follow_edge(self._follow)

    def push(self, x: np.ndarray, took: Callable[[int, int], None]) -> None:
        """Take samples x [channels, n]; call took(samples, edge) after each part that it takes."""
        x, done = np.ascontiguousarray(x, np.float32), 0
        while done < x.shape[-1]:
            rows = (_POINTER * len(x))(*(row[done:].ctypes.data for row in x))
            count = self._lib.novasr_follow_push(self._follow, rows, x.shape[-1] - done)
            took(count, self.edge)
            done += count
