"""Look at a sound before its first sample is computed."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..dsp import band, crossover
from ..dsp import resample as resampling
from ..networks.record import Facts, Network
from ..samples import number, scalar

_EDGE_SECONDS = 300  # of a sound, used to find where its band ends
LOWEST_EDGE = 2000  # Hz
_LOWEST_END = 7 / 8  # of half a network's rate; the page has the same (web/page/dsp.js)


def look(
    network: Network,
    blocks: Callable[[], Iterable[np.ndarray]],
    sample_rate: int,
    channels: int,
    *,
    resampler: str = "auto",
    keep_lowband: Any = None,
    edge: Any = None,
    dtype: Any = np.float32,
) -> Facts:
    """Measure the facts of a whole sound that a network and the low band need.

    blocks: returns the sound from its beginning, [channels, n] at `sample_rate` Hz, each time it is
    called; not called if no facts are needed. resampler, keep_lowband: as for `Upsampler`. edge: Hz
    at which the sound ends, None to look for it in the first five minutes.

    Raises as `Upsampler` and `check_edge` do.
    """
    facts = Facts(resampling.check_rate(sample_rate), channels)
    by = network.resampler(resampler)
    if edge is not None:
        facts = facts._replace(edge=check_edge(network, edge, facts.sample_rate))
    elif _needs_edge(network, keep_lowband, facts):
        first = _first(blocks(), _EDGE_SECONDS * facts.sample_rate)
        facts = facts._replace(edge=band.edge(first, facts.sample_rate))
    if network.needs:
        rates = facts.sample_rate, network.rate_in
        resampled = _resampled(blocks(), resampling.make(by, *rates, channels, dtype), facts, dtype)
        facts = network.needs(facts, resampled, network.cut)
    return facts


def check_edge(network: Network, edge: Any, sample_rate: int) -> float:
    """Check the Hz at which a sound ends, given by the user, and return them.

    Raises TypeError if they are no number, ValueError if they are below 2000 or above half the
    sampling rate, or if the network does not take sound of any band.
    """
    if network.takes is None:
        raise ValueError(f"edge must be None for {network.name}, got {edge!r}: it is for airband")
    hertz = number("edge", edge, "Hz or None")
    if not LOWEST_EDGE <= hertz <= sample_rate / 2:
        raise ValueError(
            f"edge must be from {LOWEST_EDGE} Hz to half the sampling rate of {sample_rate} Hz, "
            f"got {edge}"
        )
    return hertz


def place(network: Network, sample_rate: int | None, edge: Any) -> dict[str, Any]:
    """Arguments of a bare network's functions for a whole sound; None for the network's rate.

    Raises TypeError, ValueError for a rate that the network does not take, or as `check_edge`.
    """
    rate = network.rate_in if sample_rate is None else resampling.check_rate(sample_rate)
    network = network.for_rate(rate)
    if network.rate_in != rate:
        raise ValueError(
            f"{network.name} takes sound at {network.rate_in} Hz here, got {rate} Hz: resample it, "
            "or use upsample, which does"
        )
    hertz = None if edge is None else check_edge(network, edge, rate)
    return network.place(0, Facts(rate, 1, hertz))


def edge_note(network: Network, sample_rate: int, edge: float | None) -> str | None:
    """Say where a sound ends, or that it ends too low for the network; None if neither is worth it.

    Little is restored by a network for one band of a sound that ends below 7/8 of it. sample_rate,
    edge: as in `Facts`.
    """
    if network.takes:
        return None if edge is None else f"its sound ends at {edge / 1000:.3g} kHz"
    highest = network.rate_in / 2
    end = min(sample_rate / 2, highest if edge is None else edge)
    if network.rate_in == network.rate_out or end >= _LOWEST_END * highest:
        return None
    return (
        f"its sound ends at {end / 1000:.3g} kHz, and {network.name} is made for sound up to "
        f"{highest / 1000:g} kHz: little is restored above"
    )


def low_band_end(network: Network, keep_lowband: Any, facts: Facts) -> float | None:
    """Hz below which the input's own sound is restored in place of the network's; None for none.

    keep_lowband: a number of Hz; "auto" (or True) for 7/8 of the highest frequency at the sampling
    rate, or at which the band ends, if that was found, but nothing with a network that keeps all
    below the edge itself; None or False for nothing.

    Raises TypeError for anything else, ValueError for Hz too high for the sampling rate.
    """
    keep = _keep(network, keep_lowband)
    if keep is None:
        return None
    if keep == "auto":
        return crossover.highest(facts.sample_rate, network.rate_out, facts.edge)
    return crossover.check(keep, facts.sample_rate, network.rate_out)


def _keep(network: Network, keep_lowband: Any) -> Any:
    """Resolve to "auto", Hz, or None for nothing."""
    keep_lowband = scalar(keep_lowband)
    if isinstance(keep_lowband, bool):
        keep_lowband = "auto" if keep_lowband else None
    is_word = isinstance(keep_lowband, str) and keep_lowband == "auto"
    if is_word:
        return None if network.takes else keep_lowband
    if keep_lowband is None:
        return None
    return number("keep_lowband", keep_lowband, "'auto', Hz or None")


def _needs_edge(network: Network, keep_lowband: Any, facts: Facts) -> bool:
    """Whether it has to be known where the sound ends, and whether that may be anywhere."""
    if network.takes:
        return True
    may_end_below = facts.sample_rate > network.rate_in or network.rate_in == network.rate_out
    return _keep(network, keep_lowband) == "auto" and may_end_below


def _first(blocks: Iterable[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    """Yield the blocks up to `samples` samples."""
    for x in blocks:
        yield x
        samples -= x.shape[-1]
        if samples <= 0:
            return


def _resampled(
    blocks: Iterable[np.ndarray], resampler: Any, facts: Facts, dtype: Any
) -> Iterator[np.ndarray]:
    silence = np.zeros((facts.channels, 0), dtype)
    for x in blocks:
        yield resampler.push(x.astype(dtype, copy=False), False)
    yield resampler.push(silence, True)
