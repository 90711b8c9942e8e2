"""A window's place in a sound: what the networks are given for it, and what becomes of theirs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..record import Level, Params
from . import model
from .lowpass import cutoff, low_pass
from .mel import denormalise
from .mel import level as own_level
from .options import Options
from .sampler import SCHEDULES
from .spec import ROW, sizes_of

_NOISE, _SAMPLE = 1, 2  # what is drawn, in a generator's key


def prepare(
    params: Params, options: Options, dtype: Any
) -> Callable[[np.ndarray, np.ndarray, Level | None], tuple[model.Given, Level]]:
    """What brings windows to the networks: (x, rows, level) -> (`model.Given`, level).

    x [n, T] in any dtype, at 48 kHz; rows [n]: how many rows of the latent, of 80 ms, lie before
    each window in its sound; level: of the sound, None for each window's own. Gives the level, too.
    """
    sizes = sizes_of(params)
    schedule = SCHEDULES[options.schedule]()

    def given(x: np.ndarray, rows: np.ndarray, level: Level | None) -> tuple[model.Given, Level]:
        shape = sizes.latent, x.shape[-1] // ROW, sizes.mels // 8
        noise = draw(options.seed, _NOISE, rows, *shape)
        eps = draw(options.seed, _SAMPLE, rows, *shape) if options.condition == "sample" else None
        sound = _low_passed(x.astype(dtype, copy=False), options.low_pass)
        level = own_level(sound.astype(np.float64)) if level is None else level
        return model.prepare(sizes, sound, level, noise, eps, options.timestep, schedule), level

    return given


def finish(y: np.ndarray, level: Level) -> np.ndarray:
    """The networks' windows [n, T] at their level again."""
    return denormalise(y, Level(*(part.astype(y.dtype) for part in level)))


def draw(
    seed: int, what: int, rows: np.ndarray, channels: int, height: int, width: int
) -> np.ndarray:
    """Standard normal [n, channels, height, width], float32.

    A row of it is a function of the seed and of its place in the sound alone. So windows that
    overlap share theirs, as all channels of a sound do, and no sound depends on what was computed
    before it or beside it.
    """
    drawn: dict[int, np.ndarray] = {}
    for row in {int(first) + i for first in rows for i in range(height)}:
        generator = np.random.Generator(np.random.PCG64([what, 0, row, seed]))
        drawn[row] = generator.standard_normal((channels, width)).astype(np.float32)
    windows = [np.stack([drawn[int(first) + i] for i in range(height)], axis=1) for first in rows]
    return np.stack(windows)


def _low_passed(x: np.ndarray, hertz: str | float) -> np.ndarray:
    if hertz == "off":
        return x
    edges = cutoff(x) if hertz == "auto" else np.full(len(x), float(hertz))
    return np.concatenate([low_pass(x[i : i + 1], edges[i]) for i in range(len(x))])
