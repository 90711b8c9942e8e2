"""A port's output in one case beside the right one, and the measures of their difference."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..api import upsample
from ..networks import Network
from ..networks.record import Facts, Params
from ..samples import ceil_div
from ..weights import Weights
from .cases import Case

# Grade -> the largest error it allows, the best first, for outputs within [-1, 1]; for louder ones
# in proportion to the right output's peak, as floating point rounds. Rounding to
# float32 alone causes 3e-8, float32 throughout about 1e-6, half precision up to 6e-3.
GRADES = {"bit-near": 2e-7, "float32": 2e-5, "float16": 2e-2}
WRONG = "wrong"

_BIN = 16  # input samples, or a step of the network if it is longer, whose errors are one number
_MAX_DELAY = 64  # samples: the largest delay that is found


class Trial:
    """A case, what the port gave, and the right output.

    After `compare`: y and truth [channels, n] are the output from sample `start` on, all of it but
    for a long case, of which it is a part with errors, if there are any. errors [bins]: the largest
    error of each `bin` samples of the whole output. wrong_channels [channels].
    """

    def __init__(self, case: Case, weights: Weights) -> None:
        self.case, self.weights = case, weights
        self.network = weights.network.for_rate(case.rate)
        self.told = (case.rate,) if self.network.takes is None else (case.rate, case.edge)
        self.expected = lengths(case, self.network)
        step = self.network.cut.step
        self.bin = self.network.at(ceil_div(_BIN, step) * step)
        self.length = 0

    def compare(self, raw: np.ndarray) -> None:
        """Measure raw [..., n], floating point and finite, n > 0."""
        self.length = raw.shape[-1]
        self.step = quantisation_step(raw)
        self.first: int | None = None
        self.last: int | None = None
        done, noise, energy, product, offset, errors = 0, 0.0, 0.0, 0.0, 0.0, []
        rows = raw.reshape(-1, self.length)
        self.wrong_channels = np.zeros(len(rows), bool)
        for part in truths(self.case, self.weights.params, self.network, self.length):
            truth = part.reshape(len(rows), -1)[:, : self.length - done]
            if not done:
                self.scale = max(1.0, float(np.abs(truth).max(initial=0)))
                self.tolerance = GRADES["float32"] * self.scale + self.step
            y = rows[:, done : done + truth.shape[1]].astype(np.float64)
            error = np.abs(y - truth)
            is_wrong = error > self.tolerance
            self.wrong_channels |= is_wrong.any(axis=1)
            wrong = np.flatnonzero(is_wrong.any(axis=0))
            if not done or (len(wrong) and self.first is None):
                self.start, self.y, self.truth = done, y, truth
            if len(wrong):
                self.first = done + int(wrong[0]) if self.first is None else self.first
                self.last = done + int(wrong[-1])
            errors.append(
                np.maximum.reduceat(error.max(axis=0), np.arange(0, error.shape[1], self.bin))
            )
            noise, energy = noise + float((error**2).sum()), energy + float((truth**2).sum())
            product += float((y * truth).sum())
            offset += float((y - truth).sum())
            done += truth.shape[1]
        self.compared = done
        self.errors = np.concatenate(errors)
        self.max_abs = float(self.errors.max())
        self.snr = decibels(energy, noise)
        self.gain = product / energy if energy else None
        self.dc = offset / (done * len(rows))

    @property
    def grade(self) -> str:
        """Grade, by the largest error and the length."""
        if self.length not in self.expected:
            return WRONG
        error = (self.max_abs - self.step) / self.scale  # a step of 16 bits is no error
        return next((name for name, most in GRADES.items() if error <= most), WRONG)

    @property
    def region(self) -> slice:
        """The part of y and truth from the first sample that is wrong to the last."""
        assert self.first is not None
        assert self.last is not None
        return slice(self.first - self.start, self.last + 1 - self.start)

    def peaks(self) -> np.ndarray:
        """The largest |x| in each bin of the output, [bins]."""
        loud = np.abs(self.case.x).reshape(-1, self.case.x.shape[-1]).max(axis=0)
        at = np.arange(len(self.errors)) * self.bin * self.case.rate // self.network.rate_out
        return np.maximum.reduceat(loud, np.minimum(at, len(loud) - 1))

    def levels(self) -> np.ndarray:
        """The largest |x| around each bin of the output, [bins]."""
        peaks = self.peaks()
        held = np.pad(peaks, 1)
        return np.max([held[:-2], peaks, held[2:]], axis=0)

    def place(self) -> dict[str, Any]:
        """Arguments of the network's functions that say where the case is from."""
        return self.network.place(0, Facts(self.case.rate, 1, self.case.edge))

    def run(self, params: Params, x: np.ndarray, network: Network | None = None) -> np.ndarray:
        """Run the network, or another one, with other weights or another input."""
        network = network or self.network
        edge = None if network.takes is None else self.case.edge
        return _truth(self.case._replace(x=x, edge=edge), params, network, self.length)


