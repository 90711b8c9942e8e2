"""Upsample chunk by chunk: pure init, step and flush, and the classes that hold a state."""

from typing import Any, NamedTuple

import numpy as np

from .blocks import Backend, Run, Runner
from .dsp import crossover
from .dsp import resample as resampling
from .networks import Network, Windowed
from .networks.record import Level, Live
from .samples import as_samples, ceil_div, whole_number
from .weights import LIVE, Source, load_weights, network_of

MAX_CHANNELS = 1024  # of a stream, as of libsndfile's files


class State(NamedTuple):
    """What a stream has to remember: never more than a network's context of each channel."""

    recent: np.ndarray  # [channels, k], the latest input samples
    given: int  # how many of them have their outputs already
    start: int  # where they begin in the signal


def init(channels: int, dtype: Any) -> State:
    """The state before the first sample."""
    return State(np.zeros((channels, 0), dtype), 0, 0)


def step(network: Network, run: Run, state: State, x: np.ndarray) -> tuple[State, np.ndarray]:
    """Take x [channels, n], n >= 0, and give every output that it determines.

    After N samples in all, those of N - context_right, in whole steps, have come out.
    """
    left = network.context_left
    recent = np.concatenate([state.recent, x], axis=-1)
    y = run(recent, state.start, False)
    given = max(state.given, network.whole(recent.shape[-1] - network.context_right))
    if state.start == 0:
        y = y[:, network.at(state.given) :]
    if given < left:
        return State(recent, given, 0), y
    recent = recent[:, given - left :].copy()
    return State(recent, left, state.start + given - left), y


def flush(network: Network, run: Run, state: State) -> np.ndarray:
    """The outputs of the last samples, and of what is missing of the last step."""
    samples = state.recent.shape[-1]
    if samples == 0:
        return state.recent
    silence = np.zeros((len(state.recent), network.padding(samples)), state.recent.dtype)
    y = run(np.concatenate([state.recent, silence], -1), state.start, True)
    first = 0 if state.start == 0 else network.context_left
    last = samples + network.padding(samples) - network.tail
    return y[:, network.at(state.given - first) : network.at(last - first)]


class Cut:
    """A `Live` for any network of finite context: each piece brings its context along."""

    def __init__(self, runner: Runner, channels: int) -> None:
        assert isinstance(runner.network, Network)
        self._network, self._run = runner.network, runner.run
        self._state = init(channels, runner.dtype)

    def push(self, x: np.ndarray, last: bool = False) -> np.ndarray:
        self._state, y = step(self._network, self._run, self._state, x)
        if last:
            y = np.concatenate([y, flush(self._network, self._run, self._state)], axis=-1)
        return y


def _live(runner: Runner, channels: int, level: Level | None) -> Live:
    """What takes a signal's pieces."""
    if runner.at_level:
        if level is None:
            raise ValueError(
                f"{runner.network.name} has to know the level of a whole sound before its first "
                "sample: `upsample` takes it, and the command upsample"
            )
        return runner.at_level(channels, level)
    return runner.live(channels) if runner.live else Cut(runner, channels)


class Upsampler:
    """Sound at any rate in, at the network's rate out, chunk by chunk, on a given runner.

    runner: what computes (`Backend.open`); it stays open. sample_rate: of what is pushed, in Hz.
    channels: how many; each on its own. resampler, keep_lowband: as for `upsample`. level: of the
    whole sound (`Runner.measure`), for networks that have to know it before.

    What comes out in all equals what `upsample` gives for all that went in, to within rounding.
    Raises as `upsample` does, ValueError where such a level is missing.
    """

    def __init__(
        self,
        runner: Runner,
        sample_rate: int,
        channels: int = 1,
        *,
        resampler: str = "upstream",
        keep_lowband: bool | float | None = None,
        level: Level | None = None,
    ) -> None:
        self.channels = whole_number("channels", channels)
        if self.channels > MAX_CHANNELS:
            raise ValueError(f"channels must be at most {MAX_CHANNELS}, got {channels}")
        network = runner.network
        self._runner = runner
        self._resampler = resampling.make(
            *(network.resampler(resampler), sample_rate, network.rate_in, channels, runner.dtype)
        )
        keep = network.keeps(keep_lowband, sample_rate)
        self._crossover = crossover.make(
            keep, sample_rate, network.rate_out, channels, runner.dtype
        )
        self.sample_rate = int(sample_rate)
        self._live = _live(runner, channels, level)
        self._pushed = self._given = 0
        self._ended = False

    @property
    def latency(self) -> int:
        """Samples of look-ahead, at the pushed rate: the network's, and where there is a resampler
        or a crossover, theirs in addition. An output comes as soon as that many samples follow the
        one it stands for.
        """
        network = self._runner.network
        ahead = network.window if isinstance(network, Windowed) else network.context_right
        own = ceil_div(ahead * self.sample_rate, network.rate_in)
        beyond = self._crossover.latency if self._crossover else 0
        return own + self._resampler.latency + beyond

    @property
    def latency_seconds(self) -> float:
        """`latency` in seconds."""
        return self.latency / self.sample_rate

    def push(self, chunk: Any, last: bool = False) -> np.ndarray:
        """Take the next samples, [n] or [channels, n], any n; give the outputs they determine.

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
            transposed = chunk.ndim == 2 and chunk.shape[1] == self.channels
            raise ValueError(
                f"a chunk is [samples] or [channels, samples] of {self.channels} channels, "
                f"got shape {chunk.shape}{': did you mean chunk.T?' if transposed else ''}"
            )
        self._pushed += rows.shape[-1]
        self._ended = last
        rows = rows.astype(self._runner.dtype, copy=False)
        y = self._live.push(self._resampler.push(rows, last), last)
        if last:
            due = self._runner.network.duration(self._pushed, self.sample_rate)
            y = y[:, : due - self._given]
            self.close()
        self._given += y.shape[-1]
        if self._crossover:
            y = self._crossover.push(rows, y, last)
        return y if chunk.ndim == 2 else y[0]

    def close(self) -> None:
        """End the stream; `push` with last does so too."""
        self._ended = True

    def __enter__(self) -> "Upsampler":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Stream(Upsampler):
    """Sound at any rate in, at the network's rate out, chunk by chunk.

    weights, resampler, keep_lowband: as for `upsample`, but that None are the embedded weights with
    little look-ahead (`weights.LIVE`), and that a stream cannot look for where its sound ends:
    there a keep_lowband of None is True for airband. sample_rate: of what is pushed, in Hz; None
    for the network's own. channels: how many; each on its own. dtype: float32, or float64, of the
    work and of what comes out. threads: for large chunks; None for one on each core.

    What comes out in all equals what `upsample` gives for all that went in, to within rounding.
    Raises as `upsample` does.
    """

    def __init__(
        self,
        weights: Source = None,
        sample_rate: int | None = None,
        channels: int = 1,
        *,
        resampler: str = "upstream",
        keep_lowband: bool | float | None = None,
        dtype: Any = np.float32,
        threads: int | None = 1,
    ) -> None:
        params = load_weights(LIVE if weights is None else weights)
        network = network_of(params)
        super().__init__(
            Backend(threads).open(network, params, dtype),
            network.rate_in if sample_rate is None else sample_rate,
            channels,
            resampler=resampler,
            keep_lowband=keep_lowband,
        )

    def close(self) -> None:
        """End the stream and its threads; `push` with last does so too."""
        super().close()
        self._runner.close()
