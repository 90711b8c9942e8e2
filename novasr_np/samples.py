"""Checks of audio and numbers given by the user, and integer arithmetic."""

import os
from typing import Any

import numpy as np

# Far above any audio, and far below the level at which a network overflows in float32.
MAX_LEVEL = 1e9
# With fewer samples and more channels than these, the axes are surely in the wrong order.
_FEW, _MANY = 16, 256
_BLOCK = 1 << 16  # samples of each channel that are checked at a time
# From this |y| on, 16 bits are at full scale: the tanh at a network's end is saturated.
SATURATION = 32767 / 32768


def as_audio(x: Any) -> np.ndarray:
    """Check that x can be audio [..., T], float32, float64 or int16, in the machine's byte order.

    Its values are checked by `check_levels`.

    Raises TypeError for another dtype or the name of a file, ValueError for a scalar, and for 256
    or more channels of up to 16 samples, as in soundfile's order, [samples, channels].
    """
    if isinstance(x, (str, bytes, os.PathLike)):
        raise TypeError(
            f"audio must be an array [..., samples], got {x!r}: read a file first, as by "
            "soundfile.read(name, dtype='float32'), or use the command novasr"
        )
    x = np.asarray(x)
    x = x.astype(x.dtype.newbyteorder("="), copy=False)
    if x.ndim == 0:
        raise ValueError("audio must be an array [..., samples], got a scalar")
    if x.ndim > 1 and 0 < x.shape[-1] <= _FEW and x.shape[-2] >= _MANY:
        raise ValueError(
            f"audio must be [..., samples], got shape {x.shape}, {x.shape[-2]} channels of "
            f"{x.shape[-1]} samples: did you mean {'x.T' if x.ndim == 2 else 'x.swapaxes(-1, -2)'}?"
        )
    if x.dtype not in (np.int16, np.float32, np.float64):
        raise TypeError(f"audio must be float32, float64 or int16, got {x.dtype}")
    return x


def check_levels(x: np.ndarray, offset: int = 0) -> np.ndarray:
    """Check the values of audio, and return it. offset: samples before x, for the message.

    Raises ValueError for NaN, infinity or a level above `MAX_LEVEL`, with its place.
    """
    if x.dtype == np.int16:
        return x
    for start in range(0, x.shape[-1], _BLOCK):  # so that no copy has the size of x
        block = x[..., start : start + _BLOCK]
        valid = np.abs(block) <= MAX_LEVEL  # False for NaN, too
        if not valid.all():
            first = tuple(int(i) for i in np.argwhere(~valid)[0])
            place = (*first[:-1], first[-1] + start + offset)
            raise ValueError(
                f"audio must be finite, with full scale 1 and no value above {MAX_LEVEL:.0e}; "
                f"got {block[first]} at index {place}"
            )
    return x


def as_float(x: np.ndarray) -> np.ndarray:
    """Convert int16 to float32 in [-1, 1), full scale 1; float32 and float64 stay as they are."""
    return x.astype(np.float32) / np.float32(32768) if x.dtype == np.int16 else x


def count_saturated(y: np.ndarray) -> int:
    """Count the samples of an output at full scale, |y| >= 32767/32768.

    NovaSR ends in a tanh, so it never clips, but saturates with an input that is too loud. A low
    band that is kept may exceed full scale, and is clipped in a file of integer samples.
    """
    return int(np.count_nonzero(np.abs(y) >= SATURATION))


def whole_number(name: str, value: Any, least: int | None = 1) -> int:
    """Check a whole number. Raises TypeError if it is none, ValueError if it is below `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def ceil_div(a: int, b: int) -> int:
    """a / b rounded up, in integers."""
    return -(-a // b)