def truths(case: Case, params: Params, network: Network, length: int) -> Iterator[np.ndarray]:
    """Yield the right output in parts, to be compared with one of `length` samples.

    Where the input repeats itself, so does the output, as far as the network sees: one period is
    computed, the first and the end.
    """
    samples, period, cut = case.x.shape[-1], case.period, network.cut
    if period is None or samples < 3 * period or case.rate != network.rate_in:
        yield _truth(case, params, network, length)
        return
    at = network.at
    begin = case._replace(x=case.x[: 2 * period + cut.right + cut.step])
    head = _truth(begin, params, network, network.duration(len(begin.x), case.rate))
    yield head[: at(period)]
    count = (samples - cut.right) // period
    for _ in range(1, count):
        yield head[at(period) : at(2 * period)]
    end = count * period - cut.left
    rest = _truth(case._replace(x=case.x[end:]), params, network, length - at(end))
    yield rest[at(cut.left) :]


def _truth(case: Case, params: Params, network: Network, length: int) -> np.ndarray:
    """Compute the right output: that of `upsample` for its length, else the bare network's."""
    bare, whole = lengths(case, network)
    x = np.float64(case.x)
    if case.rate == network.rate_in and not length == whole != bare:
        place = network.place(0, Facts(case.rate, 1, case.edge))
        return network.compute.forward(params, x, **place)
    loaded = Weights(network, params)
    y = upsample(x, case.rate, weights=loaded, keep_lowband=False, edge=case.edge)
    return y if length >= whole else y[..., :bare]


def lengths(case: Case, network: Network) -> tuple[int, int]:
    """The correct lengths, of the bare network and of `upsample`."""
    samples = case.x.shape[-1]
    at_its_rate = ceil_div(samples * network.rate_in, case.rate)
    return network.length(at_its_rate), network.duration(samples, case.rate)


def quantisation_step(y: np.ndarray) -> float:
    """Quantisation step of 16-bit samples with full scale 1; 0 for others."""
    parts = np.array_split(y.reshape(-1), ceil_div(y.size, 1 << 20))
    return 2**-15 if all((part * 32768 == np.rint(part * 32768)).all() for part in parts) else 0.0


def snr(y: np.ndarray, truth: np.ndarray) -> float:
    """SNR in dB; 400 for equal signals."""
    return decibels(float((truth**2).sum()), float(((y - truth) ** 2).sum()))


def decibels(energy: float, noise: float) -> float:
    """Ratio in dB; 400 without noise."""
    return 10 * float(np.log10(max(energy, 1e-30) / noise)) if noise else 400.0


def aligned_delay(y: np.ndarray, truth: np.ndarray) -> int:
    """Delay of y in samples at which it, or its negative, fits the truth best; at most 64."""
    y, truth = y - y.mean(), truth - truth.mean()
    reach = min(_MAX_DELAY, len(y) - 1)
    shifts = [0, *(s for k in range(1, reach + 1) for s in (k, -k))]
    products = [abs(float(np.dot(*aligned(y, truth, s)))) for s in shifts]
    return shifts[int(np.argmax(np.array(products) * (1 - 1e-9 * np.abs(shifts))))]


def aligned(y: Any, truth: Any, delay: int) -> tuple[np.ndarray, np.ndarray]:
    """The parts of y, late by `delay`, and truth that belong together."""
    if delay >= 0:
        return y[..., delay:], truth[..., : truth.shape[-1] - delay]
    return y[..., :delay], truth[..., -delay:]
