"""What there is to choose in FlashSR."""

from typing import Any, NamedTuple

from ...samples import whole_number
from .sampler import SCHEDULES
from .spec import HIGHEST, LAST, ROW, WINDOW


class Options(NamedTuple):
    """How FlashSR is used. The defaults are how it was trained, but for windows, which overlap."""

    seed: int = 0  # of the noise: another one, another sound above the input's band
    timestep: int = LAST  # 0 .. 999; it was trained for the last only
    schedule: str = "original"  # or "mlx", of the port to MLX, which is a step behind
    condition: str = "mean"  # of the input's latent; or "sample", which is drawn, as the original's
    overlap: int = 7 * ROW  # samples that a window shares with the next; 0 for none
    fade: int | None = None  # samples of these in which one gives way; None for 5/7 of them
    exact_windows: bool = (
        False  # as the original: no overlap, and each window at a level of its own
    )
    low_pass: str | float = "off"  # before all else: "auto", where its sound ends; or Hz


def checked(options: dict[str, Any] | None, window: int = WINDOW) -> Options:
    """The options of these names, the rest as they are by default.

    Raises TypeError for an unknown name or a wrong type, ValueError for a wrong value.
    """
    if unknown := set(options or {}) - set(Options._fields):
        raise TypeError(f"FlashSR has no option {min(unknown)!r}; {', '.join(Options._fields)}")
    o = Options(**(options or {}))
    whole_number("seed", o.seed, least=0)
    if whole_number("timestep", o.timestep, least=0) > LAST:
        raise ValueError(f"timestep must be from 0 to {LAST}, got {o.timestep}")
    for name, known in (("schedule", tuple(SCHEDULES)), ("condition", ("mean", "sample"))):
        if getattr(o, name) not in known:
            raise ValueError(f"{name} must be one of {known}, got {getattr(o, name)!r}")
    overlap = 0 if o.exact_windows else whole_number("overlap", o.overlap, least=0)
    if overlap % ROW or 2 * overlap > window:
        raise ValueError(
            f"overlap must be a multiple of {ROW} samples (80 ms) and at most half a window, "
            f"{window // 2}, got {o.overlap}"
        )
    fade = overlap * 5 // 7 if o.fade is None else whole_number("fade", o.fade)
    if overlap and not 0 < fade <= overlap:
        raise ValueError(f"fade must be from 1 to the overlap, {overlap} samples, got {o.fade}")
    if o.low_pass not in ("off", "auto"):
        if isinstance(o.low_pass, (str, bool)) or not isinstance(o.low_pass, (int, float)):
            raise TypeError(f"low_pass is 'off', 'auto' or Hz, got {o.low_pass!r}")
        if not 1 <= o.low_pass <= HIGHEST:
            raise ValueError(f"low_pass must be from 1 to {HIGHEST} Hz, got {o.low_pass}")
    return o._replace(overlap=overlap, fade=fade)
