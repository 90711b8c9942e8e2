"""What computes pieces: a network's weights and the cores or devices behind them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..networks.record import LayerStream, Network
from .feed import Piece


@dataclass(frozen=True)
class Runner:
    """A network ready to run. A context manager; leaving it ends its threads."""

    network: Network
    options: Any  # of the network, as `Network.choose` gives them
    dtype: Any  # of the pieces and their outputs
    # Writes every piece's outputs. Raises WeightsError if one becomes NaN, MemoryError if there is
    # no room.
    run: Callable[[list[Piece]], None]
    block: int  # input samples of a piece
    chunk: int  # input samples, over all channels, that keep it busy
    multiple: int = 1  # each channel best gets a multiple of this many samples
    # channels -> a stream in which layers hold what they need; None where there is none
    open_live: Callable[[int], LayerStream] | None = None
    close: Callable[[], None] = lambda: None

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
