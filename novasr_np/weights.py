"""Load weights from a name, a file or memory, checked against their network's table; save them."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from . import networks
from .atomic import atomic_write
from .errors import WeightsError
from .hashing import file_sha256
from .networks import NETWORKS, Network
from .networks.record import Params
from .tensors import (
    check,
    check_shapes,
    dequantise,
    flatten,
    nest,
    quantise,
    read_safetensors,
    write_safetensors,
)
from .tensors.checkpoint import read_checkpoint


@dataclass(frozen=True, eq=False)
class Weights:
    """Network, and a tree of weights for it: {"conv1": {"weight": array, ...}, ...}."""

    network: Network
    params: Params

    def __reduce__(self) -> tuple:
        return _restored, (self.network.name, self.params)  # a record's functions do not pickle


def _restored(name: str, params: Params) -> Weights:
    return Weights(NETWORKS[name], params)


# A name, a path, a tree of arrays, or loaded weights. None: the default.
WeightsLike = str | os.PathLike[str] | Mapping[str, Any] | Weights | None

DEFAULT = "airband-2"  # of the embedded weights
LIVE = "airband-live-2"  # the same for streams, with little look-ahead


def default_network() -> Network:
    """The network that the weights `DEFAULT` are for."""
    return next(n for n in NETWORKS.values() if n.weights.default == DEFAULT)


# The wheel carries the repository's weights/ as novasr_np/weights_data; a checkout has it beside.
_FOLDERS = (Path(__file__).parent / "weights_data", Path(__file__).parents[1] / "weights")


def load_weights(source: WeightsLike = None, variant: str | None = None) -> Weights:
    """Load a complete, finite set of weights, and find the network that they are for.

    source: the name of embedded weights, or of a network, for its default ones; the path of a
    ``.safetensors`` file or a torch checkpoint (``.bin``, ``.pth``, ``.ckpt``; recognised by
    content), with our names or the original's; the path of a folder, or a file, of a network with
    weights in several files (FlashSR); a tree of arrays, which is checked; or loaded weights. None
    is the embedded `DEFAULT`. variant: set of weights in a folder, for FlashSR "full", "int8" or
    "int4", None for the first of these present; or network of a checkpoint, for SpeechSR "48k" or
    "24k", which only the published files and ours say themselves.

    The params are a nested dict whose keys are the stages and their parameters. Files give float32,
    which holds float16 weights exactly, but float64 where SpeechSR's weight normalisation is
    multiplied out; a tree keeps its dtypes. FlashSR's weights are float32 in any case.

    Raises WeightsError if the source is no complete set of finite weights, or needs a variant;
    OSError if a file cannot be read, TypeError for another kind of source, ValueError for a variant
    that the weights do not have.
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
    network, tensors, _ = read_weights(path, variant)
    widened = {k: v.astype(np.result_type(v, np.float32)) for k, v in tensors.items()}
    return Weights(network, nest(widened))


def as_weights(source: WeightsLike) -> Weights:
    """Load weights, but for a tree find only its network, by the tensors' names.

    The values of a tree are not looked at, so they may be traced by JAX. Raises as `load_weights`.
    """
    if isinstance(source, Mapping):
        return Weights(networks.find(flatten(source)), dict(source))
    return load_weights(source)


def embedded_weights() -> dict[str, Path]:
    """Names and paths of the weights that come with the package."""
    return {path.stem: path for folder in _FOLDERS for path in sorted(folder.glob("*.safetensors"))}


def weights_path(source: str | os.PathLike[str] | None) -> Path:
    """Find the file of weights given by name or path; None for the embedded default.

    Raises WeightsError if there are no weights of that name and no such file, TypeError for
    another type.
    """
    if source is None:
        source = DEFAULT
    if not isinstance(source, (str, os.PathLike)):
        hint = ""
        if isinstance(source, Real):
            hint = f"; give a sampling rate by name, sample_rate={source}"
        raise TypeError(f"weights must be a name, a path or a tree of arrays, got {source!r}{hint}")
    embedded, name = embedded_weights(), os.fspath(source)
    path = embedded.get(name, Path(source))
    if not path.exists():
        if not (network := networks.called(name)):
            there = ", ".join(sorted(embedded)) or "none"
            raise WeightsError(f"weights must be a file or one of {there}, got {name!r}")
        if network.weights.default not in embedded:
            raise WeightsError(
                f"no {name}: {network.name} has no embedded weights: {network.weights.where}"
            )
        path = embedded[network.weights.default]
    return path


