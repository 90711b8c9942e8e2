"""Checks of audio, numbers and switches given by the user, and integer arithmetic."""

import os
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np

# Far above any audio, and far below the level at which a network overflows in float32.
MAX_LEVEL = 1e9
# With fewer samples and more channels than these, the axes are surely in the wrong order.
_FEW, _MANY = 16, 256
_BLOCK = 1 << 16  # samples of each channel that are checked at a time
Int16Rule = Callable[[np.ndarray], np.ndarray]  # `round_int16` or `floor_int16`
# From this |y| on, 16 bits are at full scale: the tanh at a network's end is saturated.
SATURATION = 32767 / 32768


def as_audio(x: Any) -> np.ndarray:
    """Check that x can be audio [..., T], float32, float64 or int16, in the machine's byte order.

    Its values are checked by `check_levels`.

    Raises TypeError for another dtype, the name of a file or what is no array at all, ValueError
    for a scalar, and for 256 or more channels of up to 16 samples, as in soundfile's order,
    [samples, channels].
    """
    if isinstance(x, (str, bytes, os.PathLike)):
        raise TypeError(
            f"audio must be an array [..., samples], got {x!r}: read a file first, as by "
            "soundfile.read(name, dtype='float32'), or use the command novasr"
        )
    x = as_array("audio", x, (np.float32, np.float64, np.int16))
    if x.ndim == 0:
        raise ValueError(f"audio must be an array [..., samples], got a scalar, {x}")
    if x.ndim > 1 and 0 < x.shape[-1] <= _FEW and x.shape[-2] >= _MANY:
        raise ValueError(
            f"audio must be [..., samples], got shape {x.shape}, {x.shape[-2]} channels of "
            f"{x.shape[-1]} samples: did you mean {'x.T' if x.ndim == 2 else 'x.swapaxes(-1, -2)'}?"
        )
    return x


def as_array(name: str, x: Any, dtypes: Sequence[Any] = (np.float32, np.float64)) -> np.ndarray:
    """Convert x to an array in the machine's byte order, and check its dtype.

    Raises TypeError for another dtype, and for what is no array, such as a generator, or a list
    whose parts differ in length; ValueError for masked values, which numpy would bring back.
    """
    if np.ma.is_masked(x):
        raise ValueError(
            f"{name} must have no masked values, got {np.ma.count_masked(x)}: fill them first"
        )
    try:
        array = np.asarray(x)
    except ValueError:  # a list; older versions of numpy make an array of objects
        array = np.empty(0, object)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.hasobject:
        uneven = isinstance(x, (list, tuple))
        what = "parts that are no numbers or differ in length" if uneven else _noun(x)
        raise TypeError(f"{name} must be an array [..., samples], got {what}")
    if array.dtype not in dtypes:
        *most, last = (np.dtype(dtype).name for dtype in dtypes)
        raise TypeError(f"{name} must be {', '.join(most)} or {last}, got {array.dtype}")
    return array


def _noun(x: Any) -> str:
    return "None" if x is None else f"an object of type {type(x).__name__}"


def check_levels(x: np.ndarray, offset: int = 0) -> np.ndarray:
    """Check the values of audio, and return it. offset: samples before x, for the message.

    Raises ValueError for NaN, infinity or a level above `MAX_LEVEL`, with its place.
    """
    if x.dtype == np.int16:
        return x
    for start in range(0, x.shape[-1], _BLOCK):  # so that a block is still in the cache
        block = x[..., start : start + _BLOCK]
        if peak(block) <= MAX_LEVEL:  # False for NaN, too
            continue
        first = tuple(int(i) for i in np.argwhere(~(np.abs(block) <= MAX_LEVEL))[0])
        place = (*first[:-1], first[-1] + start + offset)
        raise ValueError(
            f"audio must be finite, with full scale 1 and no value above {MAX_LEVEL:.0e}; "
            f"got {block[first]} at index {place}"
        )
    return x


def peak(x: np.ndarray) -> float:
    """Largest magnitude of float samples; 0 without samples, NaN if one is NaN."""
    return float(np.maximum(x.max(initial=0.0), -x.min(initial=0.0)))


def as_float(x: np.ndarray) -> np.ndarray:
    """Convert int16 to float32 in [-1, 1), full scale 1; float32 and float64 stay as they are."""
    return x.astype(np.float32) / np.float32(32768) if x.dtype == np.int16 else x


def round_int16(y: np.ndarray) -> np.ndarray:
    """Convert floats, full scale 1, to int16: ``rint(32768 y)``, limited. As libsndfile in FLAC."""
    scaled = y * y.dtype.type(32768)
    return _limited_int16(np.rint(scaled, out=scaled))


def floor_int16(y: np.ndarray) -> np.ndarray:
    """Convert floats, full scale 1, to int16 as libsndfile does in WAV and AIFF.

    These are the upper 16 of 32 bits: ``floor(rint(2^31 y) / 2^16)``, limited.
    """
    scaled = y * y.dtype.type(1 << 31)
    np.rint(scaled, out=scaled)
    scaled *= y.dtype.type(1 / (1 << 16))
    return _limited_int16(np.floor(scaled, out=scaled))


def _limited_int16(scaled: np.ndarray) -> np.ndarray:
    return np.clip(scaled, -32768, 32767, out=scaled).astype(np.int16)


def count_saturated(y: np.ndarray) -> int:
    """Count the samples of an output at full scale, |y| >= 32767/32768.

    y: float32, float64 or int16. NovaSR ends in a tanh, so it never clips, but saturates with an
    input that is too loud. A low band that is kept may exceed full scale, and is clipped in a file
    of integer samples. Raises TypeError for another dtype.
    """
    y = as_float(as_array("an output", y, (np.float32, np.float64, np.int16)))
    return int(np.count_nonzero(np.abs(y) >= SATURATION))


def scalar(value: Any) -> Any:
    """Convert a scalar of numpy, or any array without axes, to Python's; others stay as they are.

    All numbers and switches of the public functions come through here, so that numpy's work like
    Python's.
    """
    return value.item() if getattr(value, "ndim", None) == 0 else value


def whole_number(name: str, value: Any, least: int | None = 1) -> int:
    """Check a whole number, which may be a float such as 16000.0.

    Raises TypeError if it is none, ValueError if it is below `least`.
    """
    value = scalar(value)
    try:
        whole = int(value) if _is_number(value) else None
    except (OverflowError, ValueError):  # infinity and NaN
        whole = None
    if whole is None or whole != value:
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if least is not None and whole < least:
        raise ValueError(f"{name} must be at least {least}, got {whole}")
    return whole


def number(name: str, value: Any, expected: str = "a number") -> float:
    """Check that a value is a number; its range, without NaN, is for the caller to check.

    Raises TypeError if it is none.
    """
    value = scalar(value)
    if not _is_number(value):
        raise TypeError(f"{name} must be {expected}, got {value!r}")
    return float(value)


def switch(name: str, value: Any) -> bool:
    """Check a switch: True or False, or 1 or 0. Raises TypeError for anything else."""
    value = scalar(value)
    if not isinstance(value, int) or value not in (0, 1):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def float_type(dtype: Any) -> type[np.floating]:
    """Check a dtype, given in any of numpy's ways. Raises TypeError unless float32 or float64."""
    found = None if dtype is None else np.dtype(dtype)
    if found not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, got {found}")
    return np.dtype(found).type


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def ceil_div(a: int, b: int) -> int:
    """a / b rounded up, in integers."""
    return -(-a // b)
