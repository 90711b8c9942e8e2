"""Whether another implementation of the network is right, how nearly, and if not, why not.

A port is a function (x [T] at 16 kHz, rate) -> y at 48 kHz, its weights its own. It may give the
bare network's 3T - 4 samples or the front door's 3T (`upsample`); it is held against the same of
this package, in float64.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .api import upsample
from .faults import FAULTS
from .model import forward
from .spec import CONTEXT, CONTEXT_LEFT, CONTEXT_RIGHT, EDGE_LOSS, SAMPLE_RATE_IN, UPSAMPLING
from .weights import Params

Port = Callable[[np.ndarray, int], np.ndarray]

# Grade -> the largest error it allows, for outputs within [-1, 1]. The best first. Rounding to
# float32 alone makes 3e-8; float32 throughout about 1e-6, half precision up to 6e-3.
GRADES = {"bit-near": 2e-7, "float32": 2e-5, "float16": 2e-2}
WRONG = "wrong"

LENGTHS = range(2, 41)
LONG = 600  # seconds
_WHOLE = 5  # s: up to here an output is looked at as a whole, beyond at so many places
_WINDOW, _WINDOWS = 0.25, 9
_CLEAR = 10.0  # dB by which an explanation has to be better than none
_RIGHT = 60.0  # dB, from which on a part of an output is as it should be
_SEARCH = 64  # samples: the largest delay that is found


class Case(NamedTuple):
    """An input: 16-bit samples as float32, so that any file can hold them."""

    name: str
    x: np.ndarray  # [T]
    rate: int = SAMPLE_RATE_IN  # Hz


@dataclass
class Outcome:
    """How a port did in one case. Levels and SNR are in dB, delay in samples at 48 kHz."""

    case: str
    samples: int  # in
    length: int | None = None  # out
    expected: tuple[int, int] = (0, 0)  # the lengths that are right
    max_abs: float | None = None
    snr: float | None = None
    delay: int | None = None
    gain: float | None = None
    dc: float | None = None
    grade: str = WRONG
    faults: list[str] = field(default_factory=list)


@dataclass
class Report:
    """All outcomes, the worst grade, and the faults found, each told once."""

    outcomes: list[Outcome]
    grade: str
    faults: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass
class _Suspects:
    """The FAULTS that a port's outputs are compared with first, and how long to look for others."""

    found: list[str]
    searches: int = 3  # through all of them, without success, in cases long enough to tell


