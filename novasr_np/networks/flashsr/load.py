"""Load FlashSR's weights: the original's three files, a bundle for MLX, or one in safetensors."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...atomic import atomic_write
from ...errors import WeightsError
from ...hashing import file_sha256
from ...tensors import check_shapes, flatten, nest, unnormed
from ...tensors.checkpoint import read_checkpoint
from ...tensors.mapped import is_model, read_mapped
from ..record import Params
from .mlx import bits_of, read_bundle
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
_MOST = 1 << 31  # bytes read of one of the original's files, at most; the largest has 1.03 GB
_WIDTHS = 32  # every width is a multiple of this
WHERE = (
    "hf download jakeoneijk/FlashSR_weights --repo-type dataset --local-dir flashsr (or a bundle, "
    "aufklarer/FlashSR-MLX-4bit or -8bit), and then --weights flashsr"
)
LICENCE = "not stated by its authors"


PARTS = ("vae", "unet", "vocoder")
VARIANTS: tuple[str, ...] = (
    "full",
    "int8",
    "int4",
)  # the original's files or ours; bundles of 8 and of 4 bits

# The tensor, by any of its names, and its axis, from which a size is derived.
_TELLING = (
    ("mels", "conv_pre.weight", 1),
    ("latent", "post_quant_conv.weight", 1),
    ("latent", "out.2.weight", 0),
    ("vae", "encoder.conv_in.weight", 0),
    ("unet", "time_embed.0.weight", 1),
    ("vocoder", "conv_pre.weight", 0),
)


def load(source: str | os.PathLike[str] | Mapping[str, Any], variant: str | None = None) -> Params:
    """Load the weights as ``{"vae": tree, "unet": tree, "vocoder": tree}``, float32.

    source: a folder with the original's three files, vae.pth, student_ldm.pth and sr_vocoder.pth,
    or with a bundle of the port to MLX, config.json and model.safetensors, of 4 or 8 bits, or with
    subfolders of these; a safetensors file that `save` wrote, which stays on disk until it is used;
    or such a tree, which is checked.
    variant: one of `VARIANTS`; None for the first of them present.

    The networks' widths are derived from the tensors' shapes; the published weights have
    `spec.FULL`. The vocoder's weight normalisation is folded in float64, then rounded to float32,
    so that it takes half the memory: a computation in float64 is exact for these rounded weights.
    In the tests its stages are within 1e-6 of the original's, relative to their root mean square.

    Raises WeightsError if it is no complete, finite set of these weights: for wrong names or shapes
    before any large data is read, and with the command that downloads them if there are none;
    OSError if a file cannot be read; ValueError for another variant.
    """
    if variant is not None and variant not in VARIANTS:
        raise ValueError(f"variant must be one of {VARIANTS}, got {variant!r}")
    if isinstance(source, Mapping):
        return _checked(source)
    path = Path(source)
    if not path.exists():
        raise WeightsError(f"weights must be a folder or a safetensors file, got {path}: {WHERE}")
    path, variant = found(path, variant)
    try:
        if path.is_file():
            return _checked(nest(_own(path)))
        return _checked((_originals if variant == "full" else _bundle)(path))
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def holds(path: Path) -> bool:
    """Whether a path may hold these weights: a folder, which no others are, or a file of `save`."""
    return path.is_dir() or is_model(path, NAME)


def has_parts(names: set[str]) -> bool:
    """Whether a tree with these names at its root may be FlashSR's."""
    return names == set(PARTS)


def describe(path: Path, variant: str | None = None) -> Iterator[str]:
    """Describe files, parts and sizes, in lines, without the many tensors. Raises as `load`."""
    params = load(path, variant)
    place, kind = found(path, variant)
    for file in [place] if place.is_file() else sorted(place.iterdir()):
        if file.suffix in (".pth", ".safetensors"):
            yield f"{file.name:30} {file.stat().st_size:>16,} bytes"
            yield f"sha256      {file_sha256(file)}"
    yield f"model       {NAME}, {kind}, computed in float32"
    for part, tree in params.items():
        tensors = flatten(tree)
        total = sum(value.size for value in tensors.values())
        yield f"{part:11} {len(tensors):,} tensors, {total:,} numbers"
    yield f"licence     {LICENCE}"


def found(path: Path, variant: str | None = None) -> tuple[Path, str]:
    """Find the weights of a variant at a path: return their path and their variant.

    Raises WeightsError if there are none.
    """
    if not path.is_dir():
        if variant not in (None, "full"):
            raise WeightsError(f"{path} is no bundle, so it has no variant {variant!r}")
        return path, "full"
    there = sorted(_variants(path), key=lambda found: VARIANTS.index(found[1]))
    for place, kind in there:
        if variant in (None, kind):
            return place, kind
    if there:
        kinds = ", ".join(kind for _, kind in there)
        raise WeightsError(f"{path}: variant must be one of {kinds}, got {variant!r}")
    missing = [file.name for file in _files(path) if not file.exists()]
    raise WeightsError(f"{path}: no {' and no '.join(missing)} in it: {WHERE}")


