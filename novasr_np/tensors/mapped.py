"""Map safetensors files that are too large to read: tensors stay on disk until used."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import WeightsError

_DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "U32": "<u4"}
_MOST = 1 << 24  # bytes of a header


class Entry(NamedTuple):
    """Tensor of a file."""

    kind: str  # the format's name of the type: F32, F16, BF16 or U32
    shape: tuple[int, ...]
    raw: np.ndarray  # its bytes, mapped

    def array(self) -> np.ndarray:
        """Convert to float32, or uint32; stays on disk if it is stored as that."""
        values = self.raw.view(_DTYPES[self.kind]).reshape(self.shape)
        if self.kind == "BF16":  # the upper half of a float32
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.uint32 if self.kind == "U32" else np.float32, copy=False)


def is_model(path: Path, name: str) -> bool:
    """Whether a file is in safetensors and its metadata name that model."""
    try:
        return _header(path)[0].get("__metadata__", {}).get("model") == name
    except (WeightsError, OSError, AttributeError):
        return False


def read_mapped(path: Path) -> tuple[dict[str, Entry], dict[str, str]]:
    """Map the tensors of a file, and read its metadata; only the header is read.

    Raises WeightsError unless the tensors are of the four kinds and fill the file, OSError if it
    cannot be read.
    """
    header, begin = _header(path)
    metadata = header.pop("__metadata__", None) or {}
    data = np.memmap(path, np.uint8, "r")[begin:]
    entries = {name: _entry(name, given, data) for name, given in header.items()}
    total = sum(entry.raw.size for entry in entries.values())
    if total != data.size:
        raise WeightsError(
            f"not a complete file: its tensors must have {total} bytes, got {data.size}"
        )
    return entries, metadata


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """Read a file's header, and the position at which its data begin."""
    try:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if 0 < size <= _MOST else None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise WeightsError(f"not a safetensors file: {error}") from error
    if not isinstance(header, dict):
        raise WeightsError("not a safetensors file")
    return header, 8 + size


def _entry(name: str, given: Any, data: np.ndarray) -> Entry:
    try:
        kind, shape, (begin, end) = given["dtype"], tuple(given["shape"]), given["data_offsets"]
        whole = all(type(n) is int and n >= 0 for n in (*shape, begin, end))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"the header does not describe tensor {name!r}") from error
    if kind not in _DTYPES:
        raise WeightsError(f"tensor {name!r} must be one of {', '.join(_DTYPES)}, got {kind!r}")
    if not whole or end - begin != math.prod(shape) * np.dtype(_DTYPES[kind]).itemsize:
        raise WeightsError(f"the header does not describe tensor {name!r}")
    if end > data.size:
        raise WeightsError(
            f"not a complete file: tensor {name!r} ends at byte {end} of the data, which has "
            f"{data.size}"
        )
    return Entry(kind, shape, data[begin:end])
