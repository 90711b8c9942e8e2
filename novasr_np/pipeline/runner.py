"""A runner, which computes pieces: a network with its weights, on cores or devices."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..networks.record import Facts, LayerStream, Network
from .feed import Feed, Int16, Piece, open_feed


@dataclass(frozen=True)
class Runner:
    """Network ready to run. A context manager; leaving it ends its threads."""

    network: Network
    options: Any  # of the network, as `Network.choose` gives them
    dtype: Any  # of the pieces and their outputs
    # Writes the outputs of every piece, then adds their levels to its `Int16`. Raises WeightsError
    # if one is NaN, MemoryError if memory is short, and then adds none.
    run: Callable[[list[Piece]], None]
    block: int  # input samples of a piece, at the network's `rate_in`
    chunk: int  # input samples, over all channels, that keep the threads or the device busy
    multiple: int = 1  # best number of samples for each channel: a multiple of this
    int16: bool = False  # whether it gives outputs as int16
    # (the network as it takes a sound, the sound's facts) -> a stream whose layers hold the samples
    # they still need; None if there is none
    open_live: Callable[[Network, Facts], LayerStream] | None = None
    close: Callable[[], None] = lambda: None

    def open_feed(
        self,
        network: Network,
        facts: Facts,
        *,
        whole_blocks: bool = False,
        bare: bool = False,
        int16: Int16 | None = None,
    ) -> Feed:
        """Create the feed that cuts a sound for this runner.

        network: as it takes the sound (`Network.for_rate`). int16: as for `feed.open_feed`, where
        the runner can. The rest likewise.
        """
        return open_feed(
            network,
            facts,
            self.dtype,
            self.options,
            # As long as at the network's own rate.
            block=self.block * network.rate_in // self.network.rate_in,
            whole_blocks=whole_blocks,
            bare=bare,
            segments=self.open_live is not None,
            int16=int16 if self.int16 else None,
        )

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
