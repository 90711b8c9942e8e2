"""Load FlashSR's weights: the original's three files, a bundle for MLX, or one in safetensors."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...atomic import atomic_write
from ...checkpoint import read_checkpoint
from ...errors import WeightsError
from ...layers import weight_norm
from ...tensors import flatten, nest
from ..record import Params
from .mapped import read_mapped
from .mlx import read_bundle
from .spec import (
    FULL,
    UNUSED,
    Sizes,
    Table,
    original_tensors,
    unet_tensors,
    vae_tensors,
    vocoder_tensors,
)

NAME = "FlashSR"
_VARIABLE = "NOVASR_FLASHSR"
_MOST = 1 << 31  # bytes that are read of one of the original's files; the largest has 1.03 GB
_MISSING = (
    "hf download jakeoneijk/FlashSR_weights --repo-type dataset --local-dir flashsr, and then "
    f"--weights flashsr or {_VARIABLE}=flashsr"
)


def load(
    source: str | os.PathLike[str] | Mapping[str, Any] | None = None, sizes: Sizes = FULL
) -> Params:
    """The weights as ``{"vae": tree, "unet": tree, "vocoder": tree}``, float32.

    source: a folder with the original's three files, vae.pth, student_ldm.pth and sr_vocoder.pth,
    or with a bundle of the port to MLX, config.json and model.safetensors, of 4 or 8 bits; a
    safetensors file that `save` wrote, which stays on disk until it is used; or such a
    tree, which is checked; None for what the environment variable NOVASR_FLASHSR names.

    Raises WeightsError if it is no complete, finite set of these weights, before anything of their
    size is read where names or shapes are not theirs, and says where they are to be had if there
    are none; OSError if a file cannot be read.
    """
    if isinstance(source, Mapping):
        return _checked(source, sizes)
    source = source or os.environ.get(_VARIABLE)
    if not source:
        raise WeightsError(f"{NAME} needs weights: {_MISSING}")
    path = Path(source)
    if not path.exists():
        raise WeightsError(f"no {path}; it has to be a folder or a safetensors file: {_MISSING}")
    try:
        if path.is_dir():
            bundled = (path / "config.json").exists()
            return _checked((_bundle if bundled else _originals)(path, sizes), sizes)
        return _checked(nest(_own(path, sizes)), sizes)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def save(params: Params, path: str | os.PathLike[str], sizes: Sizes = FULL) -> None:
    """Write all three parts as one safetensors file, float32, a tensor at a time.

    Raises WeightsError as `load`, OSError if the file cannot be written.
    """
    tensors = flatten(_checked(params, sizes))
    header: dict[str, Any] = {"__metadata__": {"model": NAME, "licence": "not stated"}}
    end = 0
    for name, value in tensors.items():
        begin, end = end, end + value.size * 4
        header[name] = {"dtype": "F32", "shape": value.shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with atomic_write(Path(path)) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for value in tensors.values():
            file.write(np.ascontiguousarray(value, "<f4").tobytes())


def folded(state: Mapping[str, np.ndarray], sizes: Sizes = FULL) -> dict[str, np.ndarray]:
    """The vocoder's tensors as in `spec.vocoder_tensors`, in float64 where they are folded.

    By `weight_norm`, whose first axis is the input's channels for the transposed convolutions.
    Raises WeightsError for other names or shapes.
    """
    shapes = {name: value.shape for name, value in state.items()}
    check_table(shapes, original_tensors(sizes)["sr_vocoder.pth"], f"{NAME}'s vocoder")
    made = {}
    for name in vocoder_tensors(sizes):
        if name in state:
            made[name] = state[name]
        else:
            with np.errstate(invalid="ignore"):  # NaN, where v is 0, is found when all is checked
                made[name] = weight_norm(state[f"{name}_v"], state[f"{name}_g"])
    return made


def check_table(shapes: Mapping[str, tuple[int, ...]], table: Table, what: str) -> None:
    """Raise WeightsError, in a line, unless names and shapes are those of the table."""
    missing = [name for name in table if name not in shapes]
    extra = [name for name in shapes if name not in table]
    for names, words in ((missing, "lacks"), (extra, "has, and should not have,")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise WeightsError(f"{what} {words} the tensor {names[0]}{more}")
    for name, shape in table.items():
        if tuple(shapes[name]) != shape:
            raise WeightsError(f"tensor {name} has shape {tuple(shapes[name])}; expected {shape}")


def _tables(sizes: Sizes) -> dict[str, Table]:
    return {
        "vae": vae_tensors(sizes),
        "unet": unet_tensors(sizes),
        "vocoder": vocoder_tensors(sizes),
    }


def _checked(parts: Mapping[str, Any], sizes: Sizes) -> Params:
    """The parts in the tables' order, float32, every number finite."""
    checked: Params = {}
    for part, table in _tables(sizes).items():
        state = flatten(parts.get(part, {}))
        check_table({n: np.shape(v) for n, v in state.items()}, table, f"{NAME}'s {part}")
        for name in table:
            state[name] = np.asarray(state[name], np.float32)
            if not np.isfinite(state[name]).all():
                raise WeightsError(f"tensor {part}.{name} holds NaN or infinity")
        checked[part] = nest({name: state[name] for name in table})
    return checked


def _originals(folder: Path, sizes: Sizes) -> Params:
    tables = original_tensors(sizes)
    if missing := [file for file in tables if not (folder / file).exists()]:
        raise WeightsError(f"no {' and no '.join(missing)} in it: {_MISSING}")
    vae, unet, vocoder = (_original(folder / file, tables) for file in tables)
    return {
        "vae": nest(vae),
        "unet": nest(unet)["model"],
        "vocoder": nest(folded(vocoder, sizes)),
    }


def _original(path: Path, tables: Mapping[str, Table]) -> dict[str, np.ndarray]:
    """What is used of one of the original's files."""
    file = path.name

    def choose(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
        used = {n: shape for n, shape in shapes.items() if not n.startswith(UNUSED[file])}
        for other, table in tables.items():
            if other != file and table.keys() <= used.keys():
                raise WeightsError(f"it holds the tensors of {other}")
        check_table(used, tables[file], "it")
        return list(used)

    try:
        with open(path, "rb") as opened:
            return read_checkpoint(opened, _MOST, choose)
    except WeightsError as error:
        raise WeightsError(f"{file}: {error}") from error


def _own(path: Path, sizes: Sizes) -> dict[str, np.ndarray]:
    """The tensors of a file that `save` wrote, each still on disk."""
    entries, metadata = read_mapped(path)
    if metadata.get("model") != NAME:
        raise WeightsError(f"weights of {metadata.get('model')!r}, expected {NAME!r}")
    table = {f"{part}.{name}": s for part, t in _tables(sizes).items() for name, s in t.items()}
    check_table({name: entry.shape for name, entry in entries.items()}, table, NAME)
    return {name: entry.array() for name, entry in entries.items()}


# Parts' names in a bundle, and what it may hold that is never called.
_IN_BUNDLE = {"vae": "vae", "unet": "ldm", "vocoder": "voc"}
_UNUSED = "voc.audio_block.downsamples.4."


def _bundle(folder: Path, sizes: Sizes) -> Params:
    table = {
        f"{_IN_BUNDLE[part]}.{name}": shape
        for part, shapes in _tables(sizes).items()
        for name, shape in shapes.items()
    }

    def check(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
        used = {name: s for name, s in shapes.items() if not name.startswith(_UNUSED)}
        check_table(used, table, "the bundle")
        return list(used)

    tree = nest(read_bundle(folder, check))
    return {part: tree[name] for part, name in _IN_BUNDLE.items()}
