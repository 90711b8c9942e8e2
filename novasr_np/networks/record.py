"""The record of a network: all that the pipeline and the commands know about it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..samples import as_array, ceil_div, whole_number

Params = dict[str, Any]


class Level(NamedTuple):
    """Mean and peak that normalise each row of a sound, [rows, 1] each."""

    mean: np.ndarray
    peak: np.ndarray


class Facts(NamedTuple):
    """Facts about a whole sound, measured before its first sample is computed."""

    sample_rate: int  # Hz, of the source
    channels: int
    edge: float | None = None  # Hz at which its band ends, if given or found (`dsp.band.edge`)
    level: Level | None = None  # at the network's rate, for networks that need it
    follow: bool = False  # whether the edge is found again and again while the sound goes on


def checked(x: Any, least: int) -> np.ndarray:
    """Convert a network's input [..., T] to an array in the machine's byte order, and check it.

    Raises TypeError if it is neither float32 nor float64, ValueError for fewer than `least`
    samples.
    """
    x = as_array("the network's input", x)
    if x.ndim == 0 or x.shape[-1] < least:
        raise ValueError(
            f"the input's last axis must have at least {least} samples, got shape {x.shape}"
        )
    return x


@dataclass(frozen=True)
class Context:
    """Rules for cutting a sound for a network of finite context: exactly, without cross-fades.

    A step of s input samples gives `Network.at` (s) outputs: those of the inputs s n .. s n + s - 1
    depend on the inputs s n - left .. s n + s - 1 + right and on no others. All fields count input
    samples, except `edge_loss`.
    """

    left: int  # a multiple of the step
    right: int  # a multiple of the step: the look-ahead
    step: int = 1  # pieces begin and end between two steps
    min_samples: int = 1  # the shortest input for which the network has an output
    tail: int = 0  # zeros to append to a sound so that `forward` returns all of its outputs
    edge_loss: int = 0  # output samples by which `forward` falls short of `Network.at` (T)
    # Samples that are computed at a time. Smaller blocks fit in a core's cache; larger blocks
    # compute less context twice, and their threads wait less for Python's lock.
    block: int = 4000

    @property
    def context(self) -> int:
        """Samples on both sides together."""
        return self.left + self.right

    def padding(self, samples: int) -> int:
        """Number of zeros to append to `samples` for whole steps and no missing output."""
        return self.tail + -(samples + self.tail) % self.step

    def whole(self, samples: int) -> int:
        """Round a number of samples down to whole steps."""
        return samples // self.step * self.step

    def hop(self, options: Any, block: int | None = None) -> int:
        """Samples by which pieces advance: `block`, None for the network's default."""
        return self.block if block is None else block

    def segment(self, asked: int | None, suits: int) -> int:
        """Samples of each row of a batch, in whole steps: `asked`, None for what suits a device."""
        segment = whole_number("segment", suits if asked is None else asked)
        return ceil_div(segment, self.step) * self.step

    def width(self, segment: int) -> int:
        """Samples of a row with its context."""
        return segment + self.context


@dataclass(frozen=True)
class Windows:
    """Rules for cutting a sound for a network whose outputs depend on their whole window.

    Windows overlap by `options.overlap` samples, with a cross-fade.
    """

    length: int  # input samples
    row: int  # input samples; windows begin at multiples of it
    min_samples: int  # `forward` takes this number and its multiples
    edge_loss = 0

    def hop(self, options: Any, block: int | None = None) -> int:
        """Samples by which windows advance."""
        return self.length - options.overlap

    def segment(self, asked: int | None, suits: int) -> int:
        """Samples of each row of a batch: a window. Raises ValueError unless `asked` is None."""
        if asked is not None:
            raise ValueError(
                f"segment must be None for a network with windows of {self.length} samples, got "
                f"{asked}"
            )
        return self.length

    def width(self, segment: int) -> int:
        """Samples of a row: those of the segment, as a window has no context."""
        return segment