def read_weights(
    path: str | os.PathLike[str], variant: str | None = None
) -> tuple[Network, dict[str, np.ndarray], dict[str, str]]:
    """Read a file: the network, its tensors under our names, and the metadata.

    Tensors are as stored, float16 or float32; those in int8 are multiplied by their scales.

    variant: as for `load_weights`. Raises WeightsError if the file is neither a complete set in
    safetensors nor an original checkpoint, OSError if it cannot be read, ValueError for a variant
    that it does not have.
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
                    raise WeightsError(
                        f"weights of {names} must have at most {most} bytes, got more"
                    )
                stored, metadata = read_safetensors(data)
                tensors = dequantise(stored)
        network = networks.find(tensors, metadata, sha256, variant)
        if variant not in (None, network.weights.variant):
            raise ValueError(
                f"{path} is for {network.name}, so variant must be {network.weights.variant}, got "
                f"{variant!r}"
            )
        if tensors.keys() & network.weights.upstream.keys():
            tensors = _from_upstream(tensors, network)
        return network, check(tensors, network.weights.tensors, network.name), metadata
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def save_weights(
    weights: WeightsLike,
    path: str | os.PathLike[str],
    *,
    provenance: str,
    licence: str,
    dtype: np.dtype | type | str | None = None,
) -> None:
    """Write weights as safetensors, with their network, provenance and licence in the metadata.

    weights: as for `load_weights`. dtype: float16 or float32, as stored; None for float16 if that
    holds every number exactly, else float32; int8 for matrices rounded to 8 bits, with a scale for
    each output channel (`tensors.quantise`), and the rest as with None. The same arguments give the
    same bytes. A network that has a `Store` writes its weights in float32, with its own metadata.

    Raises WeightsError if they are no complete set that is finite in that dtype, ValueError for
    another dtype, OSError if the file cannot be written.
    """
    loaded = load_weights(weights)
    network = loaded.network
    path = Path(path)
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path} exists and is no regular file")
    if network.weights.store:
        if dtype is not None:
            raise ValueError(f"dtype must be None for {network.name}, got {np.dtype(dtype)}")
        network.weights.store.save(loaded.params, path)
        return
    tensors, codes = flatten(loaded.params), {}
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype is not None and np.dtype(dtype) == np.int8:
            codes, dtype = quantise(tensors), None
        rest = {name: value for name, value in tensors.items() if name not in codes}
        if dtype is None:
            exact = all((v.astype(np.float16) == v).all() for v in rest.values())
            dtype = np.float16 if exact else np.float32
        if np.dtype(dtype) not in (np.float16, np.float32):
            raise ValueError(f"dtype must be float16, float32 or int8, got {np.dtype(dtype)}")
        stored = {name: value.astype(dtype) for name, value in rest.items()} | codes
        check(dequantise(stored), network.weights.tensors, network.name)
    metadata = {"model": network.name, "provenance": provenance, "licence": licence}
    with atomic_write(path) as file:
        file.write(write_safetensors(stored, metadata))


def convert_weights(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    variant: str | None = None,
    licence: str | None = None,
    dtype: np.dtype | type | str | None = None,
) -> Network:
    """Write the original's weights, or ours, as one safetensors file; return their network.

    source: a name or a path. licence: of the weights, noted in the file; may be None for a
    published checkpoint, whose licence is known, and for a file that states one. dtype: as for
    `save_weights`.

    Raises ValueError for a missing licence, or a target that is the source, and errors as
    `load_weights` and `save_weights` do.
    """
    source = weights_path(source)
    if os.path.exists(target) and os.path.samefile(source, target):
        raise ValueError(f"the target must be another file than the source, got {target}")
    loaded = load_weights(source, variant)
    network, provenance = loaded.network, ""
    if network.weights.store is None:
        sha256, (_, _, metadata) = file_sha256(source), read_weights(source, variant)
        published = network.weights.published.get(sha256)
        known = network.weights.licence if published else metadata.get("licence")
        licence = licence or known
        if not licence:
            raise ValueError(
                f"{source} is no published checkpoint and states no licence: give --licence"
            )
        origin = published or metadata.get("provenance") or "checkpoint"
        provenance = f"{origin}, converted from sha256 {sha256}"
    save_weights(loaded, target, provenance=provenance, licence=licence or "", dtype=dtype)
    return network


def describe_weights(
    source: str | os.PathLike[str] | None, variant: str | None = None
) -> Iterator[str]:
    """Describe the weights at a name or path, in lines: tensors, counts, hashes, metadata.

    Raises as `load_weights`.
    """
    path = weights_path(source)
    if (large := networks.stored_at(path)) and large.weights.store:
        yield from large.weights.store.describe(path, variant)
        return
    network, tensors, metadata = read_weights(path, variant)
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
    """Number of trained parameters, and number with the fixed filters."""
    sizes = {name: np.size(value) for name, value in tensors.items()}
    filters = sum(size for name, size in sizes.items() if name.endswith(".filter"))
    total = sum(sizes.values())
    return total - filters, total


def _from_upstream(state: Mapping[str, np.ndarray], network: Network) -> dict[str, np.ndarray]:
    """Convert the original's names and shapes to ours."""
    shapes = {key: value.shape for key, value in state.items()}
    check_shapes(shapes, network.weights.upstream, network.name)
    return network.weights.from_upstream(state)
