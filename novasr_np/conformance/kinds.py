"""What a port may have given in place of the right output: kinds of errors, and mistakes."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..networks.record import Fault, Params
from ..tensors import bfloat16, flatten, half, nest
from ..weights import Weights, embedded_weights, load_weights
from .trial import Trial, aligned, aligned_delay

_LEAST_SAMPLES = 16  # that are wrong, for a level or a mean to be said of them
_MOST_SAMPLES = 24_000  # of a case in which the network is run again


Change = Callable[[np.ndarray], np.ndarray]


class Explanation(NamedTuple):
    """What a port may have done."""

    code: str
    # (trial) -> what it would give in place of `Trial.y`, NaN where that is not known, and a number
    # of which `words` speaks; None if it does not apply.
    predict: Callable[[Trial], tuple[np.ndarray, float] | None]
    words: Callable[[np.ndarray], str]  # (the numbers of all trials) -> a text
    is_named: bool = True  # False for one of the many that are made by a rule
    is_rounding: bool = False  # whether it leaves a port its grade


def kinds(weights: Weights, trials: list[Trial]) -> Iterator[Explanation]:
    """Yield what any port may do to its input and output, and what it may take for the weights."""
    # That of most cases: a constant, for one, has none that could be seen.
    ((delay, _),) = Counter(map(_delay, sorted(trials, key=lambda t: -t.length))).most_common(1)
    yield Explanation(
        "silence", lambda t: None if t.y.any() else (t.y, 0), _say("it gives silence")
    )
    yield Explanation(
        "phase",
        lambda t: (-t.truth, 0),
        _say("the phase is reversed: every sample has the wrong sign"),
    )
    yield Explanation("tail", _tail, lambda n: f"the tail is lost: {n[0]:.0f} samples are zeros")
    if delay:
        samples = f"{abs(delay)} sample{'s' if abs(delay) > 1 else ''}"
        words = f"{samples} {'late' if delay > 0 else 'early'}"
        yield Explanation("delay", partial(_delayed, delay), _say(words))
    yield Explanation("level", _level, _say_level)
    yield Explanation("mean", _mean, lambda n: f"the mean is changed: by {np.median(n):+.2e}")
    yield Explanation(
        "limit", lambda t: (np.clip(t.truth, -1, 1), 0), _say("the output is limited to full scale")
    )
    for name, to, bits in (("float16", half, 11), ("bfloat16", bfloat16, 8)):
        words = f"the output is rounded to {name}"
        yield Explanation(f"output-{name}", partial(_rounded, to, bits), _say(words), True, True)
    yield Explanation(
        "channels",
        lambda t: (t.truth[::-1], 0) if len(t.y) > 1 else None,
        _say("the channels are exchanged"),
    )
    yield Explanation(
        "mono",
        lambda t: (t.truth[:1].repeat(len(t.y), 0), 0) if len(t.y) > 1 else None,
        _say("all channels are the first"),
    )
    for name, words, change in _INPUTS:
        rounds = name.endswith("float16")
        run = _rerun(weights.params, change)
        yield Explanation(f"input-{name}", run, _say(words), True, rounds)
    for name in embedded_weights():
        other = load_weights(name)
        yield Explanation("weights", _of_other(other), _say(f"it is the output of {name}"))
    for name, change in (("bfloat16", bfloat16), ("8 bits", _eight_bits)):
        params = _changed(weights.params, change)
        yield Explanation(
            f"weights-{name}",
            _rerun(params),
            _say(f"the weights are rounded to {name}"),
            *(True, True),
        )


def mistakes(weights: Weights, faults: Mapping[str, Fault] | None = None) -> Iterator[Explanation]:
    """Yield the network's known faults, or some of them; and all mistakes with its weights."""
    assert weights.network.ports is not None
    for name, fault in (weights.network.ports.faults if faults is None else faults).items():
        if faults is not None or not fault.is_rounding:
            yield Explanation(name, _faulty(fault), _say(fault.words))
    if faults is not None:
        return
    for name, words, params in of_tensors(weights):
        yield Explanation(name, _rerun(params), _say(words), False)


def of_tensors(weights: Weights) -> Iterator[tuple[str, str, Params]]:
    """Yield (name, words, weights) with every mistake that can be made with a tensor.

    Each is left out, turned round in time, its channels in and out exchanged, and in another's
    place, if their shapes are the same.
    """
    flat = flatten(weights.params)
    for name, value in flat.items():
        yield f"{name}-zero", f"{name} is left out", _with(flat, {name: np.zeros_like(value)})
        if (value.ndim > 1 and value.shape[-1] > 1) or name.endswith(".filter"):
            words = f"{name} is turned round in time"
            yield f"{name}-turned", words, _with(flat, {name: value[..., ::-1]})
        if value.ndim == 3 and value.shape[0] == value.shape[1]:
            words = f"the channels in and out of {name} are exchanged"
            yield f"{name}-transposed", words, _with(flat, {name: value.swapaxes(0, 1)})
    for name, other in _kin(flat):
        words = f"{name} and {other} are exchanged"
        swapped = {name: flat[other], other: flat[name]}
        yield f"{name}-{other}-exchanged", words, _with(flat, swapped)
        words = f"{name} is used for {other} as well"
        yield f"{name}-{other}-same", words, _with(flat, {other: flat[name]})