class LayerStream(Protocol):
    """Stream of a sound in pieces; the network's layers hold the samples that they still need."""

    def push(self, x: np.ndarray, last: bool = False) -> np.ndarray:
        """Take x [channels, n]; return the outputs that are determined now.

        last: the sound ends with x. An incomplete step is filled up with zeros, and all remaining
        outputs are returned.
        """


@dataclass(frozen=True)
class Compute:
    """The arithmetic of a network.

    ``start`` is the position of x in its sound, in samples, whole steps; ``facts`` are the sound's
    `Facts`. A network that does not need them ignores them. A network that `Network.takes` several
    rates is also given ``rate``, of x in Hz.
    """

    # (params, x [..., T], start=0, facts=None) -> each stage's (name, activation); and the last of
    # them, y [..., `Network.length` (T)]. A network with options takes them behind.
    stages: Callable[..., Iterator[tuple[str, np.ndarray]]]
    forward: Callable[..., np.ndarray]
    # The fast path: fold: (params, dtype, options) -> folded; then either `open_live`, or, for
    # pieces without an end of the sound, interior: (folded, x [n + context], y [outputs of n],
    # memory, start=, facts=), writes y.
    fold: Callable[[Params, Any, Any], Any]
    interior: Callable[..., None] | None = None
    # (samples, dtype) -> memory for `interior` on up to this number of samples, without context
    scratch: Callable[[int, Any], Any] = lambda samples, dtype: None
    # (folded, dtype, facts, rate) -> a stream; None if each piece includes its context
    open_live: Callable[[Any, Any, Facts, int], LayerStream] | None = None
    # True if a single piece is enough work for all threads, which share it layer by layer.
    shares_layers: bool = False


class Store(Protocol):
    """Reader and writer of weights that are more than one small file; may be a module."""

    VARIANTS: tuple[str, ...]  # names of the sets of weights, one of which is chosen

    def holds(self, path: Path) -> bool:
        """Whether weights of this kind are at a path; looks only at names and headers."""

    def has_parts(self, names: set[str]) -> bool:
        """Whether a tree with these names at its root is one of these."""

    def load(self, source: Any, variant: str | None = None) -> Params:
        """Load the weights at a path, or a tree of them, and check them.

        Raises WeightsError, OSError.
        """

    def save(self, params: Params, path: Path) -> None:
        """Write the weights as one safetensors file. Raises OSError."""

    def describe(self, path: Path, variant: str | None = None) -> Iterator[str]:
        """Describe the weights at a path, in lines. Raises as `load`."""


@dataclass(frozen=True)
class Table:
    """The weights of a network: its tensors, their names in the original, and their files."""

    licence: str  # of the published weights
    tensors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # in the stages' order
    # The tensors in the original's checkpoints, and their conversion to ours
    upstream: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    from_upstream: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]] = dict
    # The network's name among those whose original's checkpoints have the same tensors
    variant: str | None = None
    published: Mapping[str, str] = field(default_factory=dict)  # sha256 of a checkpoint -> name
    max_bytes: int = 0  # of a file
    default: str | None = None  # the embedded weights that the network's name means
    where: str = ""  # how to get the weights, if none are embedded
    store: Store | None = None  # None: a single file, as `novasr_np.weights` reads it


class Fault(NamedTuple):
    """Common mistake of ports: its description for the user, and the network with the mistake."""

    words: str
    # (params, x [T]) -> y, in float64; for a network that takes any band (params, x, rate, edge),
    # both in Hz
    forward: Callable[..., np.ndarray]
    is_rounding: bool = False  # whether it is noise, which no other port has to the sample


def in_call(number: int, wrong: Callable[..., Any], right: Callable[..., Any]) -> Any:
    """A function that is `wrong` in one of its calls, counted from 0, and otherwise `right`."""
    calls = count()

    def call(*args: Any, **options: Any) -> Any:
        return (wrong if next(calls) == number else right)(*args, **options)

    return call


