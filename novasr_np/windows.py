"""Cut a sound of any length into windows that overlap, and run a network on each.

For networks that hear a window as a whole: what they make of a sample depends on all of the window,
and its edges are not to be trusted. So windows overlap, and in the middle of an overlap each fades
into the next. All are at the level of the whole sound, which has to be known before the first.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .dsp.windows import OverlapAdd
from .networks.record import Level, Params, Windowed
from .tensors import check_output
from .threads import sharing

# What computes windows: (x [n, window], the rows before each, their level, None for each window's
# own) -> [n, window].
Run = Callable[[np.ndarray, np.ndarray, Level | None], np.ndarray]


def runner(
    network: Windowed, params: Params, options: Any, dtype: Any, threads: int | None = None
) -> Run:
    """Compute windows with numpy, one after the other, each on so many threads.

    Raises TypeError unless the dtype is float32 or float64, WeightsError if a window becomes NaN.
    """
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"the network runs in float32 or float64, got {np.dtype(dtype)}")
    prepare = network.prepare(params, options, dtype)

    @np.errstate(all="ignore")
    def run(x: np.ndarray, rows: np.ndarray, level: Level | None) -> np.ndarray:
        y = np.empty_like(x)
        with sharing(threads):
            for i in range(len(x)):
                one = slice(i, i + 1)
                own = None if level is None else Level(*(part[one] for part in level))
                given, own = prepare(x[one], rows[one], own)
                y[one] = network.finish(network.forward(params, given), own)
        return check_output(y, network.name)

    return run


def measure(network: Windowed, blocks: Iterable[np.ndarray]) -> Level:
    """The level of a sound: the mean of each channel, and one peak for all, so that they keep their
    balance.

    blocks [channels, n], in order, at the network's rate. A sound shorter than a window is followed
    by silence, which counts.
    """
    count, total, least, most = 0, np.zeros(1), np.full(1, np.inf), np.full(1, -np.inf)
    for x in blocks:
        if x.shape[-1]:
            count += x.shape[-1]
            total = total + x.sum(axis=-1, dtype=np.float64)
            least = np.minimum(least, x.min(axis=-1))
            most = np.maximum(most, x.max(axis=-1))
    if count < network.window:
        count, least, most = network.window, np.minimum(least, 0), np.maximum(most, 0)
    mean = total / count
    peak = np.maximum(most - mean, mean - least).max()
    return Level(mean[:, np.newaxis], np.full((len(mean), 1), peak))


class Live:
    """A sound of so many channels that comes in pieces.

    level: of the whole sound; of None, or with the options' exact_windows, each window of each
    channel is at a level of its own.
    """

    def __init__(
        self,
        network: Windowed,
        options: Any,
        run: Run,
        channels: int,
        dtype: Any,
        level: Level | None,
    ) -> None:
        self._run, self._window, self._row = run, network.window, network.row
        self._level = None if options.exact_windows else level
        self._overlap = options.overlap
        self._sound = OverlapAdd(options.overlap, options.fade, dtype)
        self._waiting = np.zeros((channels, 0), dtype)  # from the next window's beginning on
        self._cut = self._taken = self._given = 0  # windows; samples of each channel

    def push(self, x: np.ndarray, last: bool = False) -> np.ndarray:
        """Take x [channels, n], give what no later window will change: [channels, m].

        last: nothing follows; what is missing of the last window is silence, and all is given.
        """
        windows, rows, level = self.cut(x, last)
        return self.mix(self._run(windows, rows, level) if len(windows) else windows, last)

    def cut(self, x: np.ndarray, last: bool) -> tuple[np.ndarray, np.ndarray, Level | None]:
        """The windows that are whole now, one channel after the other: what `Run` takes."""
        self._taken += x.shape[-1]
        self._waiting = np.concatenate([self._waiting, x], axis=-1)
        first = self._cut
        windows = [np.zeros((0, self._window), x.dtype), *self._windows(last)]
        starts = np.arange(first, self._cut) * (self._window - self._overlap)
        level = self._level
        if level is not None:
            level = Level(*(np.tile(part, (len(starts), 1)) for part in level))
        return np.concatenate(windows), np.repeat(starts // self._row, len(x)), level

    def mix(self, made: np.ndarray, last: bool) -> np.ndarray:
        """What `push` gives, when `Run` has made of the windows that were cut."""
        channels = len(self._waiting)
        parts = [np.zeros((channels, 0), made.dtype)]
        count = len(made) // channels
        parts += [self._sound.push(y) for y in made.reshape(count, channels, self._window)]
        if last and self._cut:
            parts.append(self._sound.rest())
        y = np.concatenate(parts, axis=-1)[:, : self._taken - self._given]
        self._given += y.shape[-1]
        return y

    def _windows(self, last: bool) -> Iterator[np.ndarray]:
        """The windows that are whole; of the last samples, if they are in none, one more."""
        while True:
            held = self._waiting.shape[-1]
            known = self._overlap if self._cut else 0  # in the window before already
            if held < self._window and not (last and held > known):
                return
            missing = max(0, self._window - held)
            yield np.pad(self._waiting[:, : self._window], [(0, 0), (0, missing)])
            self._waiting = self._waiting[:, self._window - self._overlap :]
            self._cut += 1


def whole(
    network: Windowed, options: Any, run: Run, x: np.ndarray, start: int, at_end: bool
) -> np.ndarray:
    """A whole sound [channels, n] at once: as `blocks.run`, which may be given pieces."""
    if start or not at_end:
        raise ValueError(f"{network.name} takes whole sounds")
    return Live(network, options, run, len(x), x.dtype, measure(network, [x])).push(x, last=True)
