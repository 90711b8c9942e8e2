"""What several test files make: programs in C, checkpoints as torch writes them, and drawn weights.

The reference outputs of FlashSR and of Inflect-Nano were made with such weights, so that they need
no download: each tensor is a function of its name and shape.
"""

import hashlib
import io
import json
import math
import pickle
import shutil
import subprocess
import zipfile
from collections import OrderedDict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from conftest import check, random_params, shared

from novasr_np.native import build
from novasr_np.networks.flashsr import spec as flashsr
from novasr_np.networks.flashsr.load import folded
from novasr_np.networks.inflect import spec as inflect
from novasr_np.networks.novasr import spec as novasr
from novasr_np.tensors import flatten, nest

PORTS = Path(__file__).parent / "ports"

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


def compiled(folders, source, *flags):
    """A program of ports/, compiled with the engine."""
    program, engine = folders.mktemp("port") / "port", build.SOURCE
    flags = ("-std=c11", "-Wall", "-Wextra", "-Wno-psabi", *flags, "-I", engine.parent)
    subprocess.run(["gcc", *flags, "-o", program, PORTS / source, engine], check=True)
    return program


def as_lists(tree):
    """A tree of arrays as the oracle takes it."""
    return {k: as_lists(v) if isinstance(v, dict) else v.tolist() for k, v in tree.items()}


# A torch checkpoint made by hand, so that any part of it can be made wrong.


class Called:
    """Pickles as a call of `function`, as torch's own reducers do."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class Name:
    """A global that is only named: pickled as module and name, never imported here."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Pickler(pickle._Pickler):
    """Protocol 2 with storages as persistent ids and names written as they are."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012

    def persistent_id(self, obj):
        return obj if isinstance(obj, tuple) and obj[:1] == ("storage",) else None

    def save_name(self, obj):
        self.write(b"c%s\n%s\n" % (obj.module.encode(), obj.name.encode()))

    def save_called(self, obj):
        self.save(obj.function)
        self.save(obj.arguments)
        self.write(b"R")

    dispatch[Name] = save_name
    dispatch[Called] = save_called


HALF, FLOAT = Name("torch", "HalfStorage"), Name("torch", "FloatStorage")
REBUILD = Name("torch._utils", "_rebuild_tensor_v2")


def tensor(key, shape, dtype=HALF, numbers=None, stride=None, offset=0):
    numbers = math.prod(shape) if numbers is None else numbers
    if stride is None:
        stride = tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
    storage = ("storage", dtype, key, "cpu", numbers)
    return Called(REBUILD, storage, offset, shape, stride, False, OrderedDict())


def tensors_of(arrays):
    """(tensors, the archive's members that hold their numbers) of arrays by name, in float32."""
    tensors = {
        name: tensor(str(key), value.shape, FLOAT)
        for key, (name, value) in enumerate(arrays.items())
    }
    values = enumerate(arrays.values())
    return tensors, {f"data/{key}": value.astype("<f4").tobytes() for key, value in values}


def checkpoint(state, members, folder="model", edit=None, compression=zipfile.ZIP_STORED) -> bytes:
    """A file of what is pickled and of the members beside it, after an edit of all of them."""
    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(state)
    members = {"byteorder": b"little", "version": b"3\n", **members, "data.pkl": buffer.getvalue()}
    if edit:
        edit(members)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(f"{folder}/{name}", data)
    return out.getvalue()


def novasr_checkpoint(edit_state=None, edit_members=None, compression=zipfile.ZIP_STORED) -> bytes:
    """NovaSR's, of random weights in half precision, after two edits."""
    source = flatten(random_params(0))
    state, members = {}, {}
    for key, (name, (upstream_name, shape)) in enumerate(novasr.TENSORS.items()):
        state[upstream_name] = tensor(str(key), shape)
        members[f"data/{key}"] = source[name].astype("<f2").tobytes()
    if edit_state:
        state = edit_state(state) or state
    return checkpoint(state, members, "model", edit_members, compression)


def standard_normal(name, shape):
    """The numbers that a tensor of this name and shape is made of, float64."""
    digest = hashlib.sha256(f"{name}|{shape}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little")).standard_normal(shape)


# FlashSR.

FLASHSR_SMALL = flashsr.Sizes(mels=128, latent=8, vae=32, unet=32, vocoder=96)
FLASHSR_SMALLEST = flashsr.Sizes(mels=64, latent=4, vae=32, unet=32, vocoder=32)
# Max-abs error of a stage, relative to its root mean square.
FLASHSR_TOLERANCE = {np.float64: 1e-10, np.float32: 1e-4}


