"""Signals that come bit by bit: pure init, step and flush, and a `Stream` that holds the state."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from . import blocks, crossover
from .resample import make
from .spec import CONTEXT_LEFT, CONTEXT_RIGHT, SAMPLE_RATE_IN, UPSAMPLING
from .weights import Source, load_weights

# Far beyond any audio, and far below where the network's arithmetic overflows in float32.
MAX_LEVEL = 1e9


# What computes a piece of a signal, (x, at_start, at_end) -> y, as `blocks.run` defines it.
Run = Callable[[np.ndarray, bool, bool], np.ndarray]


class State(NamedTuple):
    """What a stream has to remember: never more than 24 samples of each channel."""

    recent: np.ndarray  # [channels, k], the latest input samples
    given: int  # how many of them have their outputs already
    at_start: bool  # whether they begin the signal


def init(channels: int, dtype) -> State:
    """The state before the first sample."""
    return State(np.zeros((channels, 0), dtype), 0, True)


def step(run: Run, state: State, x) -> tuple[State, np.ndarray]:
    """Take x [channels, n], n >= 0, and give every output that it settles, 3 for each sample.

    After N samples in all, 3 (N - 13) have come out: the look-ahead is 13 samples.
    """
    recent = np.concatenate([state.recent, x], axis=-1)
    y = run(recent, state.at_start, False)
    given = max(state.given, recent.shape[-1] - CONTEXT_RIGHT)
    if state.at_start:
        y = y[:, UPSAMPLING * state.given :]
    if given < CONTEXT_LEFT:
        return State(recent, given, True), y
    recent = recent[:, given - CONTEXT_LEFT :].copy()
    return State(recent, CONTEXT_LEFT, state.at_start and given == CONTEXT_LEFT), y


def flush(run: Run, state: State) -> np.ndarray:
    """The outputs of the last samples, so that 3 for each sample have come out in all."""
    samples = state.recent.shape[-1]
    if samples == 0:
        return state.recent
    silence = np.zeros((len(state.recent), 2), state.recent.dtype)
    y = run(np.concatenate([state.recent, silence], -1), state.at_start, True)
    first = 0 if state.at_start else CONTEXT_LEFT
    return y[:, UPSAMPLING * (state.given - first) : UPSAMPLING * (samples - first)]


class Stream:
    """Speech to 48 kHz as it comes.

    weights, resampler, keep_lowband: as for `upsample`. sample_rate: of what is pushed, in Hz.
    channels: how many; each on its own. dtype: float32, or float64, of the work and of what comes
    out. threads: for large chunks; None for all cores. run: what computes instead of this package,
    from other weights and with threads of its own (`Run`); weights and threads are not looked at
    then.

    What comes out in all equals what `upsample` gives for all that went in, to within rounding.
    Raises as `upsample` does.
    """

    def __init__(
        self,
        weights: Source = None,
        sample_rate: int = SAMPLE_RATE_IN,
        channels: int = 1,
        *,
        resampler: str = "upstream",
        keep_lowband: bool | float = False,
        dtype=np.float32,
        threads: int | None = 1,
        run: Run | None = None,
    ) -> None:
        if isinstance(channels, bool) or not isinstance(channels, (int, np.integer)):
            raise TypeError(f"channels is a whole number, got {channels!r}")
        if channels < 1:
            raise ValueError(f"a stream has at least 1 channel, got {channels}")
        self._workers = blocks.Workers(threads if run is None else 1)
        if run is None:
            net = blocks.network(load_weights(weights), dtype)
            run = partial(blocks.run, net, workers=self._workers)
        self._run = run
        self._resampler = make(resampler, sample_rate, channels, dtype)
        hertz = crossover.cutoff(keep_lowband, sample_rate)
        self._crossover = (
            None if hertz is None else crossover.Crossover(hertz, sample_rate, channels, dtype)
        )
        self.channels, self.sample_rate = int(channels), int(sample_rate)
        self._state = init(channels, dtype)
        self._pushed = 0
        self._ended = False

    @property
    def latency(self) -> int:
        """Samples of look-ahead, at the pushed rate: 13 at 16 kHz, and at others the resampler's
        and the crossover's in addition. An output comes as soon as that many samples follow the
        one it stands for.
        """
        own = -(-CONTEXT_RIGHT * self.sample_rate // SAMPLE_RATE_IN)
        beyond = self._crossover.latency if self._crossover else 0
        return own + self._resampler.latency + beyond

    @property
    def latency_seconds(self) -> float:
        """`latency` in seconds."""
        return self.latency / self.sample_rate

    def push(self, chunk, last: bool = False) -> np.ndarray:
        """Take the next samples, [n] or [channels, n], any n; give what they settle at 48 kHz.

        last: nothing follows; gives all the rest, and the stream takes no more.
        Returns [m] or [channels, m], as the chunk came. Raises ValueError for another shape, NaN
        or infinity (with its place in the stream), or after the last; TypeError for a dtype that
        is not float32, float64 or int16. A chunk that is refused leaves the stream as it was.
        """
        if self._ended:
            raise ValueError("the stream has ended: its last chunk was pushed")
        chunk = as_samples(chunk, self._pushed)
        rows = np.atleast_2d(chunk)
        if chunk.ndim > 2 or len(rows) != self.channels:
            raise ValueError(
                f"a chunk is [samples] or [channels, samples] of {self.channels} channels, "
                f"got shape {chunk.shape}"
            )
        self._pushed += rows.shape[-1]
        self._ended = last
        rows = rows.astype(self._state.recent.dtype, copy=False)
        x = self._resampler.push(rows, last)
        self._state, y = step(self._run, self._state, x)
        if last:
            rest = flush(self._run, self._state)
            y = np.concatenate([y, rest], axis=-1)
            self.close()
        if self._crossover:
            y = self._crossover.push(rows, y, last)
        return y if chunk.ndim == 2 else y[0]

    def close(self) -> None:
        """End the stream's threads; `push` with last does so too."""
        self._ended = True
        self._workers.__exit__()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def as_samples(x, offset: int = 0) -> np.ndarray:
    """Check audio at the door; int16 becomes float32 in [-1, 1).

    offset: where in its signal x begins, for the message. Raises TypeError, ValueError.
    """
    x = np.asarray(x)
    x = x.astype(x.dtype.newbyteorder("="), copy=False)
    if x.ndim == 0:
        raise ValueError("audio is an array [..., samples], got a scalar")
    if x.dtype == np.int16:
        return x.astype(np.float32) / np.float32(32768)
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"audio is float32, float64 or int16, got {x.dtype}")
    sound = np.abs(x) <= MAX_LEVEL  # false for NaN, too
    if not sound.all():
        first = tuple(int(i) for i in np.argwhere(~sound)[0])
        place = (*first[:-1], first[-1] + offset)
        raise ValueError(
            f"audio must be finite, with full scale 1 and no value above {MAX_LEVEL:.0e}; "
            f"got {x[first]} at index {place}"
        )
    return x
