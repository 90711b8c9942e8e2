"""Cut a sound of any length into pieces to compute, and join their outputs.

In a network of finite context each output depends on a fixed number of input samples on either
side. A piece that includes this context gives exactly the samples of the whole sound, with no
cross-fade (`ContextFeed`). Only at the ends of a sound do the layers see zeros: pieces there go
through `forward`, the plain network, and all others through `interior`.

Where a network's layers hold the samples that they still need (`LayerStream`), no piece is computed
twice but where one segment of a quarter of a minute meets the next (`SegmentFeed`).

In a network such as FlashSR each output depends on its whole window, and outputs near a window's
edges are not reliable. So windows overlap, and each is cross-faded into the next in the middle of
the overlap (`WindowFeed`).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..dsp.overlap import OverlapAdd
from ..networks.record import Context, Facts, Network, Windows
from ..samples import Int16Rule, ceil_div

SEGMENT = 4  # blocks


@dataclass
class Int16:
    """Conversion of a sound's outputs to int16 where they are computed.

    peak, saturated: of the outputs before it, as `samples.peak` and `samples.count_saturated`.
    """

    rule: Int16Rule
    peak: float = 0.0
    saturated: int = 0

    def add(self, peak: float, saturated: int) -> None:
        """Count in the outputs of a piece."""
        self.peak = max(self.peak, peak)
        self.saturated += saturated


class Piece(NamedTuple):
    """Row of samples to compute."""

    # True if it holds an end of the sound: for `forward`, else for `interior`. Of a segment, if it
    # is the last.
    at_end: bool
    x: np.ndarray  # [n] input samples, context included
    start: int  # their first sample's position in the sound
    facts: Facts  # of the sound, with the level of this row only
    network: Network  # as it takes the sound (`Network.for_rate`)
    skip: int  # outputs to skip before the first one needed
    y: np.ndarray  # view of the sound's output, written in place
    int16: Int16 | None = None  # of the sound: y is int16, by this rule


class Feed(Protocol):
    """Cutter of a sound that comes in chunks, which also joins the outputs of its pieces."""

    latency: int  # look-ahead: input samples needed after one before its outputs can be computed
    int16: Int16 | None  # None: the outputs are floats

    def cut(self, x: np.ndarray, last: bool, due: int | None = None) -> list[Piece]:
        """Take x [channels, n], any n; return the pieces that can be computed now.

        last: the sound ends with x, and has `due` outputs, None for all that there are.
        """

    def mix(self, last: bool) -> np.ndarray:
        """Return the outputs that no later piece can change, [channels, m].

        All pieces that `cut` returned must have been computed. last: as for the `cut` before.
        """


def open_feed(
    network: Network,
    facts: Facts,
    dtype: Any,
    options: Any = None,
    *,
    block: int | None = None,
    whole_blocks: bool = False,
    bare: bool = False,
    segments: bool = False,
    int16: Int16 | None = None,
) -> Feed:
    """Create the feed that cuts a sound for a network.

    options: of the network, as `Network.choose` returns them. The rest applies to networks with a
    context: block: input samples of a piece, None for the network's default; whole_blocks: keep
    back samples that do not fill a block, so that the pieces do not depend on the chunks; bare: end
    as `forward` does, with no zeros after the sound; segments: for pieces that each are a stream,
    whose layers hold samples; int16: of the outputs, None for floats. Windows are cross-faded, and
    segments computed on the host: they stay floats.
    """
    if isinstance(network.cut, Windows):
        return WindowFeed(network, facts, dtype, options)
    if segments:
        return SegmentFeed(network, facts, dtype, block)
    return ContextFeed(network, facts, dtype, block, whole_blocks, bare, int16)


class ContextFeed:
    """Feed with exact cuts: each piece includes its context. Arguments as for `open_feed`."""

    def __init__(
        self,
        network: Network,
        facts: Facts,
        dtype: Any,
        block: int | None = None,
        whole_blocks: bool = False,
        bare: bool = False,
        int16: Int16 | None = None,
    ) -> None:
        assert isinstance(network.cut, Context)
        self._network, self._cut = network, network.cut
        size = self._cut.block if block is None else block
        self._block = self._cut.step * ceil_div(size, self._cut.step)
        self._whole_blocks, self._bare = whole_blocks, bare
        self._facts = _by_row(facts)
        self._held = np.zeros((facts.channels, 0), dtype)
        self._start = 0  # position in the sound of the first sample held
        self._done = 0  # input samples whose outputs have been cut
        self._ready: list[np.ndarray] = []
        self.latency, self.int16 = self._cut.right, int16
        self._nothing = np.zeros((facts.channels, 0), np.int16 if int16 else dtype)

    def cut(self, x: np.ndarray, last: bool, due: int | None = None) -> list[Piece]:
        held = np.concatenate([self._held, x], axis=-1) if self._held.size else x
        cut = self._cut
        samples = self._start + held.shape[-1]
        if last and not self._bare and samples:
            held = np.pad(held, ((0, 0), (0, cut.padding(samples))))
        end = self._start + held.shape[-1]
        until = end if last else cut.whole(end - cut.right)
        if self._whole_blocks and not last:
            blocks = max(0, until - cut.left) // self._block
            long = blocks and samples > 2 * cut.context  # else both ends may be in one piece
            until = cut.left + blocks * self._block if long else 0
        if until <= self._done:
            self._held = held.copy() if held is x else held
            return []
        at = self._network.at
        first = at(self._done)
        stop = at(until)
        if last:  # the bare network's length, or less, if zeros were put behind the sound
            stop = self._network.length(until) if self._bare else at(until - cut.tail)
            stop = stop if due is None else min(stop, due)
        y = np.empty((len(held), max(0, stop - first)), self._nothing.dtype)
        pieces = self._pieces(held, y, until, last)
        self._ready.append(y)
        self._done = until
        keep = max(0, until - cut.left)
        self._held, self._start = held[:, keep - self._start :].copy(), keep
        return pieces

    def _pieces(self, held: np.ndarray, y: np.ndarray, until: int, last: bool) -> list[Piece]:
        """Cut the pieces that fill y, the outputs from `_done` on; `held` begins at `_start`."""
        cut, network, start, done = self._cut, self._network, self._start, self._done
        int16 = self.int16
        at = network.at
        held = held if last else held[:, : cut.whole(held.shape[-1])]
        samples, first = held.shape[-1], at(self._done)
        begins = start == 0
        short = samples <= 2 * cut.context or (last and samples % cut.step > 0)
        pieces = []
        for x, row, facts in zip(held, y, self._facts, strict=True):
            if (begins or last) and short:
                pieces.append(Piece(True, x, start, facts, network, first - at(start), row, int16))
                continue
            if done < cut.left and begins:
                head = row[: at(cut.left) - first]
                pieces.append(Piece(True, x[: cut.context], 0, facts, network, first, head, int16))
            if last:
                tail = row[at(until - cut.right) - first :]
                context = x[samples - cut.context :]
                skip = at(cut.left)
                pieces.append(
                    Piece(True, context, until - cut.context, facts, network, skip, tail, int16)
                )
        if pieces and short and (begins or last):
            return pieces
        inside = range(max(done, cut.left), until - cut.right if last else until, self._block)
        for x, row, facts in zip(held, y, self._facts, strict=True):
            for begin in inside:
                stop = min(begin + self._block, inside.stop)
                window = x[begin - cut.left - start : stop + cut.right - start]
                out = row[at(begin) - first : at(stop) - first]
                pieces.append(Piece(False, window, begin - cut.left, facts, network, 0, out, int16))
        return pieces

    def mix(self, last: bool) -> np.ndarray:
        ready, self._ready = self._ready, []
        return _joined(ready, self._nothing)


class SegmentFeed:
    """Feed with long segments, each of which is a stream that begins at its context.

    The segments do not depend on the chunks. Arguments as for `open_feed`.
    """

    int16: Int16 | None = None

    def __init__(self, network: Network, facts: Facts, dtype: Any, block: int | None) -> None:
        cut = network.cut
        self._network, self._cut, self._facts = network, cut, _by_row(facts)
        size = cut.block if block is None else block
        self._segment = SEGMENT * cut.step * ceil_div(size, cut.step)
        self._held = np.zeros((facts.channels, 0), dtype)
        self._start = 0  # position in the sound of the first sample held
        self._done = 0  # input samples whose outputs have been cut
        self._ready: list[np.ndarray] = []
        self.latency = cut.right

    def cut(self, x: np.ndarray, last: bool, due: int | None = None) -> list[Piece]:
        self._held = np.concatenate([self._held, x], axis=-1) if self._held.size else x
        end = self._start + self._held.shape[-1]
        pieces = []
        while end >= self._done + self._segment + self._cut.right:
            until = self._done + self._segment
            pieces += self._pieces(until, self._network.at(until), False)
        if last and end > self._done:
            length = self._network.length(end)
            pieces += self._pieces(end, length if due is None else min(length, due), True)
        keep = max(self._start, min(self._done - self._cut.left, end))
        self._held, self._start = self._held[:, keep - self._start :].copy(), keep
        return pieces

    def _pieces(self, until: int, outputs: int, last: bool) -> list[Piece]:
        """Cut the pieces from `_done` to `until`, a row each; outputs: of the sound until there."""
        at, start = self._network.at, max(0, self._done - self._cut.left)
        stop = until if last else until + self._cut.right
        window = slice(start - self._start, stop - self._start)
        y = np.empty((len(self._held), outputs - at(self._done)), self._held.dtype)
        skip = at(self._done) - at(start)
        self._ready.append(y)
        self._done = until
        return [
            Piece(last, x[window], start, facts, self._network, skip, row)
            for x, row, facts in zip(self._held, y, self._facts, strict=True)
        ]

    def mix(self, last: bool) -> np.ndarray:
        ready, self._ready = self._ready, []
        return _joined(ready, self._held)


class WindowFeed:
    """Feed with windows that overlap and cross-fade, normalised by the level of the whole sound.

    The last window is filled up with silence. Arguments as for `open_feed`; with the option
    exact_windows each window is normalised by its own level.
    """

    int16: Int16 | None = None

    def __init__(self, network: Network, facts: Facts, dtype: Any, options: Any) -> None:
        cut = network.cut
        self._network = network
        self._window, self._overlap = cut.length, options.overlap
        facts = facts._replace(level=None) if options.exact_windows else facts
        self._facts = _by_row(facts)
        self._sound = OverlapAdd(options.overlap, options.fade, dtype)
        self._held = np.zeros((facts.channels, 0), dtype)  # from the next window's first sample on
        self._n_cut = self._n_taken = self._n_given = 0  # windows; samples of each channel
        self._ready: list[np.ndarray] = []
        self.latency = cut.length

    def cut(self, x: np.ndarray, last: bool, due: int | None = None) -> list[Piece]:
        self._n_taken += x.shape[-1]  # which are as many as are due: the rate stays
        self._held = np.concatenate([self._held, x], axis=-1)
        pieces: list[Piece] = []
        while True:
            held = self._held.shape[-1]
            known = self._overlap if self._n_cut else 0  # samples of the window before
            if held < self._window and not (last and held > known):
                return pieces
            missing = max(0, self._window - held)
            window = np.pad(self._held[:, : self._window], [(0, 0), (0, missing)])
            y = np.empty_like(window)
            start = self._n_cut * (self._window - self._overlap)
            rows = zip(window, self._facts, y, strict=True)
            pieces += [
                Piece(False, x, start, facts, self._network, 0, row) for x, facts, row in rows
            ]
            self._ready.append(y)
            self._held = self._held[:, self._window - self._overlap :]
            self._n_cut += 1

    def mix(self, last: bool) -> np.ndarray:
        parts = [self._held[:, :0], *map(self._sound.push, self._ready)]
        self._ready = []
        if last and self._n_cut:
            parts.append(self._sound.rest())
        y = np.concatenate(parts, axis=-1)[:, : self._n_taken - self._n_given]
        self._n_given += y.shape[-1]
        return y


def _joined(parts: list[np.ndarray], like: np.ndarray) -> np.ndarray:
    """Join [channels, n] each; if there are none, to no samples of the kind of `like`."""
    return parts[0] if len(parts) == 1 else np.concatenate([like[:, :0], *parts], axis=-1)


def _by_row(facts: Facts) -> list[Facts]:
    """Split the facts by channel, each with its own level."""
    if facts.level is None:
        return [facts] * facts.channels
    mean, peak = facts.level
    return [
        facts._replace(level=type(facts.level)(mean[i : i + 1], peak[i : i + 1]))
        for i in range(facts.channels)
    ]
