"""The API of the original's torch package on numpy: change the import, keep the script.

``from novasr_np import FastSR`` in place of ``from NovaSR import FastSR``.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from .dsp.resample import resample
from .pipeline.arrays import run_bare
from .pipeline.backend import Backend
from .samples import as_array, check_levels, switch
from .weights import load_weights


class Tensor(np.ndarray):
    """Array with the methods of a torch tensor that scripts call on the original's outputs."""

    def cpu(self) -> "Tensor":
        """Itself."""
        return self

    def detach(self) -> "Tensor":
        """Itself."""
        return self

    def to(self, *_: Any, **__: Any) -> "Tensor":
        """Itself, whatever the device or dtype asked for."""
        return self

    def numpy(self) -> np.ndarray:
        """As a plain array."""
        return self.view(np.ndarray)

    def float(self) -> "Tensor":
        """In float32."""
        return self.astype(np.float32).view(Tensor)

    def half(self) -> "Tensor":
        """In float16."""
        return self.astype(np.float16).view(Tensor)

    def unsqueeze(self, axis: int) -> "Tensor":
        """With an axis of length 1 there."""
        return np.expand_dims(self, axis).view(Tensor)


_OURS = "novasr-open"  # the network that the original's class runs


class FastSR:
    """Load weights, read a file at 16 kHz, and upsample it, as the original's class of that name.

    ckpt_path: weights as `load_weights` takes them, the original's files included; None for the
    embedded weights of NovaSR, where the original fetches its v1. half: accepted, and kept as an
    attribute; the computation is in float32, which on a CPU is faster and more exact. device:
    accepted, but always "cpu".

    Raises WeightsError and OSError as `load_weights` does, TypeError unless half is True or False.
    """

    def __init__(self, ckpt_path: Any = None, half: bool = True, device: str | None = None) -> None:
        loaded = load_weights(_OURS if ckpt_path is None else ckpt_path)
        self.network = loaded.network
        self.half = switch("half", half)
        self.device = "cpu"
        self.hps: dict[str, Any] = {}
        self._runner = self._backend().open(loaded)

    @staticmethod
    def _backend() -> Any:
        return Backend()

    def load_audio(self, audio_file: str | os.PathLike[str]) -> Tensor:
        """Read channel 0 of a file, and resample it to the network's rate as the original does.

        Returns [1, 1, T] float32. Raises AudioError for a file that cannot be read whole, OSError.
        """
        from .files.reading import read  # noqa: PLC0415

        x, rate = read(Path(audio_file))
        return resample(x[:1], rate, self.network.rate_in)[np.newaxis].view(Tensor)

    def infer(self, lowres_wav: Any) -> Tensor:
        """Run the bare network on [B, 1, T]: [B, 1, 3T - 4] for NovaSR, and [1, 3T - 4] for B = 1.

        lowres_wav: floats in anything with ``__array__``, such as a torch tensor in a CPU's memory.
        Raises ValueError for another shape, NaN or infinity, TypeError for another dtype or what is
        no array.
        """
        y = self.model(lowres_wav)
        return y[0] if len(y) == 1 else y

    def model(self, x: Any) -> Tensor:
        """Run the network as `infer` does, but return [B, 1, 3T - 4] for B = 1 as well."""
        x = as_array("the sound", x, (np.float16, np.float32, np.float64)).astype(np.float32)
        least = self.network.cut.min_samples
        if x.ndim != 3 or x.shape[1] != 1 or x.shape[2] < least:
            raise ValueError(f"samples must be [B, 1, T], T at least {least}, got shape {x.shape}")
        return run_bare(self._runner, check_levels(x)[:, 0])[:, np.newaxis].view(Tensor)
