"""The node: from AUDIO to AUDIO at 48 kHz and a picture of its spectrogram.

Tensors are torch's, made by the input's ``new_tensor``: torch is never imported here.
"""

from typing import Any, ClassVar

import numpy as np

from novasr_np.api import upsample
from novasr_np.dsp.spectrum import power
from novasr_np.weights import embedded_weights, load_weights

_COLUMNS = 1024  # of a picture, at most
_LOW, _HIGH = -60, 30  # dB, black and white


class NovaSRUpsample:
    """Upsample speech to 48 kHz, each channel separately."""

    RETURN_TYPES: ClassVar = ("AUDIO", "IMAGE")
    RETURN_NAMES: ClassVar = ("audio", "spectrogram")
    FUNCTION: ClassVar = "run"
    CATEGORY: ClassVar = "audio"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        """Inputs of the node."""
        return {
            "required": {
                "audio": ("AUDIO",),
                "weights": (sorted(embedded_weights()),),
                "keep_lowband": ("BOOLEAN", {"default": True}),
            },
            "optional": {"weights_file": ("STRING", {"default": ""})},
        }

    def run(
        self, audio: dict[str, Any], weights: str, keep_lowband: bool, weights_file: str = ""
    ) -> tuple[dict[str, Any], Any]:
        """Upsample audio, and draw it: return (audio, pictures [B, height, width, 3] from 0 to 1).

        audio: {"waveform": float32 [B, C, T], "sample_rate": Hz}. weights_file: a path, in place of
        the name. Raises as `upsample` does.
        """
        waveform = audio["waveform"]
        loaded = load_weights(weights_file or weights)
        x = np.asarray(waveform.cpu() if hasattr(waveform, "cpu") else waveform, np.float32)
        y = upsample(x, audio["sample_rate"], weights=loaded, keep_lowband=keep_lowband)
        pictures = np.stack([_picture(one.mean(axis=0)) for one in y])
        out = {"waveform": waveform.new_tensor(y), "sample_rate": loaded.network.rate_out}
        return out, waveform.new_tensor(pictures)


def _picture(y: np.ndarray) -> np.ndarray:
    """Draw a spectrogram, [height, width, 3] float32, low frequencies at the bottom."""
    level = power(np.pad(y, (0, max(0, 1025 - len(y)))))
    columns = min(level.shape[-1], _COLUMNS)
    starts = np.arange(columns) * level.shape[-1] // columns
    means = np.add.reduceat(level, starts, axis=1) / np.diff(starts, append=level.shape[-1])
    bright = (10 * np.log10(means + 1e-12) - _LOW) / (_HIGH - _LOW)
    return np.repeat(np.clip(bright, 0, 1)[::-1, :, np.newaxis], 3, axis=-1).astype(np.float32)


NODE_CLASS_MAPPINGS = {"NovaSRUpsample": NovaSRUpsample}
NODE_DISPLAY_NAME_MAPPINGS = {"NovaSRUpsample": "Upsample speech (NovaSR)"}