@cache
def flashsr_drawn(name, shape):
    z = standard_normal(name, shape)
    if name.endswith(".bias"):
        z = 0.1 * z
    elif name.endswith((".alpha", ".beta")):
        z = 0.2 * z
    elif name.endswith(".weight_g"):
        level = 0.3 if name == "conv_post.weight_g" else 0.5 if ".convs2." in name else 1
        z = level * (1 + 0.1 * z)
    elif name.endswith(".weight") and len(shape) == 1:
        z = 1 + 0.1 * z
    elif name.endswith(".weight"):
        z = z / np.sqrt(np.prod(shape[1:]))
    return np.float32(z)


def flashsr_random(seed):
    """Small weights at random, as `load_weights` gives them."""
    sizes = FLASHSR_SMALLEST
    rng = np.random.default_rng(seed)
    tables = {
        "vae": flashsr.vae_tensors(sizes),
        "unet": flashsr.unet_tensors(sizes),
        "vocoder": flashsr.vocoder_tensors(sizes),
    }

    def values(name, shape):
        z = rng.standard_normal(shape)
        if name.endswith(".filter"):
            z = (1 + 0.1 * z) / shape[-1]
        elif len(shape) == 1:
            z = 0.1 * z + name.endswith(".weight")
        else:
            z = z / np.sqrt(np.prod(shape[1:]))
        return np.float32(z)

    return {
        part: nest({name: values(name, shape) for name, shape in table.items()})
        for part, table in tables.items()
    }


def flashsr_originals(sizes, taps):
    """What is used of the original's three files; taps: the filter of all activations."""
    return {
        file: {
            name: taps.reshape(shape) if name.endswith(".filter") else flashsr_drawn(name, shape)
            for name, shape in table.items()
        }
        for file, table in flashsr.original_tensors(sizes).items()
    }


@cache
def flashsr_golden():
    """The reference outputs by name."""
    with np.load(shared("golden/flashsr_small.npz")) as file:
        return dict(file)


@cache
def flashsr_weights():
    """The weights that these were made with; no test changes them."""
    states = flashsr_originals(FLASHSR_SMALL, flashsr_golden()["voc.filter"])
    return {
        "vae": nest(states["vae.pth"]),
        "unet": nest(states["student_ldm.pth"])["model"],
        "vocoder": nest(folded(states["sr_vocoder.pth"])),
    }


def compare(got, want, dtype, what, scale=1.0):
    """Assert a stage of FlashSR to be the original's."""
    assert got.dtype == dtype, what
    level = np.sqrt(np.mean(np.float64(want) ** 2))
    check(got, want, scale * FLASHSR_TOLERANCE[dtype] * level, what)


def compare_stages(got, golden, prefix, dtype, given=()):
    """Assert all of the original's stages under a prefix, but those that were given."""
    names = {name for name in golden if name.startswith(f"{prefix}.")}
    names -= {f"{prefix}.{name}" for name in given}
    assert names
    for name in sorted(names):
        compare(got[name.removeprefix(f"{prefix}.")], golden[name], dtype, name)


def write_flashsr(folder, states):
    """Files as torch would write them, with what is not used in them."""
    unused = {
        "vae.pth": {"vocoder.conv_pre.weight": np.ones((4, 3, 7))},
        "student_ldm.pth": {"betas": np.ones(1000), "log_one_minus_alphas_cumprod": np.ones(1000)},
        "sr_vocoder.pth": {"audio_block.downsamples.4.0.bias": np.ones(96)},
    }
    for file, state in states.items():
        (folder / file).write_bytes(checkpoint(*tensors_of({**unused[file], **state}), "archive"))


