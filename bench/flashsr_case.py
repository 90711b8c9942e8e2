"""FlashSR's weights and input, drawn as for the original's recorded outputs, and those outputs.

Needs NOVASR_SHARED but for `tree`.
"""

import hashlib
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.data import SHARED
from novasr_np.networks.flashsr import load, spec
from novasr_np.networks.record import Params
from novasr_np.tensors import nest

SMALL = spec.Sizes(mels=128, latent=8, vae=32, unet=32, vocoder=96)


class Case(NamedTuple):
    """What is computed, and what the original gave in float64."""

    sizes: spec.Sizes
    x: np.ndarray  # [1, T] float32
    noise: np.ndarray  # [1, Z, T / 3840, M / 8] float32
    places: np.ndarray  # of the samples that are compared
    value: np.ndarray  # what they are
    deviation: float  # standard, of all samples

    def error(self, y: np.ndarray) -> float:
        """Max-abs of y [1, T], over the original's standard deviation."""
        return float(np.abs(np.float64(y[0, self.places]) - self.value).max() / self.deviation)


def case(small: bool) -> Case:
    if small:
        golden = golden_file("small")
        x, noise, y = (golden[f"e2e.{name}"][:1] for name in ("audio_int16", "x_T", "mean.wave"))
        places, value, deviation = np.arange(y.size), y[0], y.std()
    else:
        golden = golden_file("full")
        x, noise = golden["audio"][np.newaxis], drawn("x_T", (1, 16, 64, 32))
        places, value, deviation = (golden[f"wave.{name}"] for name in ("index", "value", "stats"))
        deviation = deviation[1]
    x, noise = (x / 32768).astype(np.float32), noise.astype(np.float32)
    return Case(SMALL if small else spec.FULL, x, noise, places, value, float(deviation))


def golden_file(which: str) -> dict[str, np.ndarray]:
    path = SHARED / "golden" / f"flashsr_{which}.npz"
    if not path.exists():
        sys.exit(f"no file {path}: set NOVASR_SHARED to the folder with the reference material")
    with np.load(path) as file:
        return dict(file)


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of the reference outputs' weights: a function of its name and shape."""
    digest = hashlib.sha256(f"{name}|{shape}".encode()).digest()
    z = np.random.default_rng(int.from_bytes(digest[:8], "little")).standard_normal(shape)
    if name.endswith(".bias"):
        z *= 0.1
    elif name.endswith((".alpha", ".beta")):
        z *= 0.2
    elif name.endswith(".weight_g"):
        size = 0.3 if name == "conv_post.weight_g" else 0.5 if ".convs2." in name else 1
        z = size * (1 + 0.1 * z)
    elif name.endswith(".weight") and len(shape) == 1:
        z = 1 + 0.1 * z
    elif name.endswith(".weight"):
        z /= np.sqrt(np.prod(shape[1:]))
    return z.astype(np.float32)


def tree(sizes: spec.Sizes, taps: np.ndarray) -> Params:
    """All weights; taps: of the filters, which are not drawn."""
    states = {
        file: {
            name: taps.reshape(shape).astype(np.float32)
            if name.endswith(".filter")
            else drawn(name, shape)
            for name, shape in table.items()
        }
        for file, table in spec.original_tensors(sizes).items()
    }
    return {
        "vae": nest(states["vae.pth"]),
        "unet": nest(states["student_ldm.pth"])["model"],
        "vocoder": nest(load.folded(states.pop("sr_vocoder.pth"))),
    }


def draw(sizes: spec.Sizes, path: Path) -> None:
    """Write all weights as one file."""
    load.save(tree(sizes, golden_file("small")["voc.filter"]), path)
