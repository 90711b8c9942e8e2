"""Diagnose why a port's output is wrong: find the explanation that fits it best."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..networks import Network
from ..networks.record import Params
from .cases import LENGTHS, Case

MARGIN_DB = 10.0  # by which an explanation has to improve the SNR
MATCH_DB = 60.0  # least SNR at which a part of an output is right
_MAX_DELAY = 64  # samples: the largest delay that is found
_SEARCH_SAMPLES = 2000  # of a case, beside the context, in which known faults are looked for


class Finding(NamedTuple):
    """Fault that was found: a code for programs, and a text for people."""

    code: str
    text: str


@dataclass
class Suspects:
    """Faults to compare a port with first, and the number of searches left for others."""

    found: list[str] = field(default_factory=list)
    searches_left: int = 3  # through all faults, without success, in cases that are long enough


def explain(
    case: Case,
    y: np.ndarray,
    truth: np.ndarray,
    expected: tuple[int, int],
    params: Params,
    network: Network,
    suspects: Suspects,
) -> list[Finding]:
    """Explain a wrong output: by its length, and by the best of all explanations.

    expected: the two correct lengths, of the bare network and of `upsample`.
    """
    bare, whole = expected
    if truth.any() and not y.any():
        return [Finding("silence", "it gives silence")]
    n = min(len(y), len(truth))
    is_early_end = len(y) < bare and aligned_delay(y[:n], truth[:n]) == 0
    if is_early_end and snr(y, truth[: len(y)]) > MATCH_DB:
        return [lost_tail(bare - len(y), network)]
    found = []
    if len(y) not in expected:
        found.append(Finding("length", f"{len(y)} samples, expected {bare} or {whole}"))
    y, truth = y[:n], truth[:n]
    before = snr(y, truth)
    if found and before > MATCH_DB:
        return found
    if case.rate != network.rate_in:
        return [*found, Finding("resampler", f"another resampler than {network.own_resampler}")]
    candidates = list(_explanations(y, truth, network))
    candidates += _known_faults(case, y, before, params, network, suspects)
    best, finding = max(candidates, default=(-np.inf, None))
    return [*found, finding] if finding and best > max(0, before) + MARGIN_DB else found


def drift(y: np.ndarray, truth: np.ndarray, network: Network) -> Finding | None:
    """Find an error that grows with time, as it does if an index is computed in float32."""
    parts = zip(np.array_split(y, 4), np.array_split(truth, 4), strict=True)
    levels = [snr(*part) for part in parts]
    least = max(levels[2:]) + MARGIN_DB / 2
    if len(y) < network.at(4 * network.cut.context) or levels[0] < least:
        return None
    text = f"SNR {levels[0]:.0f} dB falls to {levels[-1]:.0f}"
    return Finding("drift", f"interpolation drifts with length: {text}")


def half_precision(y: np.ndarray) -> Finding:
    """Explain an output that is nearly right."""
    every = (y == np.float64(np.float16(y))).all()
    return Finding("half", "half precision" if every else "no better than half precision")


def lost_tail(samples: int, network: Network) -> Finding:
    """Explain an output that ends too early."""
    rate = f"{network.rate_out / 1000:g} kHz"
    return Finding("tail", f"the tail is lost: {samples} samples at {rate}")


def snr(y: np.ndarray, truth: np.ndarray) -> float:
    """SNR in dB; 400 for equal signals."""
    noise, energy = float(((y - truth) ** 2).sum()), float((truth**2).sum())
    if noise == 0:
        return 400.0
    return 10 * np.log10(max(energy, 1e-30) / noise)


def aligned_delay(y: np.ndarray, truth: np.ndarray) -> int:
    """Delay of y in samples at which it, or its negative, fits the truth best; at most 64."""
    reach = min(_MAX_DELAY, len(y) - 1)
    shifts = [0, *(s for k in range(1, reach + 1) for s in (k, -k))]
    products = [abs(float(np.dot(*_aligned(y, truth, s)))) for s in shifts]
    return shifts[int(np.argmax(np.array(products) * (1 - 1e-9 * np.abs(shifts))))]


def _explanations(
    y: np.ndarray, truth: np.ndarray, network: Network
) -> Iterator[tuple[float, Finding]]:
    """Yield (SNR after its correction, finding) for the faults that any port may have."""
    phase = Finding("phase", "the phase is reversed: every sample has the wrong sign")
    yield snr(-y, truth), phase
    silent = int(np.flatnonzero(y[::-1] != 0)[0]) if y.any() else 0
    if silent:
        yield snr(y[:-silent], truth[:-silent]), lost_tail(silent, network)
    if delay := aligned_delay(y, truth):
        side = "late" if delay > 0 else "early"
        yield snr(*_aligned(y, truth, delay)), Finding("delay", f"{abs(delay)} samples {side}")
    gain = float(y @ truth / (truth @ truth)) if truth.any() else 1.0
    if abs(gain - 1) > 1e-3 and gain > 0:
        change, peak = 20 * np.log10(gain), np.abs(y).max()
        text = f"the level is changed: by {change:+.2f} dB, to a peak of {peak:.3f}"
        yield snr(y / gain, truth) - MARGIN_DB, Finding("level", text)
    shift = float(y.mean() - truth.mean())
    if abs(shift) > 1e-3:
        text = f"the mean is changed: by {shift:+.2e}"
        yield snr(y - shift, truth), Finding("mean", text)


def _known_faults(
    case: Case,
    y: np.ndarray,
    before: float,
    params: Params,
    network: Network,
    suspects: Suspects,
) -> list[tuple[float, Finding]]:
    """List the same for the network's known faults: those found before, or all, a few times."""
    long_enough = not case.is_length or len(case.x) >= LENGTHS[-1]
    assert network.ports is not None
    faults = network.ports.faults
    told = () if network.takes is None else (case.rate, case.edge)
    search_all = suspects.searches_left > 0 and long_enough
    names = dict.fromkeys([*suspects.found, *(faults if search_all else ())])
    x = case.x[: _SEARCH_SAMPLES + network.cut.context]
    if len(x) < len(case.x):  # without the outputs that the cut changes
        y = y[: network.at(len(x) - network.cut.right)]
    candidates, best = [], before + MARGIN_DB
    for name in names:
        fault = faults[name]
        with np.errstate(all="ignore"):
            wrong = fault.forward(params, x, *told)[: len(y)]
        if len(wrong) < len(y) - network.cut.edge_loss:
            continue
        level = snr(y[: len(wrong)], wrong)
        candidates.append((level, Finding(name, fault.words)))
        if level > best:
            best = level
            if name not in suspects.found:
                suspects.found.append(name)
    if search_all and best == before + MARGIN_DB:
        suspects.searches_left -= 1
    return candidates


def _aligned(y: np.ndarray, truth: np.ndarray, delay: int) -> tuple[np.ndarray, np.ndarray]:
    if delay >= 0:
        return y[delay:], truth[: len(truth) - delay]
    return y[:delay], truth[-delay:]
