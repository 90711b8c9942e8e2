"""Where a port is wrong: in which cases, from where to where, and in which band.

A place is named if all that is wrong lies in it and hardly anything in it is right.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from .trial import Trial, decibels

_MOST = 0.9  # of what is on a side of a level is wrong, if the level parts them
_SIZES = "those with peaks from", "samples or more"  # in which rounding is first seen
_FRAME, _BAND = 960, 0.99  # samples of a spectrum; share of the error that is within a band
_LEAST_BINS = 8  # of an output of which a part can be named
_DRIFT_DB = 5.0  # by which the second half is worse than the first quarter
_JUMP = 10  # of the error, where it begins
_FOLD = 0.6  # of the variance of the errors' logarithm that a period explains


class Where(NamedTuple):
    """Where a port is wrong, in words."""

    text: str
    is_place: bool  # whether it is wrong in places, and not from the first sample on
    is_some: bool  # whether it is wrong in cases that have something in common but their size
    drifts: bool  # whether it is further off the longer a sound lasts


def where(trials: list[Trial]) -> Where | None:
    """Say where the outputs of a port are wrong; None if all are right."""
    wrong = [trial for trial in trials if trial.first is not None]
    if not wrong:
        return None
    right = [trial for trial in trials if trial.first is None]
    which = _cases(wrong, right)
    drift = _drift(wrong)
    place = None if drift else _place(wrong, right)
    band = _band(wrong)
    if not right:
        count = f"all {len(trials)} cases are wrong" if len(trials) > 1 else "the case is wrong"
    else:
        count = f"{len(wrong)} of {len(trials)} cases are wrong"
    is_some = bool(which) and not any(size in which for size in _SIZES)
    text = f"{count}{which}, {drift or place or 'from the first sample on'}{band}"
    return Where(text, bool(place or "between" in band), is_some, drift is not None)


def _cases(wrong: list[Trial], right: list[Trial]) -> str:
    """What the wrong cases have in common that no right one has.

    Nothing, if some right ones are nearly wrong, as they are where rounding is at fault.
    """
    if not right:
        return ""
    if min(t.max_abs for t in wrong) < _JUMP * max(t.max_abs for t in right):
        return ""
    for words, has in _traits(wrong, right):
        if all(map(has, wrong)) and not any(map(has, right)):
            return f", {words}"
    if len(wrong) <= 3:
        return f": {'; '.join(trial.case.name for trial in wrong)}"
    return ""


Has = Callable[[Trial], bool]


def _traits(wrong: list[Trial], right: list[Trial]) -> Iterator[tuple[str, Has]]:
    """Yield traits that cases may share, the simplest first."""
    yield "those of two channels", lambda t: t.case.x.ndim == 2
    yield "those of silence", lambda t: not t.case.x.any()
    yield "those with silence", _has_silence
    yield "those with an edge below half the rate", _is_below_half
    for words, value in (("Hz", _rate), ("samples", _samples)):
        kinds = {value(trial) for trial in wrong}
        if len(kinds) == 1:
            (kind,) = kinds
            yield f"those of {kind} {words}", _equal(value, kind)
    own = wrong[0].weights.network.rate_in
    yield f"those of another rate than {own} Hz", lambda t: t.case.rate != own
    if len(wrong) > 1:
        yield from _of_lengths(wrong, right)
    loud = [_peak(t) for t in wrong]
    least, most = min(loud), max(loud)
    if any(_peak(t) > most for t in right):
        yield f"those of a peak of up to {most:.2g}", lambda t: 0 < _peak(t) <= most
    yield f"{_SIZES[0]} {least:.2g}", lambda t: _peak(t) >= least


def _of_lengths(wrong: list[Trial], right: list[Trial]) -> Iterator[tuple[str, Has]]:
    lengths = [_samples(t) for t in wrong]
    least, most = min(lengths), max(lengths)
    yield f"those of up to {most} samples", lambda t: _samples(t) <= most
    yield f"those of {least} {_SIZES[1]}", lambda t: _samples(t) >= least
    for modulus in range(2, 17):
        rests = {n % modulus for n in lengths}
        if len(rests) == 1:
            (rest,) = rests
            of = partial(_remainder, modulus)
            yield f"those whose length modulo {modulus} is {rest}", _equal(of, rest)
    step = wrong[0].weights.network.cut.step
    for skip in (0, 1, 2) if step > 1 else ():  # the shortest may be wrong of themselves
        some = [_rest(trial, step) for trial in wrong if _samples(trial) > skip]
        if some:
            a, b = min(some), max(some)
            short = f", and those of up to {skip} samples" if skip else ""
            words = f"those whose length modulo the hop of {step} samples is {a} to {b}{short}"
            yield words, partial(_ends_within, step, a, b, skip)


def _equal(value: Callable[[Trial], int], wanted: int) -> Has:
    return lambda trial: value(trial) == wanted


def _remainder(modulus: int, trial: Trial) -> int:
    return _samples(trial) % modulus


def _ends_within(step: int, least: int, most: int, skip: int, trial: Trial) -> bool:
    return least <= _rest(trial, step) <= most or _samples(trial) <= skip


def _rest(trial: Trial, step: int) -> int:
    """Samples of the last step, if that is not whole, in those of a step of `step` samples."""
    own = trial.network.cut.step
    return _samples(trial) % own * step // own


def _rate(trial: Trial) -> int:
    return trial.case.rate


def _samples(trial: Trial) -> int:
    return trial.case.x.shape[-1]


def _peak(trial: Trial) -> float:
    return float(np.abs(trial.case.x).max())


def _is_below_half(trial: Trial) -> bool:
    return trial.case.edge is not None and trial.case.edge < trial.case.rate / 2


def _has_silence(trial: Trial) -> bool:
    return bool((trial.levels() == 0).any())


def _place(wrong: list[Trial], right: list[Trial]) -> str | None:
    """Where in the cases; None for everywhere."""
    if all(trial.case.x.ndim == 2 for trial in wrong):
        rows = wrong[0].wrong_channels
        if not rows.all():
            return f"in channel {int(np.flatnonzero(rows)[0]) + 1} alone"
    masks = [trial.errors > trial.tolerance for trial in wrong]
    for rule in (_in_silence, _near_ends, _in_time, _by_level, _regular):
        if found := rule(wrong, right, masks):
            return found
    return None


def _in_silence(wrong: list[Trial], right: list[Trial], masks: list[np.ndarray]) -> str | None:
    silent = [trial.peaks() == 0 for trial in wrong]
    bad, place = np.concatenate(masks), np.concatenate(silent)
    if place.all() or not place.any() or (bad & ~place).any() or bad[place].mean() < 0.5:
        return None
    return "where the input is silent"


def _near_ends(wrong: list[Trial], right: list[Trial], masks: list[np.ndarray]) -> str | None:
    """At their beginnings, ends or both, as far as what is wrong reaches in any."""
    head = tail = 0
    for mask in masks:
        half = len(mask) // 2
        if half >= _LEAST_BINS:
            at = np.flatnonzero(mask)
            head = max(head, int((at[at < half] + 1).max(initial=0)))
            tail = max(tail, int((len(mask) - at[at >= half]).max(initial=0)))
    longest = max(wrong, key=lambda trial: trial.length)
    # What is right before and behind may be a matter of time, and not of ends, in one case alone.
    is_alone = len(wrong) == 1 and longest.case.period is not None
    if not head + tail or head + tail > len(longest.errors) // 4 or is_alone:
        return None
    sides = ((head, "first samples"), (tail, "last samples"))
    return "in " + " and ".join(f"the {n * longest.bin} {words}" for n, words in sides if n)


def _in_time(wrong: list[Trial], right: list[Trial], masks: list[np.ndarray]) -> str | None:
    """From a moment on, or from one to another, that no right case reaches."""
    rate = wrong[0].network.rate_out
    first = min(t.first for t in wrong if t.first is not None)
    last = max(t.last for t in wrong if t.last is not None)
    longest = max(wrong, key=lambda t: t.length)
    if first < _LEAST_BINS * longest.bin or any(t.length > first + rate // 20 for t in right):
        return None
    mask = masks[wrong.index(longest)]
    if (
        last > longest.length - _LEAST_BINS * longest.bin
        and mask[first // longest.bin :].mean() > 0.5
    ):
        return f"from sample {first} of the output ({first / rate:.2f} s) on"
    if last - first < longest.length // 2:
        span = f"{first / rate:.2f} to {last / rate:.2f} s"
        return f"from sample {first} to {last} of the output ({span})"
    return None


def _by_level(wrong: list[Trial], right: list[Trial], masks: list[np.ndarray]) -> str | None:
    """Where the input is below or above a level: the one that parts them best, if all jump there.

    An error in proportion to the sound is seen above a level as well, but has no jump.
    """
    every = [trial.levels() for trial in (*wrong, *right)]
    levels = np.concatenate(every)
    bad = np.concatenate([*masks, *(np.zeros(len(t.errors), bool) for t in right)])
    if bad.all():
        return None
    order = np.argsort(levels, kind="stable")
    ranks, ours = levels[order], bad[order]
    below = np.cumsum(ours) / ours.sum()  # of the wrong bins, those up to here
    good = np.cumsum(~ours) / (~ours).sum()
    cut = np.flatnonzero(np.diff(ranks) > 0)
    if not len(cut):
        return None
    for score, words in ((below - good, "below"), (good - below, "above")):
        best = cut[int(np.argmax(score[cut]))]
        threshold = ranks[best + 1]
        if score[best] < 2 * _MOST - 1:
            continue
        jumps = []
        for trial, level in zip(wrong, every, strict=False):
            quiet = trial.errors[(level >= threshold / 2) & (level < threshold)]
            loud = trial.errors[(level >= threshold) & (level < 2 * threshold)]
            if min(len(quiet), len(loud)) >= _LEAST_BINS:
                low, high = sorted((float(np.median(quiet)), float(np.median(loud))))
                jumps.append(high > _JUMP * low)
        if jumps and all(jumps):
            return f"where the input is {words} {threshold:.2g} ({20 * np.log10(threshold):.0f} dB)"
    return None


def _regular(wrong: list[Trial], right: list[Trial], masks: list[np.ndarray]) -> str | None:
    """At regular places: the errors of an even sound, folded by the period that fits best."""
    trial = max(
        (t for t in wrong if t.case.name.startswith("noise") or t.case.period),
        key=lambda t: len(t.errors),
        default=None,
    )
    if trial is None:
        return None
    errors = np.log10(trial.errors[:4000] + trial.tolerance / 10)
    variance, count = errors.var(), len(errors)
    if count < 4 * _LEAST_BINS or variance < 1e-3:
        return None
    best, period = 0.0, 0
    for size in range(2, min(count // 4, 1000)):
        turns = count // size
        folded = errors[: turns * size].reshape(turns, size)
        within = folded.var(axis=0).mean() * turns / (turns - 1)
        share = 1 - within / variance
        if share > best + 0.02:
            best, period = share, size
    if best < _FOLD:
        return None
    samples = round(period * trial.bin * trial.case.rate / trial.network.rate_out)
    return f"at regular places, every {samples} samples of the input"


def _drift(wrong: list[Trial]) -> str | None:
    """An error that grows with time in most cases, as it does if an index is in float32."""
    falls = []
    for trial in sorted(wrong, key=lambda trial: trial.length):
        if trial.length < trial.network.at(4 * trial.network.cut.context):
            continue
        parts = zip(*(np.array_split(v, 4) for v in (trial.errors, trial.levels())), strict=True)
        levels = [decibels(float((level**2).sum()), float((e**2).sum())) for e, level in parts]
        falls.append((levels[0] >= max(levels[2:]) + _DRIFT_DB, levels))
    if not falls or 2 * sum(fall for fall, _ in falls) <= len(falls):
        return None
    first, *_, last = max(falls)[1]
    return f"and it drifts with length: {first:.0f} dB of SNR fall to {last:.0f}"


def _band(wrong: list[Trial]) -> str:
    """The band of frequencies that has nearly all of the error, if it is a part of all."""
    shares, powers = [], []
    for trial in wrong:
        if trial.y.shape[1] < 2 * _FRAME:  # whose spectrum has no sharp edge
            continue
        error = (trial.y - trial.truth)[0]
        frames = error[: len(error) // _FRAME * _FRAME].reshape(-1, _FRAME)
        power = (np.abs(np.fft.rfft(frames * np.hanning(_FRAME))) ** 2).sum(axis=0)
        if total := float(power.sum()):
            first = round(_edge(trial) * _FRAME / trial.network.rate_out)
            shares.append(float(power[max(0, first - 4) :].sum()) / total)
            powers.append(power / total)
    if not shares:
        return ""
    parts = np.cumsum(np.mean(powers, axis=0))
    low, high = (int(np.searchsorted(parts, (1 + sign * _BAND) / 2)) for sign in (-1, 1))
    scale = wrong[0].network.rate_out / _FRAME / 1000
    edges = [_edge(trial) / 1000 for trial in wrong]
    edge = f"{edges[0]:g} kHz" if len(set(edges)) == 1 else "the edge"
    if high - low < _FRAME // 8 and low * scale > max(edges[0], 1):
        return f", between {low * scale:.2g} and {high * scale:.2g} kHz"
    if np.median(shares) > _BAND:
        return f", above {edge} alone"
    return f", below {edge} alone" if np.median(shares) < 1 - _BAND else ""


def _edge(trial: Trial) -> float:
    """Hz at which the input's sound ends."""
    return trial.case.edge or min(trial.case.rate, trial.network.rate_in) / 2
