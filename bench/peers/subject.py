"""The record of a network on the bench."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from novasr_np.networks.record import Params


class Case(NamedTuple):
    """What is computed, and what should come of it."""

    x: Any  # what an engine takes
    short: Any  # less of it, to warm an engine up; None if its `Engine` sees to that
    error: Callable[[np.ndarray], float]  # of an engine's output


# (params, threads, x) -> what is timed: x -> y [..., T], or a generator of (part, what it gives)
# whose last is y. Raises ModuleNotFoundError where its package is not installed.
Engine = Callable[[Params, int, Any], Callable[[Any], Any]]


class Subject(NamedTuple):
    """A network or a voice."""

    name: str
    sample_rate: int  # Hz, of what comes out
    about: str  # weights, input and error, in a sentence or two
    # (folder) -> a name or a path of weights; those that are drawn go into the folder
    weights: Callable[[Path], str]
    load: Callable[[str], Params]
    case: Callable[[Params, float], Case]  # seconds of sound, where there is a choice
    engines: Mapping[str, Engine]  # name -> engine, ours first
    base: str  # of the engines: what the others' speed is relative to
    # Engine -> the largest error that it may have; for those that are not named 1e-4.
    most: Mapping[str, float] = {}
    streams: tuple[str, ...] = ()  # weights to time as streams
    # (weights) -> lines on a long sound or text
    long: Callable[[str], Iterator[str]] | None = None


def max_abs(y: np.ndarray, truth: np.ndarray) -> float:
    """The largest error; infinite for an output of another length."""
    return float(np.abs(y - truth).max()) if y.shape == truth.shape else np.inf
