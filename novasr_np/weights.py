"""Load weights from a name, a file or memory, checked against their network's table; save them."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import networks
from .atomic import atomic_write
from .checkpoint import read_checkpoint
from .errors import WeightsError
from .networks import NETWORKS, Network, Windowed
from .networks.record import Params
from .tensors import check, check_shapes, flatten, nest, read_safetensors, write_safetensors

# A name, a path, or a tree of arrays: {"conv1": {"weight": array, ...}, ...}. None: the default.
Source = str | os.PathLike[str] | Mapping[str, Any] | None

DEFAULT = "airband-1"  # of the embedded weights
LIVE = "airband-live-1"  # the same for streams, with little look-ahead

# The wheel carries the repository's weights/ as novasr_np/weights_data; a checkout has it beside.
_FOLDERS = (Path(__file__).parent / "weights_data", Path(__file__).parents[1] / "weights")


def load_weights(source: Source = None, variant: str | None = None) -> Params:
    """Load a complete, finite set of weights, ready for `forward`.

    source: the name of embedded weights; a path to a ``.safetensors`` file or to a torch checkpoint
    (``.bin``, ``.pth``, ``.ckpt``; told apart by content), with our names or the original's; to a
    folder, or a file, with FlashSR's (`networks.flashsr.load`); or a tree of arrays as this
    function returns it, which is checked and returned. None stands for the embedded `DEFAULT`.
    variant: of those that a folder of FlashSR's holds, "full", "int8" or "int4"; None for the first
    of these that is there.

    Returns a nested dict whose keys are the stages and their parameters. Files give float32,
    which holds float16 weights exactly; a tree keeps its dtypes.

    Raises WeightsError if the source is no complete set of finite weights, OSError if a file
    cannot be read, TypeError for another kind of source, ValueError for a variant of what has none.
    """
    if isinstance(source, Mapping):
        if large := networks.windowed(source):
            return large.load(source)
        tensors = flatten(source)
        network = networks.find(tensors)
        return nest(check(tensors, network.tensors, network.name))
    path = weights_path(source)
    if large := networks.windowed_at(path):
        return large.load(path, variant)
    if variant is not None:
        raise ValueError(f"{path} has no variants, but {variant} is asked for")
    tensors, _ = read_weights(path)
    return nest({k: v.astype(np.result_type(v, np.float32)) for k, v in tensors.items()})


def network_of(params: Params) -> Network:
    """The network of finite context that a tree of weights (`load_weights`) is for.

    Raises WeightsError if it is for one that hears windows, which only some doors take.
    """
    network = any_network_of(params)
    if isinstance(network, Windowed):
        raise WeightsError(
            f"these are weights of {network.name}, which hears windows of whole sounds: `upsample` "
            "takes them, and the commands upsample and corpus"
        )
    return network


def any_network_of(params: Params) -> Network | Windowed:
    """The network that a tree of weights (`load_weights`) is for, of whatever kind."""
    return networks.windowed(params) or networks.find(flatten(params))


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
        hint = ""
        if isinstance(source, int):
            hint = f"; a sampling rate goes by its name, sample_rate={source}"
        raise TypeError(f"weights are a name, a path or a tree of arrays, got {source!r}{hint}")
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
    most = max(network.max_file_bytes for network in NETWORKS.values())
    metadata: dict[str, str] = {}
    sha256 = ""
    try:
        with open(path, "rb") as file:
            begin = file.read(2)
            file.seek(0)
            if not begin:
                raise WeightsError("the file is empty")
            if begin == b"PK":
                tensors = read_checkpoint(file, most)
                sha256 = file_sha256(path)
            else:
                data = file.read(most + 1)
                if len(data) > most:
                    names = ", ".join(NETWORKS)
                    raise WeightsError(f"larger than {most} bytes, so no weights of {names}")
                tensors, metadata = read_safetensors(data)
        network = networks.find(tensors, metadata, sha256)
        if tensors.keys() & network.upstream_tensors.keys():
            tensors = _from_upstream(tensors, network)
        return check(tensors, network.tensors, network.name), metadata
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
    """Write weights as safetensors, with their network, provenance and licence in the metadata.

    dtype: what to store, float16 or float32; None takes float16 if that holds every number
    exactly, else float32. The same arguments give the same bytes.

    Raises WeightsError if `params` is no complete set of weights that is finite in that dtype,
    ValueError for another dtype, OSError if the file cannot be written.
    """
    tensors = flatten(params)
    network = networks.find(tensors)
    tensors = check(tensors, network.tensors, network.name)
    with np.errstate(over="ignore"):
        if dtype is None:
            exact = all((v.astype(np.float16) == v).all() for v in tensors.values())
            dtype = np.float16 if exact else np.float32
        if dtype not in (np.float16, np.float32):
            raise ValueError(f"weights are stored as float16 or float32, not {np.dtype(dtype)}")
        stored = {name: value.astype(dtype) for name, value in tensors.items()}
        tensors = check(stored, network.tensors, network.name)
    metadata = {"model": network.name, "provenance": provenance, "licence": licence}
    path = Path(path)
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path} exists and is no regular file")
    with atomic_write(path) as file:
        file.write(write_safetensors(tensors, metadata))


def published_as(sha256: str) -> str | None:
    """What the original's authors call the checkpoint with this hash; None if it is none."""
    return next((n.published[sha256] for n in NETWORKS.values() if sha256 in n.published), None)


def parameter_counts(tensors: Mapping[str, Any]) -> tuple[int, int]:
    """How many numbers were trained, and how many there are with the fixed filters."""
    sizes = {name: np.size(value) for name, value in tensors.items()}
    filters = sum(size for name, size in sizes.items() if name.endswith(".filter"))
    total = sum(sizes.values())
    return total - filters, total


def file_sha256(path: str | os.PathLike[str]) -> str:
    """sha256 of a file's bytes, in hex; of a folder, of its files' names and theirs."""
    digest = hashlib.sha256()
    if os.path.isdir(path):
        for inner in sorted(inner for inner in Path(path).rglob("*") if inner.is_file()):
            digest.update(f"{inner.relative_to(path)} {file_sha256(inner)}\n".encode())
        return digest.hexdigest()
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def _from_upstream(state: Mapping[str, np.ndarray], network: Network) -> dict[str, np.ndarray]:
    """The original's names and shapes to ours."""
    shapes = {key: value.shape for key, value in state.items()}
    check_shapes(shapes, network.upstream_tensors, network.name)
    return network.from_upstream(state)