def _variants(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield (folder, variant) of the weights in a folder and its subfolders."""
    for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        if all(map(Path.exists, _files(place))):
            yield place, "full"
        if (place / "config.json").exists() and (place / "model.safetensors").exists():
            try:
                yield place, f"int{bits_of(place)}"
            except WeightsError as error:
                raise WeightsError(f"{place}: {error}") from error


def _files(folder: Path) -> list[Path]:
    return [folder / name for name in UNUSED]


def save(params: Params, path: str | os.PathLike[str]) -> None:
    """Write all three parts as one safetensors file, float32, a tensor at a time.

    Raises WeightsError as `load`, OSError if the file cannot be written.
    """
    tensors = flatten(_checked(params))
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


def folded(state: Mapping[str, np.ndarray], dtype: Any = np.float64) -> dict[str, np.ndarray]:
    """Convert the vocoder's tensors to `spec.vocoder_tensors`; `unnormed` ones are in `dtype`.

    Raises WeightsError for other names or shapes.
    """
    shapes = {name: value.shape for name, value in state.items()}
    table = original_tensors(_sizes_of_shapes(shapes))["sr_vocoder.pth"]
    check_shapes(shapes, table, f"{NAME}'s vocoder")
    return unnormed(state, dtype)


def _sizes_of_shapes(shapes: Mapping[str, tuple[int, ...]]) -> Sizes:
    """Derive the networks' sizes from a few tensors' shapes; as published if these are missing."""
    told: dict[str, int] = {}
    for name, shape in shapes.items():
        bare = name.removesuffix("_v")
        for size, tensor, axis in _TELLING:
            if (bare == tensor or bare.endswith(f".{tensor}")) and len(shape) > axis:
                told[size] = shape[axis]
    sizes = FULL._replace(**told)
    possible = sizes.mels % 8 == 0 and all(
        width > 0 and width % _WIDTHS == 0 for width in (sizes.vae, sizes.unet, sizes.vocoder)
    )
    return sizes if possible else FULL


def _tables(sizes: Sizes) -> dict[str, Table]:
    return {
        "vae": vae_tensors(sizes),
        "unet": unet_tensors(sizes),
        "vocoder": vocoder_tensors(sizes),
    }


def _checked(parts: Mapping[str, Any]) -> Params:
    """Put the parts in the tables' order, float32, and check that every number is finite."""
    checked: Params = {}
    shapes = {name: np.shape(value) for name, value in flatten(parts).items()}
    for part, table in _tables(_sizes_of_shapes(shapes)).items():
        state = flatten(parts.get(part, {}))
        check_shapes({n: np.shape(v) for n, v in state.items()}, table, f"{NAME}'s {part}")
        for name in table:
            state[name] = np.asarray(state[name], np.float32)
            if not np.isfinite(state[name]).all():
                raise WeightsError(f"tensor {part}.{name} must be finite, got NaN or infinity")
        checked[part] = nest({name: state[name] for name in table})
    return checked


def _originals(folder: Path) -> Params:
    vae, unet, vocoder = map(_original, _files(folder))
    return {
        "vae": nest(vae),
        "unet": nest(unet)["model"],
        "vocoder": nest(folded(vocoder, np.float32)),
    }


def _original(path: Path) -> dict[str, np.ndarray]:
    """Read the tensors that are used of one of the original's files."""
    file = path.name

    def choose(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
        used = {n: shape for n, shape in shapes.items() if not n.startswith(UNUSED[file])}
        tables = original_tensors(_sizes_of_shapes(used))
        for other, table in tables.items():
            if other != file and table.keys() <= used.keys():
                raise WeightsError(f"it holds the tensors of {other}")
        check_shapes(used, tables[file], f"{NAME}'s {file}")
        return list(used)

    try:
        with open(path, "rb") as opened:
            return read_checkpoint(opened, _MOST, choose)
    except WeightsError as error:
        raise WeightsError(f"{file}: {error}") from error


def _own(path: Path) -> dict[str, np.ndarray]:
    """Map the tensors of a file that `save` wrote; they stay on disk."""
    entries, metadata = read_mapped(path)
    if metadata.get("model") != NAME:
        raise WeightsError(f"model must be {NAME!r}, got {metadata.get('model')!r}")
    shapes = {name: entry.shape for name, entry in entries.items()}
    tables = _tables(_sizes_of_shapes(shapes))
    table = {f"{part}.{name}": shape for part, t in tables.items() for name, shape in t.items()}
    check_shapes(shapes, table, NAME)
    return {name: entry.array() for name, entry in entries.items()}


# Parts' names in a bundle, and tensors that it may hold but that are never used.
_IN_BUNDLE = {"vae": "vae", "unet": "ldm", "vocoder": "voc"}
_UNUSED = "voc.audio_block.downsamples.4."


def _bundle(folder: Path) -> Params:
    def check(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
        table = {
            f"{_IN_BUNDLE[part]}.{name}": shape
            for part, tensors in _tables(_sizes_of_shapes(shapes)).items()
            for name, shape in tensors.items()
        }
        used = {name: s for name, s in shapes.items() if not name.startswith(_UNUSED)}
        check_shapes(used, table, f"a bundle of {NAME}")
        return list(used)

    tree = nest(read_bundle(folder, check))
    return {part: tree[name] for part, name in _IN_BUNDLE.items()}
