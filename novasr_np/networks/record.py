"""The record of a network: all that the pipeline, the files and the commands know of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..samples import ceil_div, whole_number

Params = dict[str, Any]


class Level(NamedTuple):
    """Mean and peak that normalise each row of a sound, [rows, 1] each."""

    mean: np.ndarray
    peak: np.ndarray


class Facts(NamedTuple):
    """What is known of a whole sound before its first sample is computed."""

    sample_rate: int  # Hz, of the source
    channels: int
    edge: float | None = None  # Hz where its band ends (`dsp.band.edge`), if looked for and found
    level: Level | None = None  # at the network's rate, for networks that need it


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


@dataclass(frozen=True)
class Context:
    """How a sound is cut for a network of finite context: exactly, with nothing to fade.

    A step of s input samples gives `Network.at` (s) outputs: those of the inputs s n .. s n + s - 1
    depend on the inputs s n - left .. s n + s - 1 + right and on no others. All in input samples
    but `edge_loss`.
    """

    left: int  # a multiple of the step
    right: int  # a multiple of the step: the look-ahead
    step: int = 1  # pieces begin and end between two steps
    min_samples: int = 1  # the shortest input that leaves the network any output
    tail: int = 0  # zeros to put behind a sound so that `forward` gives all of its outputs
    edge_loss: int = 0  # output samples by which `forward` falls short of `Network.at` (T)
    # Samples that are computed at a time. Smaller blocks stay in a core's own cache, larger ones
    # compute less of their context twice, and let threads wait less for Python's lock.
    block: int = 4000

    @property
    def context(self) -> int:
        """Samples on both sides together."""
        return self.left + self.right

    def padding(self, samples: int) -> int:
        """Zeros to put behind so many, so that they are whole steps and no output is missing."""
        return self.tail + -(samples + self.tail) % self.step

    def whole(self, samples: int) -> int:
        """So many samples, rounded down to whole steps."""
        return samples // self.step * self.step

    def hop(self, options: Any, block: int | None = None) -> int:
        """Samples by which pieces of `block`, None for what suits the network, advance."""
        return self.block if block is None else block

    def segment(self, asked: int | None, suits: int) -> int:
        """Samples of each row of a batch: so many, in whole steps; None for what suits a device."""
        suits = max(suits, self.block)
        segment = whole_number("segment", suits if asked is None else asked)
        return ceil_div(segment, self.step) * self.step

    def width(self, segment: int) -> int:
        """Samples of such a row with its context."""
        return segment + self.context


@dataclass(frozen=True)
class Windows:
    """How a sound is cut for a network in which all of a window sees all of it.

    Windows overlap by `options.overlap` samples and fade into each other.
    """

    length: int  # input samples
    row: int  # input samples; windows begin at multiples of it
    min_samples: int  # `forward` takes these and their multiples
    edge_loss = 0

    def hop(self, options: Any, block: int | None = None) -> int:
        """Samples by which windows advance."""
        return self.length - options.overlap

    def segment(self, asked: int | None, suits: int) -> int:
        """Samples of each row of a batch. Raises ValueError if a number is asked for."""
        if asked is not None:
            raise ValueError(f"segment: the network hears windows of {self.length} samples")
        return self.length

    def width(self, segment: int) -> int:
        """The same: a window brings no context."""
        return segment


class LayerStream(Protocol):
    """A sound that comes in pieces, of which a network's layers hold what they still need."""

    def push(self, x: np.ndarray, last: bool = False) -> np.ndarray:
        """Take x [channels, n]; give the outputs that are determined now.

        last: nothing follows. A step that is not whole is filled up with zeros, and all is given.
        """


@dataclass(frozen=True)
class Compute:
    """The arithmetic of a network.

    ``start`` is where x begins in its sound, in samples, whole steps; ``facts`` are the sound's
    `Facts`. A network that has no use for them ignores them.
    """

    # (params, x [..., T], start=0, facts=None) -> each stage's (name, activation); and the last of
    # them, y [..., `Network.length` (T)]. A network with options takes them behind.
    stages: Callable[..., Iterator[tuple[str, np.ndarray]]]
    forward: Callable[..., np.ndarray]
    # Pieces that hold no end of a sound, fast: (params, dtype, options) -> folded; (folded,
    # x [n + context], y [outputs of n], memory, start=, facts=) writes y.
    fold: Callable[[Params, Any, Any], Any]
    interior: Callable[..., None]
    # (samples, dtype) -> memory for the interior of up to so many, context not counted
    scratch: Callable[[int, Any], Any] = lambda samples, dtype: None
    # (folded, channels, dtype) -> a stream; None where each piece brings its context along
    open_live: Callable[[Any, int, Any], LayerStream] | None = None
    # Whether a single piece is work enough for all threads, shared layer by layer.
    shares_layers: bool = False