@dataclass(frozen=True)
class Ports:
    """Aids for porting the network to other languages and runtimes."""

    # Some outputs, by index, for the noise that `conformance.self_test` makes as input and weights
    self_test: Mapping[int, float]
    faults: Mapping[str, Fault] = field(default_factory=dict)  # by name
    # (params, opset=, half=) -> an ONNX model; for a network that takes any band with rate=, in Hz,
    # and the edge as a second input of the model
    to_onnx: Callable[..., Any] | None = None


class Option(NamedTuple):
    """Option of a network, set by the user.

    On the command line ``exact_windows`` is ``--exact-windows``.
    """

    name: str
    help: str
    # text -> value; raises ValueError with what was expected. None for a flag.
    parse: Callable[[str], Any] | None = None
    choices: tuple[str, ...] | None = None
    metavar: str | None = None


def _no_options(name: str, options: Mapping[str, Any] | None) -> None:
    if options:
        raise ValueError(f"options must be empty for {name}, got {', '.join(options)}")


@dataclass(frozen=True, eq=False)
class Network:
    """Super-resolution network, from sound at `rate_in` to sound at `rate_out`."""

    name: str  # as in the metadata of its weights, and in messages
    rate_in: int  # Hz; for a network that takes several, the one it has without being told
    rate_out: int  # Hz
    cut: Any  # `Context` or `Windows`, the rules by which `pipeline.feed` cuts a sound
    weights: Table
    compute: Compute
    ports: Ports | None = None
    # (facts, blocks [channels, n] at rate_in, cut) -> facts, completed by those that the network
    # needs
    needs: Callable[[Facts, Iterable[np.ndarray], Any], Facts] | None = None
    options: tuple[Option, ...] = ()
    # (options by name or None, cut) -> all options; raises TypeError, ValueError
    check_options: Callable[[Mapping[str, Any] | None, Any], Any] | None = None
    # Hz of a sound -> Hz at which the network takes it, and the rules of cutting there. For a
    # network that takes sound of any band: it keeps all below the sound's edge, and makes what is
    # missing above. None: it takes sound at `rate_in`, with all of its band.
    takes: Callable[[int], tuple[int, Any]] | None = None
    own_resampler: str = "steep"  # or that of the network's original, if its weights expect it

    def for_rate(self, sample_rate: int) -> "Network":
        """The network as it takes sound at `sample_rate` Hz, `rate_in` and `cut` accordingly."""
        return self if self.takes is None else _for_rate(self, sample_rate)

    def place(self, start: int, facts: Facts) -> dict[str, Any]:
        """Arguments of the functions in `compute` that say where x is from."""
        rate = {} if self.takes is None else {"rate": self.rate_in}
        return {"start": start, "facts": facts, **rate}

    def resampler(self, name: str) -> str:
        """Name in `dsp.resample` for the user's `name`; "auto" is the network's own."""
        return self.own_resampler if name == "auto" else name

    def choose(self, options: Mapping[str, Any] | None) -> Any:
        """Complete the given options with the defaults; None for a network without options.

        Raises TypeError for an unknown name or a wrong type, ValueError for a wrong value, or for
        any option of a network without options.
        """
        if self.check_options is None:
            return _no_options(self.name, options)
        return self.check_options(options, self.cut)

    def at(self, samples: int) -> int:
        """Position at which the outputs of `samples` end: for whole steps, their number."""
        return samples * self.rate_out // self.rate_in

    def length(self, samples: int) -> int:
        """Number of samples that `forward` returns for `samples`."""
        if self.takes:
            return self.duration(samples, self.rate_in)
        return self.at(samples) - self.cut.edge_loss

    def duration(self, samples: int, sample_rate: int) -> int:
        """Number of samples at rate_out that last as long as `samples` at `sample_rate` Hz.

        Rounded up.
        """
        return ceil_div(samples * self.rate_out, sample_rate)


@lru_cache(64)
def _for_rate(network: Network, sample_rate: int) -> Network:
    assert network.takes is not None
    rate, cut = network.takes(sample_rate)
    return replace(network, rate_in=rate, cut=cut)
