"""Degraded inputs: what the benches make of a full-band recording.

Each function takes a recording x [T] at 48 kHz, float64, and returns the input, float64, in step
with the recording, at the rate that it is given or that it names.
"""

import io
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import soundfile
from scipy import signal

from novasr_np.dsp.resample import resample
from novasr_np.dsp.spectrum import compare

RATE = 48_000  # Hz, of the recordings

_MU = 255
_TELEPHONE = signal.firwin(401, [300, 3400], pass_zero=False, fs=8000)
# kbit/s at libsndfile's compression levels 0 and 1. MP3 refuses 1 itself.
_MP3, _OPUS = (320, 32), (256, 6)
_MOST = 0.9999


class Input(NamedTuple):
    """A way to degrade a recording."""

    rate: int  # Hz
    edge: int  # Hz, above which it holds nothing, or as good as nothing
    make: Callable[[np.ndarray], np.ndarray]


def leaky(x: np.ndarray, rate: int) -> np.ndarray:
    """By torchaudio's default resampler, whose short filter leaves a mirror image."""
    return resample(x, RATE, rate, "hann")


def steep(x: np.ndarray, rate: int) -> np.ndarray:
    """By a steep resampler: 6 dB down at 0.96 of the half rate, 120 dB at the half rate."""
    return resample(x, RATE, rate, "steep")


def chebyshev(x: np.ndarray, rate: int) -> np.ndarray:
    """By scipy's decimate: Chebyshev's order 8, 0.05 dB, forwards and back."""
    return signal.decimate(x, RATE // rate)


def eight_bits(x: np.ndarray, rate: int) -> np.ndarray:
    """As an old voice prompt has it: leaky, and in steps of 1 / 128."""
    return np.rint(leaky(x, rate) * 128) / 128


def telephone(x: np.ndarray) -> np.ndarray:
    """As a telephone has it, at 8 kHz: 300 to 3400 Hz, in mu-law's 8 bits."""
    return mu_law(np.convolve(steep(x, 8000), _TELEPHONE, "same"))


def mu_law(x: np.ndarray) -> np.ndarray:
    """x in the 8 bits of a telephone, and back."""
    level = np.sign(x) * np.log1p(_MU * np.abs(np.clip(x, -1, 1))) / np.log1p(_MU)
    level = np.rint(level * 128) / 128
    return np.sign(level) * ((1 + _MU) ** np.abs(level) - 1) / _MU


def gsm(x: np.ndarray) -> np.ndarray:
    """Through GSM's full-rate codec, 13 kbit/s, at 8 kHz."""
    return _coded(steep(x, 8000), 8000, format="WAV", subtype="GSM610")


def mp3(x: np.ndarray, kbits: int) -> np.ndarray:
    """Through MP3 at a constant rate, in kbit/s, at 48 kHz."""
    level = min(_MOST, (_MP3[0] - kbits) / (_MP3[0] - _MP3[1]))
    codec = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT"}
    return _coded(x, RATE, compression_level=level, **codec)


def opus(x: np.ndarray, rate: int, kbits: int) -> np.ndarray:
    """Through Opus at about so many kbit/s."""
    level = (_OPUS[0] - kbits) / (_OPUS[0] - _OPUS[1])
    x = x if rate == RATE else steep(x, rate)
    return _coded(x, rate, format="OGG", subtype="OPUS", compression_level=level)


def _coded(x: np.ndarray, rate: int, **codec) -> np.ndarray:
    """Through a file of that format, without the delay that some of them add."""
    with io.BytesIO() as file:
        soundfile.write(file, np.clip(x, -1, 1), rate, **codec)
        file.seek(0)
        y, _ = soundfile.read(file)
    late = compare(y, x, rate)["delay"] or 0
    y = np.pad(y, (max(0, -late), 0))[max(0, late) :]
    return np.pad(y, (0, max(0, len(x) - len(y))))[: len(x)]


def _resampled(make: Callable, rate: int) -> Input:
    return Input(rate, rate // 2, partial(make, rate=rate))


INPUTS = {
    "8 kHz": _resampled(leaky, 8000),
    "8 kHz, steep": _resampled(steep, 8000),
    "Telephone": Input(8000, 3400, telephone),
    "GSM": Input(8000, 4000, gsm),
    "12 kHz": _resampled(leaky, 12_000),
    "12 kHz, steep": _resampled(steep, 12_000),
    "16 kHz": _resampled(leaky, 16_000),
    "16 kHz, steep": _resampled(steep, 16_000),
    "16 kHz, 8 bits": _resampled(eight_bits, 16_000),
    "16 kHz, Opus at 16 kbit/s": Input(16_000, 8000, partial(opus, rate=16_000, kbits=16)),
    "48 kHz, Opus at 9 kbit/s": Input(RATE, 8000, partial(opus, rate=RATE, kbits=9)),
    "48 kHz, MP3 at 32 kbit/s": Input(RATE, 8000, partial(mp3, kbits=32)),
    "48 kHz, MP3 at 64 kbit/s": Input(RATE, 16_000, partial(mp3, kbits=64)),
    "24 kHz": _resampled(leaky, 24_000),
    "24 kHz, steep": _resampled(steep, 24_000),
    "44.1 kHz": Input(44_100, 22_050, partial(leaky, rate=44_100)),
}