class Store(Protocol):
    """Weights that are more than one small file; a module may be one."""

    VARIANTS: tuple[str, ...]  # of which one is chosen

    def holds(self, path: Path) -> bool:
        """Whether weights of this kind are at a path, by a look at names and headers only."""

    def has_parts(self, names: set[str]) -> bool:
        """Whether a tree with these names at its root is one of these."""

    def load(self, source: Any, variant: str | None = None) -> Params:
        """The weights at a path, or a tree of them, checked. Raises WeightsError, OSError."""

    def save(self, params: Params, path: Path) -> None:
        """Write one safetensors file. Raises OSError."""

    def describe(self, path: Path, variant: str | None = None) -> Iterator[str]:
        """Lines on what is at a path. Raises as `load`."""


@dataclass(frozen=True)
class Table:
    """The weights of a network: which tensors, whose, and how they are kept."""

    licence: str  # of the published ones
    tensors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # in the stages' order
    # The same in the original's checkpoints, and from there to ours
    upstream: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    from_upstream: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]] = dict
    published: Mapping[str, str] = field(default_factory=dict)  # sha256 of a checkpoint -> name
    max_bytes: int = 0  # no file of one table is larger
    default: str | None = None  # the embedded ones, for which the network's name stands
    where: str = ""  # how to get them, if there are none
    store: Store | None = None  # None: a file of one table, as `novasr_np.weights` reads it


class Fault(NamedTuple):
    """A mistake that ports make: what is wrong, for the user; and the network with it."""

    words: str
    forward: Callable[[Params, np.ndarray], np.ndarray]  # (params, x [T]) -> y, in float64


@dataclass(frozen=True)
class Ports:
    """What helps to write the network anew elsewhere."""

    # Some outputs, by index, for the input and weights that `conformance.self_test` makes of noise
    self_test: Mapping[int, float]
    faults: Mapping[str, Fault] = field(default_factory=dict)  # by name
    to_onnx: Callable[..., Any] | None = None  # (params, opset=, half=) -> an ONNX model


class Option(NamedTuple):
    """A choice that a network leaves to its user; on the command line ``--exact-windows`` for
    ``exact_windows``.
    """

    name: str
    help: str
    # text -> value; raises ValueError with what was expected. None for a flag.
    parse: Callable[[str], Any] | None = None
    choices: tuple[str, ...] | None = None
    metavar: str | None = None


def _no_options(name: str, options: Mapping[str, Any] | None) -> None:
    if options:
        raise ValueError(f"{name} has no options, got {', '.join(options)}")


@dataclass(frozen=True, eq=False)
class Network:
    """A network that turns sound at `rate_in` into sound at `rate_out`."""

    name: str  # as in the metadata of its weights, and in messages
    rate_in: int  # Hz
    rate_out: int  # Hz
    cut: Any  # `Context` or `Windows`: what `pipeline.feed` cuts a sound by
    weights: Table
    compute: Compute
    ports: Ports | None = None
    # (facts, blocks [channels, n] at rate_in, cut) -> facts, with what has to be known of a whole
    # sound
    needs: Callable[[Facts, Iterable[np.ndarray], Any], Facts] | None = None
    options: tuple[Option, ...] = ()
    # (options by name or None, cut) -> the options, all of them; raises TypeError, ValueError
    check_options: Callable[[Mapping[str, Any] | None, Any], Any] | None = None
    keeps_low_band: bool = False  # whether the input's own is in the output by design
    own_resampler: str = "upstream"  # what its original brings sound to its rate by

    def resampler(self, name: str) -> str:
        """Of `dsp.resample`, for a name that the user gave: "upstream" is the original's."""
        return self.own_resampler if name == "upstream" else name

    def choose(self, options: Mapping[str, Any] | None) -> Any:
        """The options of these names, the rest as they are by default; None if there are none.

        Raises TypeError for an unknown name or a wrong type, ValueError for a wrong value, or for
        any where the network has none.
        """
        if self.check_options is None:
            return _no_options(self.name, options)
        return self.check_options(options, self.cut)

    def at(self, samples: int) -> int:
        """Where the outputs of so many input samples end; of whole steps, how many there are."""
        return samples * self.rate_out // self.rate_in

    def length(self, samples: int) -> int:
        """How many samples `forward` gives for so many."""
        return self.at(samples) - self.cut.edge_loss

    def duration(self, samples: int, sample_rate: int) -> int:
        """How many samples at rate_out last as long as so many at `sample_rate` Hz, rounded up."""
        return ceil_div(samples * self.rate_out, sample_rate)
