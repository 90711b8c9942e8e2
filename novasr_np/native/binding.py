"""The engine in C as a shared library, called through ctypes."""

import ctypes
from pathlib import Path

import numpy as np

_POINTER, _SIZE, _INT, _LONG = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_long
_FUNCTIONS: dict[str, tuple] = {  # of engine.h: what each gives, and what it takes
    "kind": (_INT, ctypes.c_char_p, _SIZE),
    "takes": (_INT, _INT, _INT),
    "model_bytes": (_SIZE, _INT),
    "load": (_POINTER, _POINTER, ctypes.c_char_p, _SIZE, _INT),
    "state_bytes": (_SIZE, _POINTER),
    "work_bytes": (_SIZE, _POINTER),
    "latency": (_LONG, _POINTER),
    "room": (_LONG, _POINTER, _LONG),
    "begin": (_POINTER, _POINTER, _POINTER),
    "reset": (None, _POINTER),
    "edge": (None, _POINTER, _INT),
    "gain": (None, _POINTER, ctypes.c_float),
    "push": (_LONG, _POINTER, _POINTER, _POINTER, _LONG, _INT, _POINTER),
}


def library(path: Path) -> ctypes.CDLL:
    """Load the library at `path`, which `build` makes; its functions are those of engine.h.

    Raises OSError.
    """
    loaded = ctypes.CDLL(str(path.resolve()))
    for name, (gives, *takes) in _FUNCTIONS.items():
        function = loaded[f"novasr_{name}"]
        function.restype, function.argtypes = gives, takes
        setattr(loaded, function.__name__, function)
    return loaded


class Memory:
    """`size` bytes, aligned to 64; NaN at first, so that nothing can rely on zeros."""

    def __init__(self, size: int) -> None:
        self._bytes = np.full(size + 64, 255, np.uint8)
        self.address = -(-self._bytes.ctypes.data // 64) * 64


class Model:
    """Weights prepared for one rate.

    weights: a safetensors file's bytes; rate: of the input in Hz. Raises ValueError for weights or
    a rate that the engine does not take.
    """

    def __init__(self, lib: ctypes.CDLL, weights: bytes, rate: int) -> None:
        self.lib, self.rate = lib, rate
        self.kind = lib.novasr_kind(weights, len(weights))
        self.size = lib.novasr_model_bytes(self.kind)
        self._memory = Memory(self.size)
        self.address = lib.novasr_load(self._memory.address, weights, len(weights), rate)
        if not self.address:
            raise ValueError(f"the engine does not take these weights at {rate} Hz")
        self.state_size, self.work_size = (
            size(self.address) for size in (lib.novasr_state_bytes, lib.novasr_work_bytes)
        )
        self.latency = lib.novasr_latency(self.address)  # samples


class Channel:
    """One channel of a signal, in float32, with work memory of its own unless it shares `work`.

    edge: where the sound ends, in Hz; 0 for half the rate.
    """

    def __init__(self, model: Model, edge: int = 0, work: Memory | None = None) -> None:
        self.model, self._lib = model, model.lib
        self.work = work or Memory(model.work_size)
        self._memory = Memory(model.state_size)
        self._state = self._lib.novasr_begin(self._memory.address, model.address)
        self.edge(edge)

    def edge(self, edge: int) -> None:
        """Let the sound end elsewhere from the next frame on; Hz."""
        self._lib.novasr_edge(self._state, edge)

    def gain(self, gain: float) -> None:
        """Scale what is made above the edge, from the next frame on."""
        self._lib.novasr_gain(self._state, gain)

    def push(self, x: np.ndarray, last: bool) -> np.ndarray:
        """Take samples x [n]; return the outputs that are determined now, float32."""
        x = np.ascontiguousarray(x, np.float32)
        y = np.empty(self._lib.novasr_room(self.model.address, len(x)), np.float32)
        made = self._lib.novasr_push(
            self._state, self.work.address, x.ctypes.data, len(x), last, y.ctypes.data
        )
        assert made <= len(y)
        return y[:made]

    def __call__(self, x: np.ndarray, piece: int = 4800) -> np.ndarray:
        """Run a whole signal x [T], `piece` samples at a time."""
        self._lib.novasr_reset(self._state)
        starts = range(0, max(1, len(x)), piece)
        return np.concatenate([self.push(x[i : i + piece], i + piece >= len(x)) for i in starts])