def quantised(w, bits):
    """Codes, scales and biases of [O, I], as MLX makes them."""
    groups = w.reshape(len(w), -1, 64)
    high, low = groups.max(axis=-1), groups.min(axis=-1)
    most = 2**bits - 1
    below = np.abs(low) > np.abs(high)
    scale = np.maximum((high - low) / np.float32(most), np.float32(1e-7))
    scale, edge = np.where(below, scale, -scale), np.where(below, low, high)
    first = np.rint(edge / scale)
    scale = np.where(first != 0, edge / np.where(first != 0, first, 1), scale)
    bias = np.where(first != 0, edge, 0)
    codes = np.clip(np.rint((groups - bias[..., None]) / scale[..., None]), 0, most)
    codes = codes.astype(np.uint32).reshape(len(w), -1, 32 // bits)
    words = np.bitwise_or.reduce(codes << np.arange(0, 32, bits, dtype=np.uint32), axis=-1)
    return words.astype(np.uint32), np.float16(scale), np.float16(bias)


def write_bundle(folder, weights, bits):
    """A bundle of FlashSR's port to MLX; gives the largest step of each quantised tensor."""
    tensors, shapes, steps = {}, {}, {}
    for part, name in (("vae", "vae"), ("unet", "ldm"), ("vocoder", "voc")):
        for inner, original in flatten(weights[part]).items():
            key, last = f"{name}.{inner}", np.float32(original)
            if last.ndim > 2 and not key.endswith(".filter"):
                last = np.moveaxis(last, 0 if key.startswith("voc.ups.") else 1, -1)
            if last.ndim >= 2 and np.prod(last.shape[1:]) % 64 == 0:
                shapes[key] = last.shape
                parts = quantised(last.reshape(len(last), -1), bits)
                tensors |= dict(zip((key, f"{key}.scales", f"{key}.biases"), parts, strict=True))
                steps[key] = float(np.abs(parts[1]).max())
            else:
                tensors[key] = np.float16(last)
    tensors["voc.audio_block.downsamples.4.0.bias"] = np.zeros(96, np.float16)
    config = {"quantized_shapes": shapes, "format": f"int{bits}"}
    config["quantization"] = {"mode": "mlx_affine_flat", "bits": bits, "group_size": 64}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    return steps


# Inflect-Nano.

INFLECT_SMALL = {"hidden": 24, "mels": 16, "encoders": 2, "decoders": 2, "speaker": 8, "bins": 32}


@cache
def inflect_drawn(name, shape):
    z = standard_normal(name, shape)
    if name.split(".")[0] in ("phone", "tone", "lang", "speaker", "abs_frame"):
        z = 0.5 * z
    elif name.endswith(".log_alpha"):
        z = 0.3 * z
    elif name.endswith(".weight_g"):
        z = (1 + 0.1 * z) * (0.5 if name.startswith(("resblocks.", "conv_post.")) else 1)
    elif len(shape) == 1 and name.endswith(".weight"):
        z = 1 + 0.1 * z
    elif len(shape) == 1:
        z = 0.1 * z + (1.8 if name == "duration_head.3.bias" else 0)
    elif not name.endswith(".weight_v"):
        z = z / np.sqrt(np.prod(shape[1:]))
    return np.float32(z)


def inflect_originals(size):
    """The state dicts of the original's two files, under its names; size: "small" or "full"."""
    small = size == "small"
    states = {}, {}
    for name, shape in inflect.acoustic_tensors(**INFLECT_SMALL if small else {}).items():
        states[0][name] = inflect_drawn(name, shape)
    vocoder_sizes = {"mels": 16, "channels": 16} if small else {}
    for name, shape in inflect.vocoder_tensors(**vocoder_sizes).items():
        if name.endswith(".log_alpha"):
            states[1][name] = inflect_drawn(name, (1, *shape, 1))
        elif name.endswith(".weight"):
            states[1][f"{name}_g"] = inflect_drawn(f"{name}_g", (shape[0], 1, 1))
            states[1][f"{name}_v"] = inflect_drawn(f"{name}_v", shape)
        else:
            states[1][name] = inflect_drawn(name, shape)
    return states


def write_inflect(folder: Path, first=None, second=None, acoustic=None, vocoder=None) -> Path:
    """The original's two files; first, second: other states than those drawn; acoustic, vocoder:
    entries beside them."""
    drawn = inflect_originals("full")
    config = {"config": {"hidden": 168, "dropout": 0.08}, "speakers": {"mark": 0}}
    variant = {"config": {"variant": "snake_v2mid", "rates": [8, 8, 2, 2]}}
    config, variant = config | (acoustic or {}), variant | (vocoder or {})
    for name, state, key, beside in (
        ("acoustic", first or drawn[0], "model", config),
        ("vocoder", second or drawn[1], "generator", variant),
    ):
        tensors, members = tensors_of(state)
        path = folder / f"inflect_nano_v1_{name}.pt"
        path.write_bytes(checkpoint({**beside, key: tensors}, members))
    return folder
