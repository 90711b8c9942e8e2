"""Grade a port: run it on every case, and measure it against this network in float64.

A port is a function (x [T], rate in Hz) -> y at the network's output rate, and has the weights
inside. That of a network that takes any band is told the edge, too: (x, rate, edge in Hz). It may
return the output of the bare network (NovaSR: 3T - 4 samples) or that of `upsample` (3T); it is
compared with the same of this package.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..api import upsample
from ..errors import WeightsError
from ..networks import Network
from ..networks.record import Facts, Params
from ..samples import ceil_div
from ..weights import Weights, WeightsLike, as_weights
from . import diagnose
from .cases import Case
from .diagnose import Finding, Suspects, aligned_delay, snr

Port = Callable[..., np.ndarray]

# Grade -> the largest error it allows, for outputs within [-1, 1], the best first. Rounding to
# float32 alone causes 3e-8, float32 throughout about 1e-6, half precision up to 6e-3.
GRADES = {"bit-near": 2e-7, "float32": 2e-5, "float16": 2e-2}
WRONG = "wrong"
ORDER = (*GRADES, WRONG)

_SHORT_SECONDS = 5  # up to here an output is looked at as a whole, beyond at so many places:
_WINDOW_SECONDS, _WINDOWS = 0.25, 9


@dataclass
class Outcome:
    """Outcome of a port in one case. Levels and SNR are in dB, delay in samples of the output."""

    case: str
    is_length: bool  # whether the case is one of the short lengths
    samples: int  # in
    length: int | None = None  # out
    expected: tuple[int, int] = (0, 0)  # the correct lengths
    max_abs: float | None = None
    snr: float | None = None
    delay: int | None = None
    gain: float | None = None
    dc: float | None = None
    grade: str = WRONG
    findings: list[Finding] = field(default_factory=list)


@dataclass
class Report:
    """All outcomes, the worst grade, and the faults found, each once."""

    outcomes: list[Outcome]
    grade: str
    faults: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Convert the report to a dict, for JSON."""
        outcomes = []
        for outcome in self.outcomes:
            values = asdict(outcome)
            del values["is_length"], values["findings"]
            outcomes.append(values | {"faults": [finding.text for finding in outcome.findings]})
        return {"outcomes": outcomes, "grade": self.grade, "faults": self.faults}


def verify(
    port: Port,
    weights: WeightsLike,
    cases: Iterable[Case],
    progress: Callable[[Outcome], object] = lambda _: None,
) -> Report:
    """Run a port on every case. An error of the port is an outcome; a TimeoutError ends the run.

    progress: called with each outcome. Raises WeightsError for a network without cases.
    """
    loaded = as_weights(weights)
    params = loaded.params
    if loaded.network.ports is None:
        raise WeightsError(f"{loaded.network.name} cannot be verified: there are no cases for it")
    outcomes: list[Outcome] = []
    suspects = Suspects()
    for case in cases:
        network = loaded.network.for_rate(case.rate)
        told = (case.rate,) if network.takes is None else (case.rate, case.edge)
        outcome = Outcome(case.name, case.is_length, len(case.x), expected=_lengths(case, network))
        hung = False
        try:
            raw = np.asarray(port(case.x, *told))
            step = _quantisation_step(raw)
            y = raw.astype(np.float64)
            outcome.length = len(y)
            _examine(outcome, case, y, step, params, network, suspects)
        except TimeoutError as error:
            hung = True
            outcome.findings.append(Finding("timeout", f"{error}: no more cases were tried"))
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            outcome.findings.append(Finding("fails", f"it fails: {error}"))
        outcomes.append(outcome)
        progress(outcome)
        if hung:
            break
    grade = max((outcome.grade for outcome in outcomes), key=ORDER.index)
    return Report(outcomes, grade, _summary(outcomes))


