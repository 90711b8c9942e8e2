"""Upsample whole arrays, several in one batch."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..networks.record import Facts
from ..samples import as_float
from .look import look
from .runner import Runner
from .upsampler import Upsampler

_CHUNK = 1 << 20  # samples over all channels at a time, at least


def upsample_arrays(
    runner: Runner,
    clips: Sequence[np.ndarray],
    sample_rate: int,
    *,
    resampler: str = "auto",
    keep_lowband: Any = None,
    edge: Any = None,
) -> list[np.ndarray]:
    """Upsample clips [..., T] (`samples.as_audio`) to [..., ceil(T rate_out / sample_rate)] each.

    Computes a chunk of one clip at a time, or many short clips together, so that memory, beside the
    clips and the outputs, does not grow with them. resampler, keep_lowband, edge: as for `look`.
    Raises as `look` and `Runner.run`.
    """
    size = max(_CHUNK, 2 * runner.chunk)
    how = {"resampler": resampler, "keep_lowband": keep_lowband}
    sounds = [_Sound(runner, x, sample_rate, size, edge, how) for x in clips]
    pieces, begun, waiting = [], [], 0
    for sound in sounds:
        for chunk, last in sound.chunks():
            pieces += sound.upsampler.cut(chunk, last)
            begun.append(sound)
            waiting += chunk.size
            # A sound's next chunk is cut when this one is mixed.
            if not last or waiting >= size:
                _finish(runner, pieces, begun)
                pieces, begun, waiting = [], [], 0
    _finish(runner, pieces, begun)
    return [sound.y for sound in sounds]


def run_bare(
    runner: Runner, x: np.ndarray, sample_rate: int | None = None, edge: float | None = None
) -> np.ndarray:
    """Run the bare network on whole sounds x [channels, T] at its rate, in the runner's dtype.

    sample_rate: one that the network takes, None for its own. edge: in Hz, None for half that rate.
    Returns [channels, `Network.length` (T)], equal to that of `forward`, computed in pieces. Raises
    as `Runner.run`.
    """
    network = runner.network
    network = network if sample_rate is None else network.for_rate(sample_rate)
    feed = runner.open_feed(network, Facts(network.rate_in, len(x), edge), bare=True)
    runner.run(feed.cut(x, last=True))
    return feed.mix(last=True)


def _finish(runner: Runner, pieces: list, begun: list["_Sound"]) -> None:
    runner.run(pieces)
    for sound in begun:
        sound.take(sound.upsampler.mix())


class _Sound:
    """Array in progress, from its chunks of input to its output."""

    def __init__(
        self, runner: Runner, x: np.ndarray, rate: int, size: int, edge: Any, how: dict[str, Any]
    ) -> None:
        channels = int(np.prod(x.shape[:-1]))
        self._x, self._dtype = x, runner.dtype
        self._step = max(1, size // max(1, channels))
        facts = look(
            runner.network,
            lambda: (rows for rows, _ in self.chunks()),
            rate,
            channels,
            edge=edge,
            dtype=runner.dtype,
            **how,
        )
        self.upsampler = Upsampler(runner, facts, **how)
        length = runner.network.duration(x.shape[-1], facts.sample_rate)
        self.y = np.empty((*x.shape[:-1], length), runner.dtype)
        self._rows = self.y.reshape(channels, length)
        self._n_given = 0

    def chunks(self) -> Iterator[tuple[np.ndarray, bool]]:
        """Yield (rows [channels, n], whether they are the last)."""
        samples = self._x.shape[-1]
        for start in range(0, samples if self._x.size else 0, self._step):
            stop = start + self._step
            x = as_float(self._x[..., start:stop]).astype(self._dtype, copy=False)
            yield x.reshape(-1, x.shape[-1]), stop >= samples

    def take(self, y: np.ndarray) -> None:
        """Store the next outputs [channels, n]."""
        self._rows[:, self._n_given : self._n_given + y.shape[-1]] = y
        self._n_given += y.shape[-1]
