"""The engine in C as a shared library, built for this processor, for tests and benchmarks."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np

from bench.wasm import ENGINE

BLOCK = 4800  # samples of a push, at most
_FLAGS = (
    "-std=c11",
    "-O3",
    "-march=native",
    "-ffp-contract=fast",
    "-Wno-psabi",
    "-fPIC",
    "-shared",
)


def library(folder: Path) -> ctypes.CDLL:
    """Build the engine in a folder, and load it. Raises subprocess.CalledProcessError."""
    target = folder / "libnovasr.so"
    compiler = shutil.which("clang") or "cc"
    subprocess.run([compiler, *_FLAGS, "-o", str(target), str(ENGINE)], check=True)
    lib = ctypes.CDLL(str(target))
    pointer, size, number = ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int
    lib.novasr_kind.argtypes = [ctypes.c_char_p, size]
    lib.novasr_memory.restype = size
    lib.novasr_open.argtypes = [pointer, ctypes.c_char_p, size, number, number]
    lib.novasr_edge.argtypes = [pointer, number]
    lib.novasr_reset.argtypes = [pointer]
    lib.novasr_latency.restype = ctypes.c_long
    lib.novasr_room.argtypes = [number, number, ctypes.c_long]
    lib.novasr_room.restype = ctypes.c_long
    lib.novasr_push.argtypes = [pointer, pointer, ctypes.c_long, number, pointer]
    lib.novasr_push.restype = ctypes.c_long
    return lib


class Engine:
    """Engine of one channel.

    weights: a safetensors file's bytes; rate: of the input in Hz; edge: in bins of 50 Hz, 0 for
    half the rate. Raises ValueError for weights or a rate that the engine does not take.
    """

    def __init__(self, lib: ctypes.CDLL, weights: bytes, rate: int = 16_000, edge: int = 0) -> None:
        self._lib, self._rate = lib, rate
        self.kind = lib.novasr_kind(weights, len(weights))
        self._room = np.full(lib.novasr_memory(self.kind) + 64, 255, np.uint8)
        self._memory = -(-self._room.ctypes.data // 64) * 64
        if not lib.novasr_open(self._memory, weights, len(weights), rate, edge):
            raise ValueError(f"the engine does not take these weights at {rate} Hz")

    def push(self, x: np.ndarray, last: bool) -> np.ndarray:
        """Take at most `BLOCK` samples x [n]; return the outputs that are determined now."""
        x = np.ascontiguousarray(x, np.float32)
        y = np.empty(self._lib.novasr_room(self.kind, self._rate, len(x)), np.float32)
        made = self._lib.novasr_push(self._memory, x.ctypes.data, len(x), last, y.ctypes.data)
        assert made <= len(y)
        return y[:made]

    def edge(self, edge: int) -> None:
        """Let the sound end at another bin from the next frame on."""
        self._lib.novasr_edge(self._memory, edge)

    def __call__(self, x: np.ndarray, piece: int = BLOCK) -> np.ndarray:
        """Run a whole sound x [T], `piece` samples at a time."""
        self._lib.novasr_reset(self._memory)
        starts = range(0, max(1, len(x)), piece)
        return np.concatenate([self.push(x[i : i + piece], i + piece >= len(x)) for i in starts])
