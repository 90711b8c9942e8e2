"""Prepare a window's inputs (spectrogram, noise, level), and undo its level afterwards."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..record import Facts, Level, Params, Windows, checked
from . import model
from .lowpass import cutoff, low_pass
from .mel import denormalise
from .mel import level as own_level
from .options import Options
from .sampler import SCHEDULES
from .spec import ROW, STEP, Sizes, sizes_of

_NOISE, _SAMPLE = 1, 2  # the two kinds of random numbers, in a generator's key


@dataclass(frozen=True)
class Folded:
    """Weights and options for `interior`. Made by `fold`."""

    params: Params
    sizes: Sizes
    options: Options
    dtype: Any

    def inputs(
        self, x: np.ndarray, starts: Iterable[int], level: Level | None
    ) -> tuple[model.Inputs, Level]:
        """Prepare windows x [n, T] in any dtype, at 48 kHz, that begin at these samples.

        level: of the sound, None for each window's own. Also returns the level.
        """
        rows = np.array([start // ROW for start in starts])
        noise, eps = _drawn(self.sizes, self.options, rows, x.shape[-1])
        x = _low_passed(x.astype(self.dtype, copy=False), self.options.low_pass)
        level = own_level(x.astype(np.float64)) if level is None else level
        t, schedule = self.options.timestep, SCHEDULES[self.options.schedule]()
        return model.prepare(self.sizes, x, level, noise, eps, t, schedule), level

    @staticmethod
    def finish(y: np.ndarray, level: Level) -> np.ndarray:
        """Undo the normalisation of the networks' windows [n, T]."""
        return denormalise(y, Level(*(part.astype(y.dtype) for part in level)))


def fold(params: Params, dtype: Any, options: Options) -> Folded:
    """Prepare weights (`load`) to run in `dtype`; they are not changed."""
    return Folded(params, sizes_of(params), options, dtype)


def interior(
    p: Folded,
    x: np.ndarray,
    y: np.ndarray,
    memory: None = None,
    start: int = 0,
    facts: Facts | None = None,
) -> None:
    """Upsample a window x [T] at 48 kHz to y [T], in place. start: its position in the sound."""
    inputs, level = p.inputs(x[np.newaxis], [start], facts and facts.level)
    y[:] = p.finish(model.normalised(p.params, inputs), level)[0]


def stages(
    params: Params,
    x: Any,
    start: int = 0,
    facts: Facts | None = None,
    options: Options | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage, in order; the last is ``wave`` [..., T].

    x [..., T] float32 or float64 at 48 kHz, T a multiple of 30,720 (a window has 245,760). start:
    its position in the sound, in samples, a multiple of 3,840: it determines the noise. facts: with
    the sound's level; without it each row has its own. options: None for the defaults.

    Raises TypeError if x is of another dtype, ValueError for another length.
    """
    x, options = checked(x, STEP), options or Options()
    rows = x.reshape(-1, x.shape[-1])
    starts = np.full(len(rows), start // ROW)
    noise, eps = _drawn(sizes_of(params), options, starts, x.shape[-1])
    rows, schedule = _low_passed(rows, options.low_pass), SCHEDULES[options.schedule]()
    level = facts and facts.level
    for name, activation in model.stages(
        params, rows, noise, eps, options.timestep, schedule, level
    ):
        # The step's embedding is the same for all rows.
        each = np.broadcast_to(activation, (len(rows), *activation.shape[1:]))
        yield name, each.reshape(*x.shape[:-1], *each.shape[1:])


def forward(
    params: Params,
    x: Any,
    start: int = 0,
    facts: Facts | None = None,
    options: Options | None = None,
) -> np.ndarray:
    """Run `stages`, and return the last: [..., T] -> [..., T]."""
    for _, activation in stages(params, x, start, facts, options):
        y = activation
    return y


def level_of(facts: Facts, blocks: Iterable[np.ndarray], cut: Windows) -> Facts:
    """Add the level of a sound to its facts: the mean of each channel, and a common peak.

    With the common peak the channels keep their balance. blocks [channels, n], in order, at 48 kHz.
    A sound shorter than a window is filled up with silence, which is included.
    """
    count, total = 0, np.zeros(facts.channels)
    lows, highs = np.full(facts.channels, np.inf), np.full(facts.channels, -np.inf)
    for x in blocks:
        if x.shape[-1]:
            count += x.shape[-1]
            total = total + x.sum(axis=-1, dtype=np.float64)
            lows = np.minimum(lows, x.min(axis=-1))
            highs = np.maximum(highs, x.max(axis=-1))
    if count < cut.length:
        count, lows, highs = cut.length, np.minimum(lows, 0), np.maximum(highs, 0)
    mean = total / count
    peak = np.maximum(highs - mean, mean - lows).max(initial=0)
    return facts._replace(level=Level(mean[:, np.newaxis], np.full((len(mean), 1), peak)))


def _drawn(
    sizes: Sizes, options: Options, rows: np.ndarray, samples: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Draw the noise of windows that begin at these rows, and the noise of their condition."""
    shape = sizes.latent, samples // ROW, sizes.mels // 8
    noise = draw(options.seed, _NOISE, rows, *shape)
    eps = draw(options.seed, _SAMPLE, rows, *shape) if options.condition == "sample" else None
    return noise, eps


def draw(
    seed: int, what: int, rows: np.ndarray, channels: int, height: int, width: int
) -> np.ndarray:
    """Draw standard normal numbers [n, channels, height, width], float32.

    A row depends only on the seed and its position in the sound. So overlapping windows share
    their rows, as do all channels of a sound, and no sound depends on what was computed before it
    or with it.
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