def _kin(flat: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    """Yield tensors of one shape that are of one layer, or of the same kind and follow another."""
    kinds: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for name, value in flat.items():
        layer, _, _ = name.rpartition(".")
        for kind in (layer, re.sub(r"\d", "", name)):
            others = kinds.setdefault((kind, value.shape), [])
            if others:
                yield others[-1], name
            others.append(name)


def _with(flat: Mapping[str, np.ndarray], changed: Mapping[str, np.ndarray]) -> Params:
    return nest({**flat, **changed})


def _changed(tree: Any, change: Change) -> Any:
    if isinstance(tree, Mapping):
        return {name: _changed(value, change) for name, value in tree.items()}
    return change(tree)


def _eight_bits(x: np.ndarray) -> np.ndarray:
    """The nearest of 255 numbers around zero."""
    peak = np.abs(x).max() or 1.0
    return np.rint(x / peak * 127) / 127 * peak


_INPUTS: tuple[tuple[str, str, Change], ...] = (
    ("float16", "the input is rounded to float16", half),
    ("bfloat16", "the input is rounded to bfloat16", bfloat16),
    ("scale", "the input is divided by 32767, not 32768", lambda x: x * (32768 / 32767)),
    ("mean", "the input's mean is taken off", lambda x: x - x.mean()),
    ("peak", "the input is brought to full scale", lambda x: x / (np.abs(x).max() or 1)),
    ("late", "the input comes a sample late", lambda x: np.append(0, x[:-1])),
    ("early", "the input's first sample is lost", lambda x: np.append(x[1:], 0)),
)


def _say(words: str) -> Callable[[np.ndarray], str]:
    return lambda _: words


def _is_whole(trial: Trial) -> bool:
    return trial.y.shape[1] == trial.compared and trial.case.x.shape[-1] <= _MOST_SAMPLES


def _rerun(params: Params, change: Change = lambda x: x) -> Any:
    """Run the right network with other weights or another input."""

    def predict(trial: Trial) -> tuple[np.ndarray, float] | None:
        if not _is_whole(trial) or (trial.case.x.ndim > 1):
            return None
        return _fitted(trial, trial.run(params, change(trial.case.x.astype(np.float64))))

    return predict


def _of_other(other: Weights) -> Any:
    def predict(trial: Trial) -> tuple[np.ndarray, float] | None:
        network = other.network.for_rate(trial.case.rate)
        same = (network.rate_in, network.rate_out) == (trial.case.rate, trial.network.rate_out)
        if not same or not _is_whole(trial) or trial.case.x.ndim > 1:
            return None
        return _fitted(trial, trial.run(other.params, trial.case.x.astype(np.float64), network))

    return predict


def _faulty(fault: Fault) -> Any:
    def predict(trial: Trial) -> tuple[np.ndarray, float] | None:
        if not _is_whole(trial) or trial.case.x.ndim > 1:
            return None
        bare, whole = trial.expected
        tail = trial.network.cut.tail if trial.length == whole != bare else 0
        x = np.pad(trial.case.x.astype(np.float64), (0, tail))
        told = () if trial.network.takes is None else (trial.case.rate, trial.case.edge)
        return _fitted(trial, fault.forward(trial.weights.params, x, *told))

    return predict


def _fitted(trial: Trial, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Cut or extend to the port's samples; what is beyond is not known."""
    out = np.full_like(trial.y, np.nan)
    count = min(out.shape[1], y.shape[-1])
    out[:, :count] = y.reshape(len(out), -1)[:, :count]
    return out, 0.0


def _tail(trial: Trial) -> tuple[np.ndarray, float] | None:
    silent = int(np.flatnonzero(trial.y[0, ::-1])[0]) if trial.y[0].any() else 0
    if not silent or not trial.truth[0, -silent:].any():
        return None
    out = trial.truth.copy()
    out[:, -silent:] = 0
    return out, silent


def _rounded(to: Change, bits: int, trial: Trial) -> tuple[np.ndarray, float] | None:
    """The port's output itself, if it is as near to the right one as these bits allow."""
    near = np.abs(trial.y - trial.truth) <= 1.01 * 2.0**-bits * np.abs(trial.truth) + 1e-7
    return (trial.y, 0) if near.all() and (to(trial.y) == trial.y).all() else None


def _delay(trial: Trial) -> int:
    return aligned_delay(trial.y[0], trial.truth[0])


def _delayed(delay: int, trial: Trial) -> tuple[np.ndarray, float]:
    out = np.full_like(trial.y, np.nan)
    aligned(out, out, delay)[0][:] = aligned(trial.y, trial.truth, delay)[1]
    # Near the ends it depends on what comes in place of the samples that are moved.
    near = min(trial.network.at(trial.network.cut.context), out.shape[1] // 4)
    out[:, :near] = out[:, out.shape[1] - near :] = np.nan
    return out, delay


def _level(trial: Trial) -> tuple[np.ndarray, float] | None:
    y, truth = trial.y[:, trial.region], trial.truth[:, trial.region]
    if y.size < _LEAST_SAMPLES:
        return None
    energy = float((truth**2).sum())
    gain = float((y * truth).sum()) / energy if energy else 0.0
    return (gain * trial.truth, 20 * np.log10(gain)) if gain > 0 else None


def _say_level(levels: np.ndarray) -> str:
    if np.ptp(levels) < 0.01:
        return f"the level is changed: by {levels[0]:+.2f} dB"
    return f"the level is changed: by {levels.min():+.2f} to {levels.max():+.2f} dB, as the case is"


def _mean(trial: Trial) -> tuple[np.ndarray, float] | None:
    error = (trial.y - trial.truth)[:, trial.region]
    if error.size < _LEAST_SAMPLES:
        return None
    shift = float(error.mean())
    return trial.truth + shift, shift
