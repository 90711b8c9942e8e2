"""Load weights from a name, a file or memory, checked against their network's table; save them."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import networks
from .atomic import atomic_write
from .errors import WeightsError
from .hashing import file_sha256
from .networks import NETWORKS, Network
from .networks.record import Params
from .tensors import check, check_shapes, flatten, nest, read_safetensors, write_safetensors
from .tensors.checkpoint import read_checkpoint


@dataclass(frozen=True, eq=False)
class Weights:
    """A network, and a tree of weights for it: {"conv1": {"weight": array, ...}, ...}."""

    network: Network
    params: Params

    def __reduce__(self) -> tuple:
        return _restored, (self.network.name, self.params)  # a record has functions in it


def _restored(name: str, params: Params) -> Weights:
    return Weights(NETWORKS[name], params)


# A name, a path, a tree of arrays, or loaded weights. None: the default.
Source = str | os.PathLike[str] | Mapping[str, Any] | Weights | None

DEFAULT = "airband-1"  # of the embedded weights
LIVE = "airband-live-1"  # the same for streams, with little look-ahead


def default_network() -> Network:
    """The network that the weights `DEFAULT` are for."""
    return next(n for n in NETWORKS.values() if n.weights.default == DEFAULT)


# The wheel carries the repository's weights/ as novasr_np/weights_data; a checkout has it beside.
_FOLDERS = (Path(__file__).parent / "weights_data", Path(__file__).parents[1] / "weights")


def load_weights(source: Source = None, variant: str | None = None) -> Weights:
    """Load a complete, finite set of weights, and find the network that they are for.

    source: the name of embedded weights, or of a network, which stands for its default ones; a path
    to a ``.safetensors`` file or to a torch checkpoint (``.bin``, ``.pth``, ``.ckpt``; told apart
    by content), with our names or the original's; to a folder, or a file, of a network that keeps
    its weights in several (FlashSR); a tree of arrays, which is checked; or what this function
    returns. None stands for the embedded `DEFAULT`. variant: of those that a folder holds, for
    FlashSR "full", "int8" or "int4"; None for the first of these that is there.

    The params are a nested dict whose keys are the stages and their parameters. Files give float32,
    which holds float16 weights exactly; a tree keeps its dtypes.

    Raises WeightsError if the source is no complete set of finite weights, OSError if a file
    cannot be read, TypeError for another kind of source, ValueError for a variant of what has none.
    """
    if isinstance(source, Weights):
        return source
    if isinstance(source, Mapping):
        tensors = flatten(source)
        network = networks.find(tensors)
        if network.weights.store:
            return Weights(network, network.weights.store.load(source))
        return Weights(network, nest(check(tensors, network.weights.tensors, network.name)))
    path = weights_path(source)
    if (large := networks.stored_at(path)) and large.weights.store:
        return Weights(large, large.weights.store.load(path, variant))
    if variant is not None:
        raise ValueError(f"{path} has no variants, but {variant} is asked for")
    network, tensors, _ = read_weights(path)
    widened = {k: v.astype(np.result_type(v, np.float32)) for k, v in tensors.items()}
    return Weights(network, nest(widened))


def as_weights(source: Source) -> Weights:
    """Loaded weights, or, of a tree, its network by the tensors' names; no value is looked at.

    So the values may be traced ones of JAX. Raises as `load_weights`.
    """
    if isinstance(source, Mapping):
        return Weights(networks.find(flatten(source)), dict(source))
    return load_weights(source)


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
    embedded, name = embedded_weights(), os.fspath(source)
    path = embedded.get(name, Path(source))
    if not path.exists():
        if not (network := networks.called(name)):
            there = ", ".join(sorted(embedded)) or "none"
            raise WeightsError(f"no weights file {name!r}, nor embedded ones (there: {there})")
        if network.weights.default not in embedded:
            raise WeightsError(
                f"no {name}: {network.name} has no embedded weights: {network.weights.where}"
            )
        path = embedded[network.weights.default]
    return path


def read_weights(
    path: str | os.PathLike[str],
) -> tuple[Network, dict[str, np.ndarray], dict[str, str]]:
    """The network, its tensors under our names in their stored dtype, and the file's metadata.

    Raises WeightsError if the file is neither a complete set in safetensors nor an original
    checkpoint, OSError if it cannot be read.
    """
    most = max(network.weights.max_bytes for network in NETWORKS.values())
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
        if tensors.keys() & network.weights.upstream.keys():
            tensors = _from_upstream(tensors, network)
        return network, check(tensors, network.weights.tensors, network.name), metadata
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def save_weights(
    weights: Source,
    path: str | os.PathLike[str],
    *,
    provenance: str,
    licence: str,
    dtype: np.dtype | type | None = None,
) -> None:
    """Write weights as safetensors, with their network, provenance and licence in the metadata.

    weights: as for `load_weights`. dtype: what to store, float16 or float32; None takes float16 if
    that holds every number exactly, else float32. The same arguments give the same bytes. Weights
    of a network that keeps them in a `Store` are written in float32, with its own metadata.

    Raises WeightsError if they are no complete set that is finite in that dtype, ValueError for
    another dtype, OSError if the file cannot be written.
    """
    loaded = load_weights(weights)
    network = loaded.network
    path = Path(path)
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path} exists and is no regular file")
    if network.weights.store:
        network.weights.store.save(loaded.params, path)
        return
    tensors = flatten(loaded.params)
    with np.errstate(over="ignore"):
        if dtype is None:
            exact = all((v.astype(np.float16) == v).all() for v in tensors.values())
            dtype = np.float16 if exact else np.float32
        if dtype not in (np.float16, np.float32):
            raise ValueError(f"weights are stored as float16 or float32, not {np.dtype(dtype)}")
        stored = {name: value.astype(dtype) for name, value in tensors.items()}
        tensors = check(stored, network.weights.tensors, network.name)
    metadata = {"model": network.name, "provenance": provenance, "licence": licence}
    with atomic_write(path) as file:
        file.write(write_safetensors(tensors, metadata))


def convert_weights(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    variant: str | None = None,
    licence: str | None = None,
) -> Network:
    """Write the original's weights at a path as one safetensors file of ours; give their network.

    licence: goes into the file; None where it is known, of published checkpoints.

    Raises ValueError if it is not known or the target is the source; as `load_weights` and
    `save_weights`.
    """
    if os.path.exists(target) and os.path.samefile(source, target):
        raise ValueError(f"{target} would replace its own input")
    loaded = load_weights(Path(source), variant)
    network, provenance = loaded.network, ""
    if network.weights.store is None:
        sha256 = file_sha256(source)
        published = network.weights.published.get(sha256)
        licence = licence or (network.weights.licence if published else None)
        if not licence:
            raise ValueError(f"{source} is no published checkpoint: give its --licence")
        provenance = f"{published or 'checkpoint'}, converted from sha256 {sha256}"
    save_weights(loaded, target, provenance=provenance, licence=licence or "")
    return network


def describe_weights(
    source: str | os.PathLike[str] | None, variant: str | None = None
) -> Iterator[str]:
    """Lines on the weights at a name or path: tensors, counts, hashes, metadata.

    Raises as `load_weights`.
    """
    path = weights_path(source)
    if (large := networks.stored_at(path)) and large.weights.store:
        yield from large.weights.store.describe(path, variant)
        return
    network, tensors, metadata = read_weights(path)
    sha256 = file_sha256(path)
    for name, value in tensors.items():
        shape = " x ".join(map(str, value.shape))
        yield f"{name:30} {shape:12} {value.dtype}  {value.min():+.4f} .. {value.max():+.4f}"
    trained, total = parameter_counts(tensors)
    yield f"parameters  {trained:,} trained, {total:,} with the filters"
    yield f"sha256      {sha256}"
    if published := network.weights.published.get(sha256):
        yield f"published   {published}"
    for key, text in sorted(metadata.items()):
        yield f"{key:11} {text}"


def parameter_counts(tensors: Mapping[str, Any]) -> tuple[int, int]:
    """How many numbers were trained, and how many there are with the fixed filters."""
    sizes = {name: np.size(value) for name, value in tensors.items()}
    filters = sum(size for name, size in sizes.items() if name.endswith(".filter"))
    total = sum(sizes.values())
    return total - filters, total


def _from_upstream(state: Mapping[str, np.ndarray], network: Network) -> dict[str, np.ndarray]:
    """The original's names and shapes to ours."""
    shapes = {key: value.shape for key, value in state.items()}
    check_shapes(shapes, network.weights.upstream, network.name)
    return network.weights.from_upstream(state)
