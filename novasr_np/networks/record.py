"""The record of a network: all that the engine, the files and the commands know of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..samples import ceil_div

Params = dict[str, Any]


def checked(x: Any, least: int) -> np.ndarray:
    """A network's input [..., T] as an array in the machine's byte order.

    Raises TypeError if it is neither float32 nor float64, ValueError for fewer than `least`
    samples.
    """
    x = np.asarray(x)
    x = x.astype(x.dtype.newbyteorder("="), copy=False)
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"the network takes float32 or float64, got {x.dtype}")
    if x.ndim == 0 or x.shape[-1] < least:
        raise ValueError(
            f"the network needs at least {least} samples in the last axis, got shape {x.shape}"
        )
    return x


def anywhere(function: Callable[..., Any]) -> Callable[..., Any]:
    """A network's function with a `start` that it has no use for: it is the same everywhere."""

    @wraps(function)
    def same(*arguments: Any, start: Any = 0, **options: Any) -> Any:
        return function(*arguments, **options)

    return same


class Live(Protocol):
    """A signal that comes in pieces, of which a network's layers hold what they still need."""

    def push(self, x: np.ndarray, last: bool = False) -> np.ndarray:
        """Take x [channels, n]; give the outputs that are determined now.

        last: nothing follows. A step that is not whole is filled up with zeros, and all is given.
        """


class Fault(NamedTuple):
    """A mistake that ports make: what is wrong, for the user; and the network with it."""

    words: str
    forward: Callable[[Params, np.ndarray], np.ndarray]  # (params, x [T]) -> y, in float64


class Level(NamedTuple):
    """What rows of sound are moved and divided by before a network hears them: [rows, 1] each."""

    mean: np.ndarray
    peak: np.ndarray


class Doors:
    """What the front doors ask of any network, whatever cuts its sound to pieces."""

    name: str
    rate_in: int
    rate_out: int
    keeps_low_band: bool
    own_resampler: str

    def resampler(self, name: str) -> str:
        """Of `dsp.resample`, for a name that the user gave: "upstream" is the original's."""
        return self.own_resampler if name == "upstream" else name

    def keeps(self, keep_lowband: Any, sample_rate: int) -> Any:
        """What `keep_lowband` comes to for an input at `sample_rate` Hz, as `crossover.cutoff`
        takes it: None is what the network is made for, and True is nothing where its own output
        has the input's low band.
        """
        if self.keeps_low_band and (keep_lowband is None or keep_lowband is True):
            return sample_rate > self.rate_in
        return False if keep_lowband is None else keep_lowband

    def may_hear_less(self, sample_rate: int) -> bool:
        """Whether a recording at that rate may hold less than the network can hear."""
        return sample_rate > self.rate_in or self.rate_in == self.rate_out

    def duration(self, samples: int, sample_rate: int) -> int:
        """How many samples at rate_out last as long as so many at `sample_rate` Hz, rounded up."""
        return ceil_div(samples * self.rate_out, sample_rate)


@dataclass(frozen=True)
class Windowed(Doors):
    """A network that hears a window of sound as a whole, in which everything sees everything.

    Long sound is cut into windows that overlap, all at one level (`novasr_np.windows`).
    """

    name: str  # as in the metadata of its weights, and in messages
    rate_in: int  # Hz
    rate_out: int  # Hz, the same
    window: int  # samples
    row: int  # samples; windows begin at multiples of it
    licence: str  # of the published weights
    parts: frozenset[str]  # the names at the root of its tree of weights

    holds: Callable[[Path], bool]  # whether weights of its are there, by a look at names only
    load: Callable[..., Params]  # (path or tree, variant=) -> the weights
    # (path, variant) -> where these are, a folder or a file, and which of the variants they are
    found: Callable[[Path, str | None], tuple[Path, str]]
    save: Callable[[Params, Path], None]
    checked: Callable[..., Any]  # ({name: value} or None, window) -> the options; raises
    # (params, options, dtype) -> what brings windows to the networks: (x [n, window] at its rate,
    # the first row of each, their `Level`) -> given
    prepare: Callable[..., Callable[..., Any]]
    forward: Callable[[Params, Any], np.ndarray]  # (params, given) -> windows, normalised
    finish: Callable[[np.ndarray, Level], np.ndarray]  # ... -> at their level
    keeps_low_band: bool = False
    own_resampler: str = "upstream"  # what its original brings sound to its rate by


