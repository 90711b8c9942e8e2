"""Upsample a sound that comes chunk by chunk: resample, cut, compute, mix, low band, trim."""

from typing import Any

import numpy as np

from ..dsp import resample as resampling
from ..dsp.crossover import Crossover
from ..networks.record import Facts
from ..samples import Int16Rule, ceil_div
from .feed import Int16, Piece
from .look import low_band_end
from .runner import Runner


class Upsampler:
    """Upsample a sound chunk by chunk, from any rate to the network's.

    runner: computes the pieces; it stays open. facts: of the sound (`look`). resampler,
    keep_lowband: as for `novasr_np.upsample`. live: return outputs as soon as they are determined;
    otherwise they come later, in pieces that do not depend on the chunks. int16: a rule by which
    the outputs are rounded where they are computed, if the runner can and nothing follows the
    network; `push` then returns int16, and the attribute int16, else None, tells their levels.

    Raises ValueError for an invalid resampler or Hz, or if the facts lack a level that
    the network needs; TypeError as `low_band_end`, ModuleNotFoundError without soxr.
    """

    def __init__(
        self,
        runner: Runner,
        facts: Facts,
        *,
        resampler: str = "auto",
        keep_lowband: Any = None,
        live: bool = False,
        int16: Int16Rule | None = None,
    ) -> None:
        network, dtype = runner.network.for_rate(facts.sample_rate), runner.dtype
        if network.needs and facts.level is None:
            raise ValueError(
                f"{network.name} must know the level of the whole sound before its first sample, "
                "got a stream: use the function `upsample`, or the command upsample"
            )
        rate, channels = facts.sample_rate, facts.channels
        by = network.resampler(resampler)
        self._runner, self._network, self._facts = runner, network, facts
        self._resampler = resampling.make(by, rate, network.rate_in, channels, dtype)
        self.kept_below = low_band_end(network, keep_lowband, facts)  # Hz, or None
        self._low_band = None
        if self.kept_below is not None:
            self._low_band = Crossover(self.kept_below, rate, network.rate_out, channels, dtype)
        if network.takes and (end := resampling.passes_below(by, rate, network.rate_in)):
            facts = facts._replace(edge=min(facts.edge or end, end))
        asked = Int16(int16) if int16 and not self._low_band else None
        self._feed = runner.open_feed(network, facts, whole_blocks=not live, int16=asked)
        self.int16 = self._feed.int16
        stream = runner.open_live if live else None
        if facts.follow and not (network.takes and stream):
            raise ValueError(f"edge must be None or Hz for {network.name} here, got 'follow'")
        self._live = stream(network, facts) if stream else None
        self._chunk = self._made = np.zeros((channels, 0), dtype)
        self._last = False
        self._n_taken = self._n_given = 0

    @property
    def latency(self) -> int:
        """Samples of look-ahead, at the rate of the chunks: the network's, and that of the
        resampler and the crossover if there are any. `push` returns the output of a sample as soon
        as the next `latency` samples have come.
        """
        network, rate = self._network, self._facts.sample_rate
        beyond = self._low_band.latency if self._low_band else 0
        ahead = ceil_div(self._feed.latency * rate, network.rate_in)
        return ahead + self._resampler.latency + beyond

    def push(self, chunk: np.ndarray, last: bool = False) -> np.ndarray:
        """Take the next samples [channels, n], any n; return the outputs they determine.

        chunk: in the runner's dtype. last: the sound ends with the chunk, and all remaining outputs
        are returned, ceil(T rate_out / sample_rate) in total for T samples. Raises as `Runner.run`.
        """
        if pieces := self.cut(chunk, last):
            self._runner.run(pieces)
        return self.mix()

    def cut(self, chunk: np.ndarray, last: bool = False) -> list[Piece]:
        """Cut the pieces to run: the first half of `push`; `mix` is the second."""
        self._chunk, self._last = chunk, last
        self._n_taken += chunk.shape[-1]
        x = self._resampler.push(chunk, last)
        rate = self._facts.sample_rate
        due = self._network.duration(self._n_taken, rate) if last else None
        if not self._live:
            return self._feed.cut(x, last, due)
        y = self._live.push(x, last)
        self._made = y if due is None else y[:, : due - self._n_given]
        self._n_given += self._made.shape[-1]
        return []

    def mix(self) -> np.ndarray:
        """Return the outputs, once the pieces are run: the second half of `push`."""
        y = self._made if self._live else self._feed.mix(self._last)
        return self._low_band.push(self._chunk, y, self._last) if self._low_band else y