def cases(long: float = LONG, rates: tuple[int, ...] = ()) -> Iterator[Case]:
    """The inputs, the same on every machine. long: seconds of the last, 0 for none.

    rates: in Hz; for ports that resample, cases at these in addition.
    """
    yield Case("speech-like", _voice(8000))
    yield Case("noise", noise(3000, 0.5))
    yield Case("impulse", _sixteen(np.eye(1, 400, 200)[0] * 0.9))
    yield Case("constant", _sixteen(np.full(400, 0.25)))
    yield Case("silence", np.zeros(400, np.float32))
    yield Case("full scale", _sixteen(np.sign(_voice(2000)) * (1 - 2**-15)))
    yield Case("tone at 7.9 kHz", _sixteen(0.5 * np.sin(np.arange(2000) * 2 * np.pi * 7900 / 16e3)))
    for samples in LENGTHS:
        yield Case(f"length {samples}", noise(samples, 0.5))
    for rate in rates:
        yield Case(f"speech-like at {rate} Hz", _voice(rate // 2, rate), rate)
    if long:
        yield Case(f"{long:g} s", noise(round(long * SAMPLE_RATE_IN), 0.3))


def verify(
    port: Port,
    params: Params,
    given: Iterable[Case],
    progress: Callable[[Outcome], object] = lambda _: None,
) -> Report:
    """Run a port on every case. What it raises is an outcome, too; TimeoutError is the last one.

    progress is called with each outcome.
    """
    outcomes: list[Outcome] = []
    hung = False
    suspects = _Suspects([])
    for case in given:
        outcome = Outcome(case.name, len(case.x), expected=_lengths(case))
        try:
            given_back = np.asarray(port(case.x, case.rate))
            quantum = _quantum(given_back)
            y = given_back.astype(np.float64)
            outcome.length = len(y)
            _compare(outcome, case, y, quantum, params, suspects)
        except TimeoutError as error:
            hung = True
            outcome.faults.append(f"{error}: no more cases were tried")
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            outcome.faults.append(f"it fails: {error}")
        outcomes.append(outcome)
        progress(outcome)
        if hung:
            break
    order = [*GRADES, WRONG]
    grade = max((outcome.grade for outcome in outcomes), key=order.index)
    return Report(outcomes, grade, _summary(outcomes))


def _compare(outcome: Outcome, case: Case, y, quantum: float, params, suspects) -> None:
    if not np.isfinite(y).all():
        outcome.faults.append("it gives NaN or infinity")
        return
    if len(y) == 0:
        outcome.faults.append("it gives nothing")
        return
    if len(case.x) > _WHOLE * SAMPLE_RATE_IN:
        _compare_long(outcome, case, y, quantum, params)
        return
    truth = _truth(case, params, len(y))
    n = min(len(y), len(truth))
    _measure(outcome, y[:n], truth[:n])
    outcome.grade = _grade(outcome.max_abs, quantum) if len(y) in outcome.expected else WRONG
    if outcome.grade in (WRONG, "float16"):
        found = _why(outcome, case, y, truth, params, suspects)
        if found:
            outcome.grade, outcome.faults = WRONG, found
        elif outcome.grade == "float16":
            outcome.faults.append(_drift(y, truth) or _half(y))


def _measure(outcome: Outcome, y, truth) -> None:
    outcome.max_abs = float(np.abs(y - truth).max())
    outcome.snr = _snr(y, truth)
    outcome.delay = _delay(y, truth)
    energy = truth @ truth
    outcome.gain = float(y @ truth / energy) if energy else None
    outcome.dc = float(y.mean() - truth.mean())


def _compare_long(outcome: Outcome, case: Case, y, quantum: float, params) -> None:
    """A long output, at places all over it. An error that grows on the way is a drift."""
    if len(y) < min(outcome.expected):
        outcome.faults.append(_tail(min(outcome.expected) - len(y)))
        return
    width = round(_WINDOW * SAMPLE_RATE_IN)
    starts = np.linspace(CONTEXT_LEFT, len(case.x) - CONTEXT_RIGHT - width, _WINDOWS).astype(int)
    got, want = [], []
    for start in starts:
        window = case.x[start - CONTEXT_LEFT : start + width + CONTEXT_RIGHT]
        inner = slice(UPSAMPLING * CONTEXT_LEFT, UPSAMPLING * (CONTEXT_LEFT + width))
        want.append(forward(params, np.float64(window))[inner])
        got.append(y[UPSAMPLING * start : UPSAMPLING * (start + width)])
    _measure(outcome, np.concatenate(got), np.concatenate(want))
    outcome.grade = _grade(outcome.max_abs, quantum) if len(y) in outcome.expected else WRONG
    if outcome.grade in (WRONG, "float16"):
        drift = _drift(np.concatenate(got), np.concatenate(want))
        outcome.faults += [drift] if drift else []


def _drift(y, truth) -> str | None:
    """Told if the error grows on the way, as it does where an index is computed in float32."""
    parts = zip(np.array_split(y, 4), np.array_split(truth, 4), strict=True)
    snr = [_snr(*part) for part in parts]
    if len(y) < 4 * CONTEXT * UPSAMPLING or snr[0] < max(snr[2:]) + _CLEAR / 2:
        return None
    return f"interpolation drifts with length: SNR {snr[0]:.0f} dB falls to {snr[-1]:.0f}"


def _half(y) -> str:
    every = (y == np.float64(np.float16(y))).all()
    return "half precision" if every else "no better than half precision"


def _why(outcome: Outcome, case: Case, y, truth, params, suspects) -> list[str]:
    """What explains an output that is wrong: its length, and the best of all explanations."""
    bare, whole = outcome.expected
    if truth.any() and not y.any():
        return ["it gives silence"]
    if len(y) < bare and outcome.delay == 0 and _snr(y, truth[: len(y)]) > _RIGHT:
        return [_tail(bare - len(y))]
    found = []
    if len(y) not in outcome.expected:
        found.append(f"{len(y)} samples, expected {bare} or {whole}")
    n = min(len(y), len(truth))
    y, truth = y[:n], truth[:n]
    before = _snr(y, truth)
    if found and before > _RIGHT:
        return found
    if case.rate != SAMPLE_RATE_IN:
        return [*found, "another resampler than the original's"]
    snr, words = max(_explanations(case, y, truth, before, params, suspects))
    return [*found, words] if snr > max(0, before) + _CLEAR else found


def _explanations(
    case: Case, y, truth, before: float, params, suspects: _Suspects
) -> Iterator[tuple[float, str]]:
    """(SNR to what it would then be, in words) of everything that may be wrong."""
    yield -np.inf, ""
    yield _snr(-y, truth), "the phase is reversed: every sample has the wrong sign"
    lost = int(np.flatnonzero(y[::-1] != 0)[0]) if y.any() else 0
    if lost:
        yield _snr(y[:-lost], truth[:-lost]), _tail(lost)
    if delay := _delay(y, truth):
        side = "late" if delay > 0 else "early"
        yield _snr(*_aligned(y, truth, delay)), f"{abs(delay)} samples {side}"
    gain = float(y @ truth / (truth @ truth)) if truth.any() else 1.0
    if abs(gain - 1) > 1e-3 and gain > 0:
        change, peak = 20 * np.log10(gain), np.abs(y).max()
        words = f"the level is changed: by {change:+.2f} dB, to a peak of {peak:.3f}"
        yield _snr(y / gain, truth) - _CLEAR, words
    shift = float(y.mean() - truth.mean())
    if abs(shift) > 1e-3:
        yield _snr(y - shift, truth), f"the mean is changed: by {shift:+.2e}"
    yield from _deviations(case, y, before, params, suspects)


def _deviations(
    case: Case, y, before: float, params, suspects: _Suspects
) -> Iterator[tuple[float, str]]:
    """The same for FAULTS."""
    thorough = suspects.searches > 0 and len(case.x) not in LENGTHS[:-1]
    best = before + _CLEAR
    for name in dict.fromkeys([*suspects.found, *(FAULTS if thorough else ())]):
        fault = FAULTS[name]
        with np.errstate(all="ignore"):
            wrong = fault.forward(params, case.x)[: len(y)]
        if len(wrong) < len(y) - EDGE_LOSS:
            continue
        snr = _snr(y[: len(wrong)], wrong)
        yield snr, fault.words
        if snr > best:
            best, thorough = snr, False
            if name not in suspects.found:
                suspects.found.append(name)
    suspects.searches -= thorough


def _summary(outcomes: list[Outcome]) -> list[str]:
    """Every fault that was found, once, with the number of cases that show it."""
    told: dict[str, list[str]] = {}
    for outcome in outcomes:
        for fault in outcome.faults:
            told.setdefault(re.split(r"[\d:]", fault)[0], []).append(fault)
    return [
        texts[0] + (f" (in {len(texts)} cases)" if len(texts) > 1 else "")
        for texts in told.values()
    ]


def _lengths(case: Case) -> tuple[int, int]:
    samples = -(-len(case.x) * SAMPLE_RATE_IN // case.rate)
    return UPSAMPLING * samples - EDGE_LOSS, UPSAMPLING * samples


def _truth(case: Case, params, length: int) -> np.ndarray:
    """What the port should have given: of the front door for its length, else the bare network."""
    bare, whole = _lengths(case)
    if length == whole or case.rate != SAMPLE_RATE_IN:
        y = upsample(np.float64(case.x), case.rate, weights=params)
        return y if length >= whole else y[:bare]
    return forward(params, np.float64(case.x))


def _tail(samples: int) -> str:
    return f"the tail is lost: {samples} samples at 48 kHz"


def _grade(error: float | None, quantum: float) -> str:
    """quantum: the step of what the port's output came in, which is not its fault."""
    assert error is not None
    return next((name for name, most in GRADES.items() if error <= most + quantum), WRONG)


def _quantum(y: np.ndarray) -> float:
    """The step of integer samples, with full scale 1; 0 for floating point."""
    if y.dtype.kind != "f":
        raise TypeError(f"samples are floating point with full scale 1, got {y.dtype}")
    sixteen = np.float64(y) * 32768
    return 2**-15 if y.size and (sixteen == np.rint(sixteen)).all() else 0.0


def _snr(y, truth) -> float:
    noise, energy = float(((y - truth) ** 2).sum()), float((truth**2).sum())
    if noise == 0:
        return 400.0
    return 10 * np.log10(max(energy, 1e-30) / noise)


def _delay(y, truth) -> int:
    """Samples that y is late, where it fits the truth best."""
    reach = min(_SEARCH, len(y) - 1)
    shifts = [0, *(s for k in range(1, reach + 1) for s in (k, -k))]
    products = [abs(float(np.dot(*_aligned(y, truth, s)))) for s in shifts]
    return shifts[int(np.argmax(np.array(products) * (1 - 1e-9 * np.abs(shifts))))]


def _aligned(y, truth, delay: int):
    if delay >= 0:
        return y[delay:], truth[: len(truth) - delay]
    return y[:delay], truth[-delay:]


def _voice(samples: int, rate: int = SAMPLE_RATE_IN) -> np.ndarray:
    """A buzz with moving pitch and formants, with pauses."""
    t = np.arange(samples) / rate
    phase = 2 * np.pi * (130 * t - 20 * np.cos(2 * np.pi * 0.9 * t) / (2 * np.pi * 0.9))
    x = np.zeros(samples)
    for k in range(1, 50):
        formant = sum(1 / (1 + ((150 * k - f) / 250) ** 2) for f in (600, 1700, 2900, 5200))
        if 150 * k < rate / 2:
            x += (0.02 / k + 0.2 * formant / np.sqrt(k)) * np.sin(k * phase + k * k)
    return _sixteen(0.5 * x * np.maximum(0, np.sin(2 * np.pi * 2.5 * t)) ** 0.5)


def noise(samples: int, level: float) -> np.ndarray:
    """Even numbers within +- level, by a generator that any language can have."""
    z = (np.arange(1, samples + 1, dtype=np.uint64) * 0x9E3779B97F4A7C15) & (2**64 - 1)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return _sixteen((z >> np.uint64(11)) / 2**52 * level - level)


def _sixteen(x) -> np.ndarray:
    """As a 16-bit file would have it, full scale 1."""
    return (np.clip(np.rint(x * 32768), -32768, 32767) / 32768).astype(np.float32)
