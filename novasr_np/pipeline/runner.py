"""A runner, which computes pieces: a network with its weights, on cores or devices."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..networks.record import Facts, LayerStream, Network
from .feed import Piece


@dataclass(frozen=True)
class Runner:
    """Network ready to run. A context manager; leaving it ends its threads."""

    network: Network
    options: Any  # of the network, as `Network.choose` gives them
    dtype: Any  # of the pieces and their outputs
    # Writes the outputs of every piece. Raises WeightsError if one is NaN, MemoryError if memory is
    # short.
    run: Callable[[list[Piece]], None]
    block: int  # input samples of a piece, at the network's `rate_in`
    chunk: int  # input samples, over all channels, that keep the threads or the device busy
    threads: int = 1  # pieces that are computed at once, if each is on a thread
    multiple: int = 1  # best number of samples for each channel: a multiple of this
    # (the network as it takes a sound, the sound's facts) -> a stream whose layers hold the samples
    # they still need; None if there is none
    open_live: Callable[[Network, Facts], LayerStream] | None = None
    close: Callable[[], None] = lambda: None

    def block_at(self, rate: int) -> int:
        """Input samples of a piece at `rate` Hz, as long as `block` is at the network's."""
        return self.block * rate // self.network.rate_in

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