@dataclass(frozen=True)
class Network(Doors):
    """A network of finite context that turns `rate_in` into `rate_out`.

    A step of s input samples gives `at` (s) outputs: those of the inputs s n .. s n + s - 1 depend
    on the inputs s n - context_left .. s n + s - 1 + context_right and on no others.
    """

    name: str  # as in the metadata of its weights, and in messages
    rate_in: int  # Hz
    rate_out: int  # Hz
    context_left: int  # input samples, a multiple of the step
    context_right: int  # input samples, a multiple of the step: the look-ahead
    min_samples: int  # the shortest input that leaves the network any output
    edge_loss: int  # output samples by which `forward` falls short of `at` (T)
    tail: int  # zeros to put behind a signal so that `forward` gives all of these

    tensors: Mapping[str, tuple[int, ...]]  # name -> shape, in the order of the stages
    upstream_tensors: Mapping[str, tuple[int, ...]]  # the same in the original's checkpoints
    from_upstream: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]
    published: Mapping[str, str]  # sha256 of a checkpoint -> what it is called
    licence: str  # of those
    max_file_bytes: int  # no weights file of this network is larger

    # (params, x [..., T]) -> each stage's (name, activation); with start= -> y
    # [..., factor T - edge_loss]. start: where x begins in its signal, in samples, whole steps.
    stages: Callable[[Params, Any], Iterator[tuple[str, np.ndarray]]]
    forward: Callable[..., np.ndarray]
    # The inside of a signal, fast. fold(params, dtype) -> folded; scratch(samples, dtype) -> memory
    # for blocks of up to so many input samples; interior(folded, x [n + context], y, memory,
    # start=) writes y [factor n].
    fold: Callable[[Params, Any], Any]
    scratch: Callable[[int, Any], Any]
    interior: Callable[..., None]

    # Some outputs, by index, for the input and weights that `conformance.self_test` makes of noise.
    self_test: Mapping[int, float]
    # For ports: what they may get wrong, by name; and (params, opset=, half=) -> an ONNX model.
    faults: Mapping[str, Fault] = field(default_factory=dict)
    to_onnx: Callable[..., Any] | None = None
    # Input samples of a step. Pieces of a signal begin and end between two; a signal that does not
    # is what `forward` makes of it as a whole.
    step: int = 1
    # Input samples that are computed at a time. Smaller blocks stay in a core's own cache, larger
    # ones compute less of their context twice, and let threads wait less for Python's lock.
    block: int = 4000
    # (folded, channels, dtype) -> a `Live`; None where streams bring the context along each time.
    live: Callable[[Any, int, Any], Live] | None = None
    # Whether the input's own low band is in the output by the network's design.
    keeps_low_band: bool = False
    own_resampler: str = "upstream"

    def at(self, samples: int) -> int:
        """Where the outputs of so many input samples end; of whole steps, how many there are."""
        return samples * self.rate_out // self.rate_in

    def padding(self, samples: int) -> int:
        """Zeros to put behind so many, so that they are whole steps and no output is missing."""
        return self.tail + -(samples + self.tail) % self.step

    def whole(self, samples: int) -> int:
        """So many samples, rounded down to whole steps."""
        return samples // self.step * self.step

    def refuse(self, options: Mapping[str, Any] | None) -> None:
        """Raise ValueError if there are options: only networks that hear windows have some."""
        if options:
            raise ValueError(f"{self.name} has no options, got {', '.join(options)}")

    @property
    def context(self) -> int:
        """Input samples on both sides together."""
        return self.context_left + self.context_right

    def length(self, samples: int) -> int:
        """How many samples `forward` gives for so many."""
        return self.at(samples) - self.edge_loss
