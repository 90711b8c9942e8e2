"""Inflect-Nano's weights drawn from their names, as the reference outputs have them."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import test_weights

from novasr_np.networks.inflect import spec

SMALL = {"hidden": 24, "mels": 16, "encoders": 2, "decoders": 2, "speaker": 8, "bins": 32}


def drawn(name, shape):
    """A tensor of the reference outputs' weights: a function of its name and shape."""
    digest = hashlib.sha256(f"{name}|{shape}".encode()).digest()
    z = np.random.default_rng(int.from_bytes(digest[:8], "little")).standard_normal(shape)
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


def originals(size):
    """The state dicts of the original's two files, under its names."""
    small = size == "small"
    states = {}, {}
    for name, shape in spec.acoustic_tensors(**SMALL if small else {}).items():
        states[0][name] = drawn(name, shape)
    vocoder_sizes = {"mels": 16, "channels": 16} if small else {}
    for name, shape in spec.vocoder_tensors(**vocoder_sizes).items():
        if name.endswith(".log_alpha"):
            states[1][name] = drawn(name, (1, *shape, 1))
        elif name.endswith(".weight"):
            states[1][f"{name}_g"] = drawn(f"{name}_g", (shape[0], 1, 1))
            states[1][f"{name}_v"] = drawn(f"{name}_v", shape)
        else:
            states[1][name] = drawn(name, shape)
    return states


def write_checkpoint(path: Path, state, key: str, beside) -> None:
    """A file as torch would write it, float32."""
    members = {"byteorder": b"little", "version": b"3\n"}
    tensors = {}
    for i, (name, value) in enumerate(state.items()):
        kind = test_weights.Name("torch", "FloatStorage")
        tensors[name] = test_weights.tensor(str(i), value.shape, kind)
        members[f"data/{i}"] = value.astype("<f4").tobytes()
    buffer = io.BytesIO()
    test_weights.Pickler(buffer, 2).dump({**beside, key: tensors})
    members["data.pkl"] = buffer.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"model/{name}", data)


def write_folder(folder: Path) -> Path:
    """The original's two files."""
    first, second = originals("full")
    config = {"config": {"hidden": 168, "dropout": 0.08}, "speakers": {"mark": 0}}
    write_checkpoint(folder / "inflect_nano_v1_acoustic.pt", first, "model", config)
    variant = {"config": {"variant": "snake_v2mid", "rates": [8, 8, 2, 2]}}
    write_checkpoint(folder / "inflect_nano_v1_vocoder.pt", second, "generator", variant)
    return folder
