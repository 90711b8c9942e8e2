"""Load Inflect-Nano's weights from the original's two files, or from one in safetensors."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...atomic import atomic_write
from ...errors import WeightsError
from ...tensors import (
    check,
    check_shapes,
    flatten,
    nest,
    read_safetensors,
    unnormed,
    write_safetensors,
)
from ...tensors.checkpoint import read_checkpoint
from ..record import Params
from .spec import PUBLISHED, acoustic_tensors, vocoder_tensors

NAME = "Inflect-Nano-v1"
_MOST = 1 << 25  # bytes; the larger of the original's files has 14 MB
VARIABLE = "NOVASR_INFLECT"
FOLDER = "inflect/weights"
FETCH = "hf download owensong/Inflect-Nano-v1 --include 'weights/*.pt' --local-dir inflect"
_WHERE = f"{FETCH}, and then --weights {FOLDER} or {VARIABLE}={FOLDER}"


def holds(path: Path) -> bool:
    """Whether a folder has one of the original's files."""
    return any((path / name).exists() for name in PUBLISHED.values())


def load(source: str | os.PathLike[str] | Mapping[str, Any] | None = None) -> Params:
    """Load the weights as ``{"acoustic": tree, "vocoder": tree}``.

    source: a folder with the original's two files, a safetensors file that `save` wrote, or such a
    tree, which is checked; None for the path in the environment variable NOVASR_INFLECT. The
    vocoder's weight normalisation is folded in float64, and these weights stay float64.

    Raises WeightsError if it is no complete, finite set of these weights, with the command that
    downloads them if there are none; OSError if a file cannot be read.
    """
    if isinstance(source, Mapping):
        return _checked(source)
    source = source or os.environ.get(VARIABLE)
    names = " and ".join(sorted(PUBLISHED.values()))
    if not source:
        raise WeightsError(f"speech needs the weights {names}: {_WHERE}")
    path = Path(source)
    if path.is_dir():
        acoustic, vocoder = (_original(path, name) for name in sorted(PUBLISHED.values()))
        return _checked({"acoustic": acoustic, "vocoder": folded(vocoder)})
    if not path.exists():
        raise WeightsError(f"weights must be a folder with {names}, got {path}: {_WHERE}")
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST + 1)
        if len(data) > _MOST:
            raise WeightsError(f"must have at most {_MOST} bytes, got more")
        tensors, metadata = read_safetensors(data)
        if metadata.get("model") != NAME:
            raise WeightsError(f"model must be {NAME!r}, got {metadata.get('model')!r}")
        tree = nest(tensors)
        return _checked({part: flatten(tree.get(part, {})) for part in ("acoustic", "vocoder")})
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def save(params: Params, path: str | os.PathLike[str]) -> None:
    """Write both parts as one safetensors file, in float32, with weight normalisation folded.

    Raises WeightsError as `load`, OSError if the file cannot be written.
    """
    tensors = {
        name: np.asarray(value, np.float32) for name, value in flatten(_checked(params)).items()
    }
    metadata = {"model": NAME, "licence": "Apache-2.0"}
    with atomic_write(Path(path)) as file:
        file.write(write_safetensors(tensors, metadata))


def describe(folder: Path) -> Iterator[str]:
    """Describe the original's two files, in lines: bytes, sha256, whether published, part sizes.

    Raises WeightsError and OSError as `load`.
    """
    params = load(folder)
    for sha256, name in PUBLISHED.items():
        data = (folder / name).read_bytes()
        found = hashlib.sha256(data).hexdigest()
        kind = "as published" if found == sha256 else "not the published file"
        yield f"{name:30} {len(data):>12,} bytes  {kind}"
        yield f"sha256      {found}"
    for part, tree in params.items():
        tensors = flatten(tree)
        total = sum(value.size for value in tensors.values())
        yield f"{part:11} {len(tensors)} tensors, {total:,} numbers"


def _checked(parts: Mapping[str, Any]) -> Params:
    tables = {"acoustic": acoustic_tensors(), "vocoder": vocoder_tensors()}
    if missing := tables.keys() - parts.keys():
        raise WeightsError(f"no {' and no '.join(sorted(missing))} weights of {NAME}")
    return {
        part: nest(check(flatten(parts[part]), table, f"{NAME}'s {part} part"))
        for part, table in tables.items()
    }


def _original(folder: Path, name: str) -> dict[str, np.ndarray]:
    path = folder / name
    if not path.exists():
        raise WeightsError(f"no {name} in {folder}: {_WHERE}")
    try:
        with open(path, "rb") as file:
            return read_checkpoint(file, _MOST)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def folded(
    state: Mapping[str, np.ndarray], table: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, np.ndarray]:
    """Convert the vocoder's tensors to those of `vocoder_tensors`; `unnormed` ones are float64.

    table: for a vocoder of another size. Raises WeightsError for other names or shapes.
    """
    table = vocoder_tensors() if table is None else table
    wanted: dict[str, tuple[int, ...]] = {}
    for name, shape in table.items():
        if name.endswith(".log_alpha"):
            wanted[name] = (1, *shape, 1)
        elif name.endswith(".weight"):
            wanted |= {f"{name}_v": shape, f"{name}_g": (shape[0], 1, 1)}
        else:
            wanted[name] = shape
    shapes = {name: value.shape for name, value in state.items()}
    check_shapes(shapes, wanted, f"{NAME}'s vocoder")
    made = unnormed(state)
    return {name: made[name].reshape(shape) for name, shape in table.items()}
