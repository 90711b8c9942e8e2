"""The front doors: arrays and chunks at any rate in, the same sound at the network's rate out."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .dsp import resample as resampling
from .networks.record import Facts
from .pipeline.arrays import upsample_arrays
from .pipeline.backend import Backend
from .pipeline.upsampler import Upsampler
from .samples import as_audio, as_float, check_levels, whole_number
from .weights import LIVE, Source, as_weights, default_network, load_weights

MAX_CHANNELS = 1024  # of a stream, as of libsndfile's files


def upsample(
    x: Any,
    sample_rate: int | None = None,
    *,
    weights: Source = None,
    resampler: str = "upstream",
    keep_lowband: str | float | bool | None = None,
    threads: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """Upsample speech at any rate to 48 kHz; with FlashSR's weights, any sound.

    x [..., T]: float32, float64 (full scale is 1) or int16 samples at `sample_rate` Hz, each
    leading index a channel of its own; None for the rate that the network hears, 16 kHz. weights: a
    name, a path or loaded ones (`load_weights`); they say which network runs. resampler: how
    another rate becomes 16 kHz (`resample`). keep_lowband: restore what x itself has below so many
    Hz, in place of the network's; "auto" for 7/8 of what `sample_rate` can hold, or of where the
    sound ends, which is looked for at rates above the network's; None for what the network is made
    for: nothing, but "auto" with airband. True is taken for "auto", and False for nothing. threads:
    how many share the network's work, None for one on each core; the result is the same to the
    byte. options: of a network that has some, by name, such as ``{"seed": 1}`` of FlashSR.

    Returns [..., ceil(48000 T / sample_rate)] at 48 kHz, so exactly 3T samples for 16 kHz: float64
    for float64, else float32. |y| <= 1 for the network alone, while a low band that is kept keeps
    its level, whatever that is. No sample in gives none out.

    Defined as `forward` of the 16 kHz samples, cut to that length; with NovaSR followed by two
    zeros, since that alone gives 3T - 4 (the same ones but for the last 39: those stand for the
    last 13 samples in, whose look-ahead reaches past the end). Computed in blocks, a chunk of some
    million samples at a time, so that beside x and y no more than 100 MB are needed, however long
    they are. FlashSR hears 48 kHz, in windows of 5.12 s that overlap, all channels at one level and
    with one noise; it takes 3 GB.

    Raises TypeError for another dtype, a rate that is no whole number or an unknown option,
    ValueError for NaN, infinity, a scalar, a rate out of range or an option's value, and
    WeightsError as `load_weights` does.
    """
    x = check_levels(as_audio(x))
    loaded = load_weights(weights)
    dtype = np.float64 if x.dtype == np.float64 else np.float32
    with Backend(threads, options).open(loaded, dtype) as runner:
        rate = runner.network.rate_in if sample_rate is None else sample_rate
        (y,) = upsample_arrays(runner, [x], rate, resampler=resampler, keep_lowband=keep_lowband)
    return y


class Stream:
    """Sound at any rate in, at the network's rate out, chunk by chunk.

    weights, resampler, keep_lowband: as for `upsample`, but that None are the embedded weights with
    little look-ahead (`weights.LIVE`), and that a stream cannot look for where its sound ends:
    "auto" is 7/8 of what its rate can hold. sample_rate: of what is pushed, in Hz; None for the
    network's own. channels: how many; each on its own. dtype: float32, or float64, of the work and
    of what comes out. threads: for large chunks; None for one on each core.

    What comes out in all equals what `upsample` gives for all that went in, to within rounding.
    A context manager; leaving it ends the stream and its threads. Raises as `upsample` does, and
    ValueError for a network that has to know a whole sound first.
    """

    def __init__(
        self,
        weights: Source = None,
        sample_rate: int | None = None,
        channels: int = 1,
        *,
        resampler: str = "upstream",
        keep_lowband: str | float | bool | None = None,
        dtype: Any = np.float32,
        threads: int | None = 1,
    ) -> None:
        self.channels = whole_number("channels", channels)
        if self.channels > MAX_CHANNELS:
            raise ValueError(f"channels must be at most {MAX_CHANNELS}, got {channels}")
        self._runner = Backend(threads).open(
            load_weights(LIVE if weights is None else weights), dtype
        )
        rate = self._runner.network.rate_in if sample_rate is None else sample_rate
        self.sample_rate = resampling.check_rate(rate)
        self._upsampler = Upsampler(
            self._runner,
            Facts(self.sample_rate, self.channels),
            resampler=resampler,
            keep_lowband=keep_lowband,
        )
        self._n_pushed = 0
        self._ended = False

    @property
    def latency(self) -> int:
        """Samples of look-ahead, at the pushed rate: the network's, and where there is a resampler
        or a crossover, theirs in addition. An output comes as soon as that many samples follow the
        one it stands for.
        """
        return self._upsampler.latency

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
        chunk = check_levels(as_audio(chunk), self._n_pushed)
        rows = np.atleast_2d(chunk)
        if chunk.ndim > 2 or len(rows) != self.channels:
            transposed = chunk.ndim == 2 and chunk.shape[1] == self.channels
            raise ValueError(
                f"a chunk is [samples] or [channels, samples] of {self.channels} channels, "
                f"got shape {chunk.shape}{': did you mean chunk.T?' if transposed else ''}"
            )
        self._n_pushed += rows.shape[-1]
        y = self._upsampler.push(as_float(rows).astype(self._runner.dtype, copy=False), last)
        if last:
            self.close()
        return y if chunk.ndim == 2 else y[0]

    def close(self) -> None:
        """End the stream and its threads; `push` with last does so too."""
        self._ended = True
        self._runner.close()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def resample(
    x: Any, sample_rate: int, resampler: str = "upstream", new_rate: int | None = None
) -> np.ndarray:
    """Resample to the rate that the default network hears, as `upsample` does before all else.

    x [..., T] float32 or float64 at `sample_rate` Hz -> [..., ceil(new_rate T / sample_rate)] at
    `new_rate` Hz, None for 16 kHz, in the same dtype. At that rate already, x is returned as it is.
    resampler: "upstream" or "hann" (`dsp.resample`; their stop bands are leaky, as the originals'
    are), or "soxr" (steep, quality VHQ, needs the extra ``soxr``).

    Raises ValueError for another resampler or a rate out of range, TypeError for a rate that is no
    whole number or another dtype, ModuleNotFoundError if soxr is asked for and absent.
    """
    if new_rate is None:
        new_rate = default_network().rate_in
    return resampling.resample(x, sample_rate, new_rate, resampler)


def stages(weights: Source, x: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage of the network that the weights are for, in order.

    weights as for `load_weights`; x [..., T], float32 or float64, at the network's rate. A
    hidden activation is [..., channels, time]; the last stage is the output, [..., 3T - 4] for
    NovaSR.

    Raises TypeError if x is of another dtype, ValueError if it is too short.
    """
    loaded = as_weights(weights)
    return loaded.network.compute.stages(loaded.params, x)


def forward(weights: Source, x: Any) -> np.ndarray:
    """Run the bare network that the weights are for: NovaSR gives 3T - 4 samples at 48 kHz.

    weights as for `load_weights`; x [..., T] at the network's rate, float32 or float64, which y
    has, too. float64 runs the same code and is the truth that the rest is measured against. Every
    layer holds the whole signal; the front door, `upsample`, works in blocks.

    Raises TypeError if x is neither float32 nor float64, ValueError if it is too short.
    """
    loaded = as_weights(weights)
    return loaded.network.compute.forward(loaded.params, x)
