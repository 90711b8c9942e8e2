"""Read and write safetensors files that fit into memory, as bytes."""

import json
from collections.abc import Mapping

import numpy as np

from ..errors import WeightsError


def read_safetensors(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read the tensors and the metadata in a file's bytes. Raises WeightsError."""
    import safetensors.numpy  # noqa: PLC0415

    try:
        tensors = safetensors.numpy.load(data)
    except KeyError as error:
        raise WeightsError(f"a tensor has a type that numpy does not have: {error}") from error
    except safetensors.SafetensorError as error:
        raise WeightsError(f"neither a checkpoint zip nor safetensors: {error}") from error
    size = int.from_bytes(data[:8], "little")
    return tensors, json.loads(data[8 : 8 + size]).get("__metadata__", {})


def write_safetensors(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Make a file's bytes; equal tensors and metadata give equal bytes."""
    import safetensors.numpy  # noqa: PLC0415

    data = safetensors.numpy.save(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()}, dict(metadata)
    )
    # The library writes metadata in random order (safetensors issue 584). Sorted, and padded to
    # a multiple of 8 bytes as the format requires, equal weights have equal sha256.
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]
