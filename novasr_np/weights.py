"""Weights from a name, a file or memory, checked against the spec; and back to a file."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import WeightsError
from .files import replacing
from .spec import TENSORS

# {"conv1": {"weight": array, ...}, "activation0": {"upsample": {"filter": array}, ...}, ...}
Params = dict[str, Any]
Source = str | os.PathLike[str] | Mapping[str, Any] | None

DEFAULT = "novasr-open"  # of the embedded weights

_MAX_FILE_BYTES = 1 << 20  # the original's files have 53 kB
_SHAPES = {
    name: shape if name.split(".")[-1] != "filter" else shape[-1:]
    for name, (_, shape) in TENSORS.items()
}
# The wheel carries the repository's weights/ as novasr_np/weights_data; a checkout has it beside.
_FOLDERS = (Path(__file__).parent / "weights_data", Path(__file__).parents[1] / "weights")


def load_weights(source: Source = None) -> Params:
    """A complete, finite set of weights, ready for `forward`.

    source: the name of embedded weights, a path to a ``.safetensors`` file of ours or to the
    original's ``.bin`` checkpoint (told apart by content), or a tree of arrays as this function
    returns it, which is checked and returned. None stands for the embedded `DEFAULT`.

    Returns a nested dict whose keys are the stages and their parameters. Files give float32,
    which holds float16 weights exactly; a tree keeps its dtypes.

    Raises WeightsError if the source is no complete set of finite weights, OSError if a file
    cannot be read.
    """
    if isinstance(source, Mapping):
        return _nest(_check(_flatten(source)))
    tensors, _ = read_weights(weights_path(source))
    return _nest({name: value.astype(np.float32) for name, value in tensors.items()})


def embedded_weights() -> dict[str, Path]:
    """Name -> path of the weights that come with the package."""
    return {path.stem: path for folder in _FOLDERS for path in sorted(folder.glob("*.safetensors"))}


def weights_path(source: str | os.PathLike[str] | None) -> Path:
    """The file behind a name, a path, or None for the embedded default.

    Raises WeightsError if there is none of that name and no such file, TypeError for other types.
    """
    if source is None:
        source = DEFAULT
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"weights are a name, a path or a tree of arrays, got {type(source)}")
    embedded = embedded_weights()
    path = embedded.get(os.fspath(source), Path(source))
    if not path.exists():
        names = ", ".join(sorted(embedded)) or "none"
        raise WeightsError(f"no weights file {str(source)!r}, nor embedded ones (there: {names})")
    return path


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors under our names in their stored dtype, and the file's metadata.

    Raises WeightsError if the file is neither a complete set in safetensors nor an original
    checkpoint, OSError if it cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read(_MAX_FILE_BYTES + 1)
    try:
        if not data:
            raise WeightsError("the file is empty")
        if len(data) > _MAX_FILE_BYTES:
            raise WeightsError(f"larger than {_MAX_FILE_BYTES} bytes, so no NovaSR weights")
        if data.startswith(b"PK"):
            from .checkpoint import read_checkpoint  # noqa: PLC0415

            metadata: dict[str, str] = {}
            tensors = _from_upstream(read_checkpoint(data))
        else:
            tensors, metadata = _read_safetensors(data)
        return _check(tensors), metadata
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def save_weights(
    params: Mapping[str, Any],
    path: str | os.PathLike[str],
    *,
    provenance: str,
    licence: str,
    dtype: np.dtype | type | None = None,
) -> None:
    """Write weights as safetensors, with where they come from and their licence in the metadata.

    dtype: what to store, float16 or float32; None takes float16 if that holds every number
    exactly, else float32. The same arguments give the same bytes.

    Raises WeightsError if `params` is no complete set of weights that is finite in that dtype,
    ValueError for another dtype, OSError if the file cannot be written.
    """
    tensors = _check(_flatten(params))
    with np.errstate(over="ignore"):
        if dtype is None:
            exact = all((v.astype(np.float16) == v).all() for v in tensors.values())
            dtype = np.float16 if exact else np.float32
        if dtype not in (np.float16, np.float32):
            raise ValueError(f"weights are stored as float16 or float32, not {np.dtype(dtype)}")
        tensors = _check({name: value.astype(dtype) for name, value in tensors.items()})
    metadata = {"model": "NovaSR", "provenance": provenance, "licence": licence}
    path = Path(path)
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path} exists and is no regular file")
    with replacing(path) as temporary:
        temporary.write_bytes(_write_safetensors(tensors, metadata))


def parameter_counts(tensors: Mapping[str, Any]) -> tuple[int, int]:
    """How many numbers were trained, and how many there are with the four fixed filters."""
    sizes = {name: np.size(value) for name, value in tensors.items()}
    filters = sum(size for name, size in sizes.items() if name.endswith(".filter"))
    total = sum(sizes.values())
    return total - filters, total


def file_sha256(path: str | os.PathLike[str]) -> str:
    """sha256 of a file's bytes, in hex."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _from_upstream(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The original's keys and shapes to ours."""
    wanted = dict(TENSORS.values())
    _compare({key: value.shape for key, value in state.items()}, wanted)
    return {name: state[key].reshape(_SHAPES[name]) for name, (key, _) in TENSORS.items()}


def _check(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The tensors in the spec's order, after making sure that they are all there and sound."""
    _compare({name: np.shape(value) for name, value in tensors.items()}, _SHAPES)
    arrays = {name: np.asarray(tensors[name]) for name in TENSORS}
    for name, value in arrays.items():
        if value.dtype not in (np.float16, np.float32, np.float64):
            raise WeightsError(f"tensor {name} is {value.dtype}; expected floating point")
        if not np.isfinite(value).all():
            raise WeightsError(f"tensor {name} holds NaN or infinity")
    return arrays


def _compare(shapes: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> None:
    if missing := wanted.keys() - shapes.keys():
        raise WeightsError(f"missing tensors: {', '.join(sorted(missing))}")
    if extra := shapes.keys() - wanted.keys():
        raise WeightsError(f"tensors that NovaSR does not have: {', '.join(sorted(extra))}")
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise WeightsError(f"tensor {name} has shape {shapes[name]}; expected {shape}")


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _nest(flat: Mapping[str, np.ndarray]) -> Params:
    tree: Params = {}
    for name, value in flat.items():
        *path, leaf = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[leaf] = value
    return tree


def _read_safetensors(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    import safetensors.numpy  # noqa: PLC0415

    try:
        tensors = safetensors.numpy.load(data)
    except KeyError as error:
        raise WeightsError(f"a tensor is of a type that numpy does not have: {error}") from error
    except safetensors.SafetensorError as error:
        raise WeightsError(f"neither a checkpoint zip nor safetensors: {error}") from error
    size = int.from_bytes(data[:8], "little")
    return tensors, json.loads(data[8 : 8 + size]).get("__metadata__", {})


def _write_safetensors(tensors: Mapping[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    import safetensors.numpy  # noqa: PLC0415

    data = safetensors.numpy.save(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()}, metadata
    )
    # The library writes metadata in random order (safetensors issue 584). Put in order, padded
    # to whole 8 bytes as the format wants it, equal weights have equal sha256.
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]
