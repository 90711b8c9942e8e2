"""A LADSPA host in a few lines: the plugin in Python, by ctypes."""

import ctypes
from pathlib import Path

import numpy as np

_FLOAT_P = ctypes.POINTER(ctypes.c_float)


class Range(ctypes.Structure):
    _fields_ = (("hints", ctypes.c_int), ("lowest", ctypes.c_float), ("highest", ctypes.c_float))


class Descriptor(ctypes.Structure):
    """Of LADSPA 1.1, as far as it is called."""


_HANDLE, _COUNT = ctypes.c_void_p, ctypes.c_ulong
Descriptor._fields_ = (
    ("id", ctypes.c_ulong),
    ("label", ctypes.c_char_p),
    ("properties", ctypes.c_int),
    *((name, ctypes.c_char_p) for name in ("name", "maker", "copyright")),
    ("port_count", ctypes.c_ulong),
    ("ports", ctypes.POINTER(ctypes.c_int)),
    ("port_names", ctypes.POINTER(ctypes.c_char_p)),
    ("ranges", ctypes.POINTER(Range)),
    ("own", ctypes.c_void_p),
    ("instantiate", ctypes.CFUNCTYPE(_HANDLE, ctypes.POINTER(Descriptor), ctypes.c_ulong)),
    ("connect_port", ctypes.CFUNCTYPE(None, _HANDLE, ctypes.c_ulong, ctypes.c_void_p)),
    ("activate", ctypes.CFUNCTYPE(None, _HANDLE)),
    ("run", ctypes.CFUNCTYPE(None, _HANDLE, _COUNT)),
    ("run_adding", ctypes.c_void_p),
    ("set_run_adding_gain", ctypes.c_void_p),
    ("deactivate", ctypes.c_void_p),
    ("cleanup", ctypes.CFUNCTYPE(None, _HANDLE)),
)


def descriptors(path: Path) -> dict[str, Descriptor]:
    """Plugins of a library by label."""
    function = ctypes.CDLL(str(path)).ladspa_descriptor
    function.restype, function.argtypes = ctypes.POINTER(Descriptor), [ctypes.c_ulong]
    found = {}
    while pointer := function(len(found)):
        found[pointer.contents.label.decode()] = pointer.contents
    return found


class Instance:
    """A running plugin, whose controls are `edge`, `highs` and `network`."""

    def __init__(self, descriptor: Descriptor, rate: int, **controls: float) -> None:
        self._own, self._handle = descriptor, descriptor.instantiate(descriptor, rate)
        if not self._handle:
            raise ValueError(f"the plugin does not take {rate} Hz")
        self._controls = np.zeros(4, np.float32)
        self._channels = (descriptor.port_count - 4) // 2
        for i in range(4):
            self._connect(i, self._controls[i:])
        self.set(**controls)
        descriptor.activate(self._handle)

    def set(self, **controls: float) -> None:
        for name, value in controls.items():
            self._controls[("edge", "highs", "network").index(name)] = value

    def activate(self) -> None:
        self._own.activate(self._handle)

    @property
    def latency(self) -> int:
        """As the last run has put it out."""
        return int(self._controls[3])

    def connect(self, x: np.ndarray, in_place: bool = True) -> np.ndarray:
        """Connect a copy of a block x [channels, n]; give the block that the outputs come to."""
        self._x = np.array(x, np.float32, order="C", ndmin=2)
        y = self._x if in_place else np.full_like(self._x, np.nan)
        assert len(y) == self._channels
        for c in range(self._channels):
            self._connect(4 + 2 * c, self._x[c])
            self._connect(5 + 2 * c, y[c])
        return y

    def run_connected(self) -> None:
        """Run the block that is connected."""
        self._own.run(self._handle, self._x.shape[-1])

    def run(self, x: np.ndarray, in_place: bool = True) -> np.ndarray:
        """Run a block x [channels, n]; give as many samples."""
        y = self.connect(x, in_place)
        self.run_connected()
        return y

    def __call__(self, x: np.ndarray, blocks: int | list[int], in_place: bool = True) -> np.ndarray:
        """Run a sound x [channels, T] in blocks of one size, or of several in turn."""
        x, y, at = np.atleast_2d(x), [], 0
        sizes = [blocks] if isinstance(blocks, int) else blocks
        while at < x.shape[-1]:
            part = x[:, at : at + sizes[len(y) % len(sizes)]]
            y.append(self.run(part, in_place))
            at += part.shape[-1]
        return np.concatenate(y, axis=-1)

    def _connect(self, port: int, data: np.ndarray) -> None:
        self._own.connect_port(self._handle, port, data.ctypes.data)

    def __del__(self) -> None:
        if self._handle:
            self._own.cleanup(self._handle)
