"""Look at a sound before its first sample is computed."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..dsp import band, crossover
from ..dsp import resample as resampling
from ..networks.record import Facts, Network
from ..samples import number, scalar

_EDGE_SECONDS = 300  # of a sound, used to find where its band ends
_LOWEST_END = 7 / 8  # of half a network's rate; the page has the same (web/page/dsp.js)


def look(
    network: Network,
    blocks: Callable[[], Iterable[np.ndarray]],
    sample_rate: int,
    channels: int,
    *,
    resampler: str = "auto",
    keep_lowband: Any = None,
    dtype: Any = np.float32,
) -> Facts:
    """Measure the facts of a whole sound that a network and the low band need.

    blocks: returns the sound from its beginning, [channels, n] at `sample_rate` Hz, each time it is
    called; not called if no facts are needed. resampler, keep_lowband: as for `Upsampler`.

    Raises as `Upsampler` does.
    """
    facts = Facts(resampling.check_rate(sample_rate), channels)
    by = network.resampler(resampler)
    if _keep(network, keep_lowband, facts) == "auto" and _may_end_below(network, facts.sample_rate):
        first = _first(blocks(), _EDGE_SECONDS * facts.sample_rate)
        facts = facts._replace(edge=band.edge(first, facts.sample_rate))
    if network.needs:
        rates = facts.sample_rate, network.rate_in
        resampled = _resampled(blocks(), resampling.make(by, *rates, channels, dtype), facts, dtype)
        facts = network.needs(facts, resampled, network.cut)
    return facts


def narrow_note(network: Network, sample_rate: int, edge: float | None) -> str | None:
    """Say that a sound ends too low for the network; None if it does not.

    Little is restored of a sound that ends below 7/8 of the highest frequency that the network was
    made for. sample_rate, edge: as in `Facts`.
    """
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
    rate, or at which the band ends, if that was found, but nothing at the network's own rate or
    below, where its output has the input's low band already; None for the network's default, "auto"
    if it keeps the low band by design, else nothing; False for nothing.

    Raises TypeError for anything else, ValueError for Hz too high for the sampling rate.
    """
    keep = _keep(network, keep_lowband, facts)
    if keep is None:
        return None
    if keep == "auto":
        return crossover.highest(facts.sample_rate, network.rate_out, facts.edge)
    return crossover.check(keep, facts.sample_rate, network.rate_out)


def _keep(network: Network, keep_lowband: Any, facts: Facts) -> Any:
    """Resolve the default: "auto", Hz, or None for nothing."""
    if keep_lowband is None:
        keep_lowband = network.keeps_low_band
    keep_lowband = scalar(keep_lowband)
    if isinstance(keep_lowband, bool):
        keep_lowband = "auto" if keep_lowband else None
    is_word = isinstance(keep_lowband, str) and keep_lowband == "auto"
    if not (keep_lowband is None or is_word):
        keep_lowband = number("keep_lowband", keep_lowband, "'auto', Hz or None")
    has_it = network.keeps_low_band and facts.sample_rate <= network.rate_in
    return None if has_it and keep_lowband == "auto" else keep_lowband


def _may_end_below(network: Network, sample_rate: int) -> bool:
    """Whether a sound at that rate may end below the network's highest input frequency."""
    return sample_rate > network.rate_in or network.rate_in == network.rate_out


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
