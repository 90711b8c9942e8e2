"""Grade a port: run it on every case, and measure it against this network in float64.

A port is a function (x [T], rate in Hz) -> y at the network's output rate, and has the weights
inside. That of a network that takes any band is told the edge, too: (x, rate, edge in Hz). It may
return the output of the bare network (NovaSR: 3T - 4 samples) or that of `upsample` (3T); it is
compared with the same of this package. Of x [channels, T] it returns [channels, n].
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..errors import WeightsError
from ..weights import WeightsLike, as_weights
from .cases import Case
from .diagnose import Finding, diagnose
from .trial import GRADES, WRONG, Trial, aligned_delay

Port = Callable[..., np.ndarray]

ORDER = (*GRADES, WRONG)
REFUSED = "refused"  # no grade: the port takes one channel only


@dataclass
class Outcome:
    """Outcome of a port in one case. Levels and SNR are in dB, delay in samples of the output."""

    case: str
    is_length: bool  # whether the case is one of the lengths
    samples: int  # in
    length: int | None = None  # out
    expected: tuple[int, int] = (0, 0)  # the correct lengths
    max_abs: float | None = None
    snr: float | None = None
    delay: int | None = None
    gain: float | None = None
    dc: float | None = None
    first: int | None = None  # samples of the output that are wrong: the first, and the last
    last: int | None = None
    grade: str = WRONG
    findings: list[Finding] = field(default_factory=list)


@dataclass
class Report:
    """All outcomes, the worst grade, and the diagnosis: where it is wrong, how, and why."""

    outcomes: list[Outcome]
    grade: str
    findings: list[Finding]

    @property
    def faults(self) -> list[str]:
        """The diagnosis in sentences."""
        return [finding.text for finding in self.findings]

    def as_dict(self) -> dict[str, Any]:
        """Convert the report to a dict, for JSON."""
        outcomes = []
        for outcome in self.outcomes:
            values = asdict(outcome)
            del values["is_length"], values["findings"]
            outcomes.append(values | {"faults": [finding.text for finding in outcome.findings]})
        findings = [finding._asdict() for finding in self.findings]
        return {
            "outcomes": outcomes,
            "grade": self.grade,
            "faults": self.faults,
            "findings": findings,
        }


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
    if loaded.network.ports is None:
        raise WeightsError(f"{loaded.network.name} cannot be verified: there are no cases for it")
    outcomes: list[Outcome] = []
    trials: list[Trial] = []
    for case in cases:
        trial = Trial(case, loaded)
        outcome = Outcome(case.name, case.is_length, case.x.shape[-1], expected=trial.expected)
        hung = False
        try:
            raw = np.asarray(port(case.x, *trial.told))
            if raw.dtype.kind != "f":
                text = f"samples must be floating point with full scale 1, got {raw.dtype}"
                raise TypeError(text)
            _examine(outcome, trial, raw)
            if trial.length:
                trials.append(trial)
        except TimeoutError as error:
            hung = True
            outcome.findings.append(Finding("timeout", f"{error}: no more cases were tried"))
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            if case.x.ndim == 2 and outcomes and not any(o.findings for o in outcomes):
                outcome.grade = REFUSED
            outcome.findings.append(Finding("fails", f"it fails: {error}"))
        outcomes.append(outcome)
        progress(outcome)
        if hung:
            break
    graded = [outcome for outcome in outcomes if outcome.grade != REFUSED]
    grade = max((outcome.grade for outcome in graded), key=ORDER.index, default=WRONG)
    findings = _failures(graded) + diagnose(trials, loaded, getattr(port, "stages", None))
    if any(finding.is_structural for finding in findings):
        grade = WRONG
    return Report(outcomes, grade, findings)


def _examine(outcome: Outcome, trial: Trial, raw: np.ndarray) -> None:
    outcome.length = raw.shape[-1]
    if raw.shape[:-1] != trial.case.x.shape[:-1]:
        want = (*trial.case.x.shape[:-1], trial.expected[1])
        raise ValueError(f"its output must have the shape {want}, got {raw.shape}")
    if not np.isfinite(raw).all():
        outcome.findings.append(Finding("not-finite", "it gives NaN or infinity"))
        return
    if raw.size == 0:
        outcome.findings.append(Finding("nothing", "it gives nothing"))
        return
    trial.compare(raw)
    outcome.max_abs, outcome.snr, outcome.gain = trial.max_abs, trial.snr, trial.gain
    outcome.dc, outcome.first, outcome.last = trial.dc, trial.first, trial.last
    outcome.delay = aligned_delay(trial.y[0], trial.truth[0])
    outcome.grade = trial.grade


def _failures(outcomes: list[Outcome]) -> list[Finding]:
    """List every way in which the port fails, once, with the number of cases that show it."""
    by_code: dict[str, list[Finding]] = {}
    for outcome in outcomes:
        for finding in outcome.findings:
            by_code.setdefault(finding.code, []).append(finding)
    return [
        Finding(code, found[0].text + (f" (in {len(found)} cases)" if len(found) > 1 else ""))
        for code, found in by_code.items()
    ]
