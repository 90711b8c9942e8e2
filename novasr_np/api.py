"""Public functions: upsample an array or a stream, resample, and run the bare network."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .dsp import resample as resampling
from .networks.record import Facts
from .pipeline.arrays import upsample_arrays
from .pipeline.backend import Backend
from .pipeline.look import check_edge, place
from .pipeline.upsampler import Upsampler
from .samples import as_audio, as_float, check_levels, scalar, switch, whole_number
from .weights import LIVE, Weights, WeightsLike, as_weights, default_network, load_weights

MAX_CHANNELS = 1024  # of a stream, as of libsndfile's files


def upsample(
    x: Any,
    sample_rate: int | None = None,
    *,
    weights: WeightsLike = None,
    resampler: str = "auto",
    keep_lowband: str | float | bool | None = None,
    edge: float | None = None,
    threads: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """Upsample speech at any rate to 48 kHz; with FlashSR's weights, any sound.

    x [..., T]: float32, float64 (full scale is 1) or int16 samples at `sample_rate` Hz, with a
    separate channel at each leading index. sample_rate: None for the network's input rate, 16 kHz.
    weights: a name, a path or loaded ones (`load_weights`); they determine which network runs.
    edge: Hz at which the sound ends, for airband, which keeps all below and makes all above; None
    to look for it in x. resampler: the one that brings a rate that the network does not take to one
    that it does (`resample`); "auto" for the network's own. airband takes multiples of 200 Hz from
    4 to 48 kHz, the others one rate. keep_lowband: Hz below which x itself is kept, in place of the
    network's output; "auto" or True for 7/8 of the highest frequency at `sample_rate`, or at which
    the sound ends, which is looked for at rates above the network's; None or False for nothing more
    than what the network keeps, as airband does. threads: number of threads that share the
    network's work, None for one on each core; the result is the same to the byte. options: the
    network's, by name, such as ``{"seed": 1}`` for FlashSR.

    Returns [..., ceil(48000 T / sample_rate)] at 48 kHz, so exactly 3T samples for 16 kHz (with
    SpeechSR-24k half as many, at 24 kHz): float64 for float64, else float32. What is kept keeps its
    level, however high; what NovaSR and SpeechSR make is within full scale. For T = 0 the result is
    empty.

    Defined as `forward` of the samples at the rate that the network takes, cut to that length; with
    NovaSR these are followed by two zeros, since `forward` alone gives 3T - 4 samples (the same
    except for the last 39, which belong to the last 13 inputs, whose look-ahead reaches past the
    end), and with SpeechSR-24k, if they are an odd number, by one zero, since `forward` of an odd
    number stretches time, which no stream can know before the end. Computed in chunks of some
    million samples, so that beside x and y no more than 100 MB are needed, whatever their length,
    or 15 MB for each of many threads.
    FlashSR takes 48 kHz, in windows of 5.12 s that overlap, all channels at one level and with the
    same noise; it needs 3 GB.

    Raises TypeError for another dtype, a rate that is no whole number or an unknown option,
    ValueError for NaN, infinity, a scalar, a rate out of range or an option's value, and
    WeightsError as `load_weights` does.
    """
    x = check_levels(as_audio(x))
    loaded = load_weights(weights)
    dtype = np.float64 if x.dtype == np.float64 else np.float32
    with Backend(threads, options).open(loaded, dtype) as runner:
        rate = runner.network.rate_in if sample_rate is None else sample_rate
        (y,) = upsample_arrays(
            runner, [x], rate, resampler=resampler, keep_lowband=keep_lowband, edge=edge
        )
    return y


class Stream:
    """Upsample a sound chunk by chunk, from any rate to the network's.

    weights, resampler, keep_lowband: as for `upsample`, except that weights None are the embedded
    ones with little look-ahead (`weights.LIVE`), and that a stream cannot look for where its sound
    ends: "auto" is 7/8 of the highest frequency at its rate. edge: for airband, Hz at which the
    sound ends; None for half its rate; "follow" for a sound whose edge is not known or moves, as in
    a call: looked for every 100 ms, and believed after a second or so (`networks.airband.follow`),
    with no more latency. sample_rate: of the chunks, in Hz; None for the network's. channels:
    number of channels, computed independently. dtype: float32 or float64, of the computation and
    the outputs. threads: for large chunks; None for one on each core.

    The outputs together equal those of `upsample` for the whole sound, to within rounding.
    A context manager; leaving it ends the stream and its threads. Raises as `upsample` does, and
    ValueError for a network that has to know a whole sound first.
    """

    def __init__(
        self,
        weights: WeightsLike = None,
        sample_rate: int | None = None,
        channels: int = 1,
        *,
        resampler: str = "auto",
        keep_lowband: str | float | bool | None = None,
        edge: float | str | None = None,
        dtype: Any = np.float32,
        threads: int | None = 1,
    ) -> None:
        self.channels = whole_number("channels", channels)
        if self.channels > MAX_CHANNELS:
            raise ValueError(f"channels must be at most {MAX_CHANNELS}, got {self.channels}")
        self._runner = Backend(threads).open(
            load_weights(LIVE if weights is None else weights), dtype
        )
        rate = self._runner.network.rate_in if sample_rate is None else sample_rate
        self.sample_rate = resampling.check_rate(rate)
        follow, hertz = scalar(edge) == "follow", None
        if not follow and edge is not None:
            hertz = check_edge(self._runner.network, edge, self.sample_rate)
        self._upsampler = Upsampler(
            self._runner,
            Facts(self.sample_rate, self.channels, hertz, follow=follow),
            resampler=resampler,
            keep_lowband=keep_lowband,
            live=True,
        )
        self._n_pushed = 0
        self._ended = False

    @property
    def latency(self) -> int:
        """Samples of look-ahead, at the pushed rate: the network's, and that of the resampler and
        the crossover if there are any. `push` returns the output of a sample as soon as the next
        `latency` samples have come.
        """
        return self._upsampler.latency

    @property
    def latency_seconds(self) -> float:
        """`latency` in seconds."""
        return self.latency / self.sample_rate

    def push(self, chunk: Any, last: bool = False) -> np.ndarray:
        """Take the next samples, [n] or [channels, n], any n; return the outputs they determine.

        last: the stream ends with this chunk, and all remaining outputs are returned.
        Returns [m] or [channels, m], like the chunk. Raises ValueError for another shape, NaN or
        infinity (with its place in the stream), or a chunk after the last; TypeError for a dtype
        that is not float32, float64 or int16. A refused chunk leaves the stream as it was.
        """
        last = switch("last", last)
        if self._ended:
            raise ValueError("the stream has ended: its last chunk was pushed, open a new one")
        chunk = check_levels(as_audio(chunk), self._n_pushed)
        rows = np.atleast_2d(chunk)
        if chunk.ndim > 2 or len(rows) != self.channels:
            transposed = chunk.ndim == 2 and chunk.shape[1] == self.channels
            raise ValueError(
                f"a chunk must be [samples] or [channels, samples] of {self.channels} channels, "
                f"got shape {chunk.shape}{': did you mean chunk.T?' if transposed else ''}"
            )
        self._n_pushed += rows.shape[-1]
        y = self._upsampler.push(as_float(rows).astype(self._runner.dtype, copy=False), last)
        if last:
            self.close()
        return y if chunk.ndim == 2 else y[0]

    def close(self) -> None:
        """End the stream and its threads, as `push` with last does."""
        self._ended = True
        self._runner.close()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def resample(
    x: Any, sample_rate: int, resampler: str = "auto", new_rate: int | None = None
) -> np.ndarray:
    """Resample to another rate, by default to 16 kHz, as `upsample` does before a network.

    x [..., T] float32 or float64 at `sample_rate` Hz -> [..., ceil(new_rate T / sample_rate)] at
    `new_rate` Hz, None for 16 kHz, in the same dtype. If the two rates are equal, x is returned
    as it is.
    resampler: "steep"; "upstream", which NovaSR's original has, or "hann", FlashSR's, both leaky
    (`dsp.resample`); "soxr" (steep, quality VHQ, needs the extra ``soxr``); or "auto", the default
    network's own: "steep".

    Raises ValueError for another resampler or a rate out of range, TypeError for a rate that is no
    whole number, another dtype or a scalar, ModuleNotFoundError if soxr is chosen but not
    installed.
    """
    network = default_network()
    if new_rate is None:
        new_rate = network.rate_in
    return resampling.resample(x, sample_rate, new_rate, network.resampler(resampler))


def stages(
    weights: WeightsLike, x: Any, sample_rate: int | None = None, *, edge: float | None = None
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage of the network that the weights are for, in order.

    Arguments as for `forward`. A hidden activation is [..., channels, time]; the last stage is the
    output, [..., 3T - 4] for NovaSR.

    Raises as `forward`.
    """
    loaded, place = _placed(weights, sample_rate, edge)
    return loaded.network.compute.stages(loaded.params, x, **place)


def forward(
    weights: WeightsLike, x: Any, sample_rate: int | None = None, *, edge: float | None = None
) -> np.ndarray:
    """Run the bare network that the weights are for: NovaSR gives 3T - 4 samples at 48 kHz.

    weights as for `load_weights`; x [..., T], float32 or float64, as is y. sample_rate: of x in Hz,
    one that the network takes; None for 16 kHz, or FlashSR's 48. edge: Hz at which the sound ends,
    for airband; None for half the rate. float64 runs the same code and is the reference for all
    tests. Every layer holds the whole signal; `upsample` works in blocks.

    Raises TypeError if x is neither float32 nor float64, ValueError if it is too short, for a rate
    that the network does not take, or an edge as `upsample` does.
    """
    loaded, place = _placed(weights, sample_rate, edge)
    return loaded.network.compute.forward(loaded.params, x, **place)


def _placed(
    weights: WeightsLike, sample_rate: int | None, edge: float | None
) -> tuple[Weights, dict[str, Any]]:
    """Load the weights, and check the rate and the edge for their network."""
    loaded = as_weights(weights)
    return loaded, place(loaded.network, sample_rate, edge)
