"""Load Inflect-Nano's weights from the original's two files, or from one in safetensors."""

import os
import reprlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...atomic import atomic_write
from ...errors import WeightsError
from ...hashing import file_sha256
from ...tensors import (
    check,
    check_shapes,
    flatten,
    nest,
    read_safetensors,
    unnormed,
    write_safetensors,
)
from ...tensors.checkpoint import read_checkpoint, read_entries
from ...tensors.mapped import is_model
from ..record import Params
from .spec import (
    CONFIG,
    PUBLISHED,
    SPEAKERS,
    UNUSED,
    VARIANT,
    acoustic_tensors,
    vocoder_tensors,
)

NAME = "Inflect-Nano-v1"
_MOST = 1 << 25  # bytes; the larger of the original's files has 14 MB
VARIABLE = "NOVASR_INFLECT"
FOLDER = "inflect/weights"
FETCH = "hf download owensong/Inflect-Nano-v1 --include 'weights/*.pt' --local-dir inflect"
PARTS: dict[str, Callable[[], dict[str, tuple[int, ...]]]] = {
    "acoustic": acoustic_tensors,
    "vocoder": vocoder_tensors,
}
_WHERE = f"{FETCH}, and then --weights {FOLDER} or {VARIABLE}={FOLDER}"


def holds(source: str | os.PathLike[str] | Mapping[str, Any]) -> bool:
    """Whether a folder, by its files, a file of `save`, or a tree has these weights."""
    if isinstance(source, Mapping):
        return source.keys() == PARTS.keys()
    path = Path(source)
    return is_model(path, NAME) or any((path / name).exists() for name in PUBLISHED.values())


def load(source: str | os.PathLike[str] | Mapping[str, Any] | None = None) -> Params:
    """Load the weights as ``{"acoustic": tree, "vocoder": tree}``.

    source: a folder with the original's two files, a safetensors file that `save` wrote, or such a
    tree, which is checked; None for the path in the environment variable NOVASR_INFLECT. The
    vocoder's weight normalisation is folded in float64, and these weights stay float64. The table
    of speakers begins with the row that the original speaks with: the one that the file calls
    "mark", else the first that it names.

    Raises WeightsError if it is no complete, finite set of these weights, or the files' other
    entries ask for another network or row; with the command that downloads the weights if there are
    none; OSError if a file cannot be read.
    """
    if isinstance(source, Mapping):
        return _checked(source)
    source = source or os.environ.get(VARIABLE)
    names = " and ".join(sorted(PUBLISHED.values()))
    if not source:
        raise WeightsError(f"speech needs the weights {names}: {_WHERE}")
    path = Path(source)
    if path.is_dir():
        acoustic, vocoder = sorted(PUBLISHED.values())
        return {
            "acoustic": _original(path, acoustic, _acoustic),
            "vocoder": _original(path, vocoder, _vocoder),
        }
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
        return _checked({part: flatten(tree.get(part, {})) for part in PARTS})
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


def describe(path: Path) -> Iterator[str]:
    """Describe what is at a path, in lines: bytes, sha256, whether published, sizes of both parts.

    Raises WeightsError and OSError as `load`.
    """
    params = load(path)
    for file in map(path.joinpath, PUBLISHED.values()) if path.is_dir() else [path]:
        found = file_sha256(file)
        kind = "as published" if found in PUBLISHED else "not the published file"
        yield f"{file.name:30} {file.stat().st_size:>12,} bytes  {kind}"
        yield f"sha256      {found}"
    for part, tree in params.items():
        tensors = flatten(tree)
        total = sum(value.size for value in tensors.values())
        yield f"{part:11} {len(tensors)} tensors, {total:,} numbers"


def _checked(parts: Mapping[str, Any]) -> Params:
    if missing := PARTS.keys() - parts.keys():
        raise WeightsError(f"no {' and no '.join(sorted(missing))} weights of {NAME}")
    return {part: _part(part, flatten(parts[part])) for part in PARTS}


def _part(part: str, tensors: Mapping[str, Any]) -> Params:
    return nest(check(tensors, PARTS[part](), f"{NAME}'s {part} part"))


def _original(folder: Path, name: str, convert: Callable[[Any, Any], Params]) -> Params:
    path = folder / name
    if not path.exists():
        raise WeightsError(f"no {name} in {folder}: {_WHERE}")
    try:
        with open(path, "rb") as file:
            return convert(read_checkpoint(file, _MOST), read_entries(file))
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def _acoustic(tensors: Mapping[str, np.ndarray], entries: Mapping[str, Any]) -> Params:
    """Convert the first file: check its configuration, and put the voice's row first."""
    for field, value in _entry(entries, "config").items():
        if field != UNUSED and (field not in CONFIG or value != CONFIG[field]):
            wanted = repr(CONFIG[field]) if field in CONFIG else "absent"
            raise WeightsError(f"config's {field} must be {wanted}, got {reprlib.repr(value)}")
    params = _part("acoustic", tensors)
    speakers = _entry(entries, "speakers") or {"mark": 0}
    name = "mark" if "mark" in speakers else next(iter(speakers))
    row = speakers[name]
    if type(row) is not int or not 0 <= row < SPEAKERS:
        raise WeightsError(
            f"speakers' {name} must be a row of speaker.weight, 0 to {SPEAKERS - 1}, got "
            f"{reprlib.repr(row)}"
        )
    params["speaker"]["weight"] = np.roll(params["speaker"]["weight"], -row, axis=0)
    return params


def _vocoder(tensors: Mapping[str, np.ndarray], entries: Mapping[str, Any]) -> Params:
    """Convert the second file: check its variant, and fold its weight normalisation."""
    variant = _entry(entries, "config").get("variant", VARIANT)
    if variant != VARIANT:
        raise WeightsError(f"config's variant must be {VARIANT!r}, got {reprlib.repr(variant)}")
    return _part("vocoder", folded(tensors))


def _entry(entries: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Get a dict of a checkpoint; as in the original, one that is absent or empty is {}."""
    entry = entries.get(name) or {}
    if not isinstance(entry, dict):
        raise WeightsError(f"{name} must be a dict, got {reprlib.repr(entry)}")
    return entry


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
