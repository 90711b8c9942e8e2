"""FlashSR's options: their defaults, their checks, and their form on the command line."""

import importlib.util
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from ...errors import missing_extra
from ...samples import number, scalar, switch, whole_number
from ..record import Option, Windows
from .sampler import SCHEDULES
from .spec import HIGHEST, LAST, ROW, SAMPLE_RATE


class Settings(NamedTuple):
    """Options of FlashSR. The defaults are those of its training, except that windows overlap."""

    seed: int = 0  # of the noise: each gives a different sound above the input's band
    timestep: int = LAST  # 0 .. 999; it was trained for the last only
    schedule: str = "original"  # or "mlx", as in the port to MLX, which is one step late
    condition: str = "mean"  # of the input's latent; or "sample", drawn as in the original
    overlap: int = 7 * ROW  # samples that a window shares with the next; 0 for none
    fade: int | None = None  # samples of the cross-fade in the overlap; None for 5/7 of it
    exact_windows: bool = False  # as in the original: no overlap, each window at its own level
    low_pass: str | float = "off"  # Hz of a low-pass filter on the input; "auto": its band's end


def checked(options: Mapping[str, Any] | None, cut: Windows) -> Settings:
    """Complete the given options with the defaults, and check them.

    Raises TypeError for an unknown name or a wrong type, ValueError for a wrong value,
    ModuleNotFoundError for a low-pass without scipy.
    """
    if unknown := set(options or {}) - set(Settings._fields):
        names = ", ".join(Settings._fields)
        raise TypeError(f"an option of FlashSR must be one of {names}, got {min(unknown)!r}")
    o = Settings(**(options or {}))
    seed, timestep = (whole_number(n, getattr(o, n), least=0) for n in ("seed", "timestep"))
    if timestep > LAST:
        raise ValueError(f"timestep must be from 0 to {LAST}, got {timestep}")
    for name, known in (("schedule", tuple(SCHEDULES)), ("condition", ("mean", "sample"))):
        if getattr(o, name) not in known:
            raise ValueError(f"{name} must be one of {known}, got {getattr(o, name)!r}")
    exact_windows = switch("exact_windows", o.exact_windows)
    overlap = 0 if exact_windows else whole_number("overlap", o.overlap, least=0)
    if overlap % ROW or 2 * overlap > cut.length:
        raise ValueError(
            f"overlap must be a multiple of {ROW} samples (80 ms) and at most half a window, "
            f"{cut.length // 2}, got {overlap}"
        )
    fade = overlap * 5 // 7 if o.fade is None else whole_number("fade", o.fade)
    if overlap and not 0 < fade <= overlap:
        raise ValueError(f"fade must be from 1 to the overlap, {overlap} samples, got {fade}")
    low_pass = scalar(o.low_pass)
    if not (isinstance(low_pass, str) and low_pass in ("off", "auto")):
        low_pass = number("low_pass", low_pass, "'off', 'auto' or Hz")
        if not 1 <= low_pass <= HIGHEST:
            raise ValueError(f"low_pass must be from 1 to {HIGHEST} Hz, got {low_pass}")
    if low_pass != "off" and importlib.util.find_spec("scipy") is None:
        raise missing_extra("low_pass needs scipy", "flashsr")
    return o._replace(
        seed=seed,
        timestep=timestep,
        overlap=overlap,
        fade=fade,
        exact_windows=exact_windows,
        low_pass=low_pass,
    )


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"expected a number above 0, got {text!r}")
    return value


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def _samples(text: str) -> int:
    """Parse a number of seconds into samples."""
    return 0 if text == "0" else round(_number(text) * SAMPLE_RATE)


def _low_pass(text: str) -> str | float:
    return text if text in ("auto", "off") else _number(text)


OPTIONS = (
    Option("seed", "seed of the noise; default: 0", _count, metavar="N"),
    Option(
        "timestep",
        f"step of the diffusion, 0 to {LAST}; default: {LAST}, the only one it was trained for",
        _count,
        metavar="N",
    ),
    Option(
        "schedule",
        "noise schedule of the diffusion: the original's (default), or that of the port to MLX",
        choices=tuple(SCHEDULES),
    ),
    Option(
        "condition",
        "latent of the input: its mean (default), or a random sample, as in the original",
        choices=("mean", "sample"),
    ),
    Option(
        "overlap",
        "seconds that each window of 5.12 s shares with the next, a multiple of 0.08; 0 for none; "
        "default: 0.56",
        _samples,
        metavar="S",
    ),
    Option(
        "fade",
        "seconds of the overlap used for the cross-fade; default: 0.4",
        lambda text: round(_number(text) * SAMPLE_RATE),
        metavar="S",
    ),
    Option("exact_windows", "cut windows as the original does: no overlap, each at its own level"),
    Option(
        "low_pass",
        "Hz of a low-pass filter on the input, as in training; auto: where the input's spectrum "
        "ends; default: off",
        _low_pass,
        metavar="HZ",
    ),
)