def _examine(
    outcome: Outcome,
    case: Case,
    y: np.ndarray,
    step: float,
    params: Params,
    network: Network,
    suspects: Suspects,
) -> None:
    if not np.isfinite(y).all():
        outcome.findings.append(Finding("not-finite", "it gives NaN or infinity"))
        return
    if len(y) == 0:
        outcome.findings.append(Finding("nothing", "it gives nothing"))
        return
    if len(case.x) > _SHORT_SECONDS * network.rate_in:
        _examine_long(outcome, case, y, step, params, network)
        return
    truth = _truth(case, params, network, len(y))
    n = min(len(y), len(truth))
    _measure(outcome, y[:n], truth[:n])
    outcome.grade = _grade(outcome, step)
    if outcome.grade in (WRONG, "float16"):
        found = diagnose.explain(case, y, truth, outcome.expected, params, network, suspects)
        if found:
            outcome.grade, outcome.findings = WRONG, found
        elif outcome.grade == "float16":
            drift = diagnose.drift(y, truth, network)
            outcome.findings.append(drift or diagnose.half_precision(y))


def _examine_long(
    outcome: Outcome, case: Case, y: np.ndarray, step: float, params: Params, network: Network
) -> None:
    """Examine a long output at places all over it. An error that grows with time is a drift."""
    if len(y) < min(outcome.expected):
        outcome.findings.append(diagnose.lost_tail(min(outcome.expected) - len(y), network))
        return
    left, right, at = network.cut.left, network.cut.right, network.at
    width = round(_WINDOW_SECONDS * network.rate_in)
    starts = np.linspace(left, len(case.x) - right - width, _WINDOWS).astype(int)
    starts -= starts % network.cut.step
    got, want = [], []
    for start in starts:
        window = np.float64(case.x[start - left : start + width + right])
        inner = slice(at(left), at(left + width))
        place = network.place(start - left, Facts(case.rate, 1, case.edge))
        want.append(network.compute.forward(params, window, **place)[inner])
        got.append(y[at(start) : at(start + width)])
    _measure(outcome, np.concatenate(got), np.concatenate(want))
    outcome.grade = _grade(outcome, step)
    if outcome.grade in (WRONG, "float16"):
        drift = diagnose.drift(np.concatenate(got), np.concatenate(want), network)
        outcome.findings += [drift] if drift else []


def _measure(outcome: Outcome, y: np.ndarray, truth: np.ndarray) -> None:
    outcome.max_abs = float(np.abs(y - truth).max())
    outcome.snr = snr(y, truth)
    outcome.delay = aligned_delay(y, truth)
    energy = truth @ truth
    outcome.gain = float(y @ truth / energy) if energy else None
    outcome.dc = float(y.mean() - truth.mean())


def _grade(outcome: Outcome, step: float) -> str:
    """Grade an outcome. step: quantisation step of the port's output, which is no error."""
    assert outcome.max_abs is not None
    if outcome.length not in outcome.expected:
        return WRONG
    return next((name for name, most in GRADES.items() if outcome.max_abs <= most + step), WRONG)


def _summary(outcomes: list[Outcome]) -> list[str]:
    """List every fault found, once, with the number of cases that show it."""
    by_code: dict[str, list[str]] = {}
    for outcome in outcomes:
        for finding in outcome.findings:
            by_code.setdefault(finding.code, []).append(finding.text)
    return [
        texts[0] + (f" (in {len(texts)} cases)" if len(texts) > 1 else "")
        for texts in by_code.values()
    ]


def _lengths(case: Case, network: Network) -> tuple[int, int]:
    samples = ceil_div(len(case.x) * network.rate_in, case.rate)
    return network.length(samples), network.duration(len(case.x), case.rate)


def _truth(case: Case, params: Params, network: Network, length: int) -> np.ndarray:
    """Compute the right output: that of `upsample` for its length, else the bare network's."""
    bare, whole = _lengths(case, network)
    x = np.float64(case.x)
    if case.rate == network.rate_in and not length == whole != bare:
        place = network.place(0, Facts(case.rate, 1, case.edge))
        return network.compute.forward(params, x, **place)
    loaded = Weights(network, params)
    y = upsample(x, case.rate, weights=loaded, keep_lowband=False, edge=case.edge)
    return y if length >= whole else y[:bare]


def _quantisation_step(y: np.ndarray) -> float:
    """Quantisation step of 16-bit samples with full scale 1; 0 for floating point."""
    if y.dtype.kind != "f":
        raise TypeError(f"samples must be floating point with full scale 1, got {y.dtype}")
    sixteen = np.float64(y) * 32768
    return 2**-15 if y.size and (sixteen == np.rint(sixteen)).all() else 0.0
