"""Diagnose why a port is wrong: where, in what way, and by which mistake, each by elimination."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ..tensors import half
from ..weights import Weights
from .kinds import Explanation, kinds, mistakes
from .trial import WRONG, Trial, snr
from .where import where

_MARGIN_DB = 6.0  # by which an explanation has to be nearer to the port than any other
_LEAST_DB = 10.0  # by which it has to be nearer than the right output
_LIKE_DB = 10.0  # within which a noise is like another
_TRIED = 6  # cases in which an explanation has to hold
_SAMPLES = range(300, 10_000)  # of these cases, if there are such
_STAGE_ERROR = 1e-4  # that is none in float32, of numbers up to 1
_TOLD = 3  # explanations at most, that cannot be told from each other

# (x, rate, edge) -> what each stage of a port gives, by name
Stages = Callable[..., dict[str, np.ndarray]]


class Finding(NamedTuple):
    """Part of a diagnosis: a code for programs, and a text for people."""

    code: str
    text: str
    is_structural: bool = False  # whether it makes a port wrong however small its errors are


def diagnose(trials: list[Trial], weights: Weights, stages: Stages | None = None) -> list[Finding]:
    """Find where, how and why a port is wrong; nothing if it is right.

    stages: a port's, to be compared with the network's.
    """
    found = _lengths(trials)
    wrong = [trial for trial in trials if trial.first is not None]
    place = where(trials)
    if place is None:
        return found
    found.append(Finding("where", place.text))
    if all(trial.case.rate != trial.network.rate_in for trial in wrong):
        text = f"another resampler than {weights.network.own_resampler}"
        return [*found, Finding("resampler", text, True)]
    tried = _to_try(wrong)
    for explanations in (kinds(weights, tried), mistakes(weights)):
        if explained := _explain(tried, explanations):
            return [*found, explained]
    if place.drifts:
        text = "the error grows with time, as that of an index in float32 does"
        return [*found, Finding("drift", text)]
    noise = None if place.is_place or place.is_some else _noise(wrong, tried, weights)
    if noise:
        return [*found, noise, *([_first_stage(tried[0], stages)] if stages else [])]
    level = float(np.median([trial.snr for trial in wrong]))
    text = f"the error is {level:.0f} dB below the right output, and no known fault explains it"
    found.append(Finding("noise", text, place.is_place or place.is_some))
    if stages:
        return [*found, _first_stage(tried[0], stages)]
    name = next(iter(_stages(tried[0])))[0]
    return [*found, Finding("stage", f"the first stage to compare is {name}")]


def _lengths(trials: list[Trial]) -> list[Finding]:
    """Wrong lengths, and ends that come too early."""
    found: dict[str, list[str]] = {}
    for trial in trials:
        bare, whole = trial.expected
        if trial.length in trial.expected:
            continue
        if trial.length < bare and trial.first is None:
            rate = f"{trial.network.rate_out / 1000:g} kHz"
            text = f"the tail is lost: {bare - trial.length} samples at {rate}"
            found.setdefault("tail", []).append(text)
        else:
            text = f"{trial.length} samples, expected {bare} or {whole}"
            found.setdefault("length", []).append(text)
    return [
        Finding(code, texts[0] + (f" (in {len(texts)} cases)" if len(texts) > 1 else ""), True)
        for code, texts in found.items()
    ]


def _to_try(wrong: list[Trial]) -> list[Trial]:
    """Some wrong cases of different lengths, the first of them short."""
    mono = [trial for trial in wrong if trial.case.x.ndim == 1] or wrong
    suits = [trial for trial in mono if len(trial.case.x) in _SAMPLES] or mono
    in_order = sorted(suits, key=lambda trial: trial.length)
    return [in_order[i] for i in sorted(set(np.linspace(0, len(in_order) - 1, _TRIED).astype(int)))]


def _explain(tried: list[Trial], explanations: Iterable[Explanation]) -> Finding | None:
    """The explanation that all cases equal, and better than any other."""
    held = []
    for explanation in explanations:
        numbers, levels, gains = [], [], []
        for trial in tried:
            with np.errstate(all="ignore"):
                predicted = explanation.predict(trial)
            if predicted is None:
                break
            y, number = predicted
            level = _nearness(trial, y)
            if level is None:
                break
            if np.isfinite(level):
                numbers.append(number)
                levels.append(level)
                gains.append(level - snr(trial.y[:, trial.region], trial.truth[:, trial.region]))
        else:
            if gains and np.median(gains) >= _LEAST_DB:
                held.append((float(np.mean(levels)), explanation, np.array(numbers)))
    nearest = max((level for level, *_ in held), default=0)
    best = [(e, numbers) for level, e, numbers in held if level > nearest - _MARGIN_DB]
    # What the network's own table has no name for counts only where nothing in it fits.
    best = [one for one in best if one[0].is_named] or best
    if not 0 < len(best) <= _TOLD:
        return None
    words = [explanation.words(numbers) for explanation, numbers in best]
    structural = not all(explanation.is_rounding for explanation, _ in best)
    return Finding(best[0][0].code, ", or ".join(dict.fromkeys(words)), structural)


def _nearness(trial: Trial, predicted: np.ndarray) -> float | None:
    """SNR of the port's output to another one where it is wrong; None if it does not equal that.

    NaN if hardly any of the other is known there.
    """
    region = trial.region
    y, other = trial.y[:, region], predicted[:, region]
    known = np.isfinite(other)
    if known.mean() < 0.5:
        return np.nan
    y, other = y[known], other[known]
    if np.abs(y - other).max() > trial.tolerance * max(1, np.abs(y).max() / trial.scale):
        return None
    return min(snr(y, other), 150.0)


def _noise(wrong: list[Trial], tried: list[Trial], weights: Weights) -> Finding | None:
    """A noise as large as that of a rounding; half precision only if no case is plainly wrong."""
    assert weights.network.ports is not None
    faults = weights.network.ports.faults
    level = float(np.median([trial.snr for trial in tried]))
    noises = {
        mistake.code: (level - _median_level(tried, mistake), mistake.words(np.zeros(0)))
        for mistake in mistakes(weights, {n: f for n, f in faults.items() if f.is_rounding})
    }
    better, _ = noises.pop("half", (0.0, ""))
    is_near = not any(trial.grade == WRONG for trial in wrong)
    if is_near and better > -_LIKE_DB:
        every = all((t.y == half(t.y)).all() for t in tried)
        return Finding("half", "half precision" if every else "no better than half precision")
    for code, (better, words) in noises.items():
        if abs(better) < _LIKE_DB:
            return Finding(code, f"the error, {-level:.0f} dB, is as large as that of {words}")
    return None


def _median_level(tried: list[Trial], explanation: Explanation) -> float:
    levels = []
    for trial in tried:
        with np.errstate(all="ignore"):
            predicted = explanation.predict(trial)
        if predicted is not None and np.isfinite(predicted[0]).all():
            levels.append(snr(predicted[0], trial.truth))
    return float(np.median(levels)) if levels else -np.inf


def _stages(trial: Trial) -> Any:
    place = trial.place()
    return trial.network.compute.stages(
        trial.weights.params, trial.case.x.astype(np.float64), **place
    )


def _first_stage(trial: Trial, stages: Stages) -> Finding:
    """The first stage that differs, of those that the port has given."""
    try:
        given = stages(trial.case.x, *trial.told)
    except (OSError, ValueError) as failure:
        return Finding("stage", f"its stages cannot be compared: {failure}")
    for name, want in _stages(trial):
        got = given.get(name)
        if got is None:
            continue
        if got.size != want.size:
            text = f"it has {got.size} numbers, not {' x '.join(map(str, want.shape))}"
        else:
            error = np.abs(got.reshape(want.shape) - want)
            largest = float(error.max())
            if largest <= _STAGE_ERROR * max(1.0, float(np.abs(want).max())):
                continue
            *channel, step = np.unravel_index(int(error.argmax()), want.shape)
            where = f"channel {channel[0]}, " if channel else ""
            text = f"its largest error is {largest:.1e}, in {where}step {step}"
        return Finding("stage", f"the first stage that differs is {name}: {text}", True)
    return Finding("stage", f"no stage differs, of those given: {', '.join(given) or 'none'}")
