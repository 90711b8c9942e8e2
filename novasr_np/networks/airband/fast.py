"""Run airband fast away from a signal's ends, by whole pieces or frame by frame, for numpy.

The same layers with fewer and larger steps. A PReLU is ``a |v| + b v`` with ``a = (1 - s) / 2`` and
``b = (1 + s) / 2``, so with the 1 x 1 convolution W after it, it is one product,
``[W b, W a] [v; |v|]``. The last convolution, the interpolation between the bands' centres and the
logarithm's scale are linear, so one product computes the exponential's argument.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ...tensors import cast
from ..record import Facts, Params
from .features import features, spectra
from .spec import (
    CHANNELS,
    DILATIONS,
    FRAME_IN,
    FRAME_OUT,
    HOP_IN,
    KERNEL,
    KERNEL_IN,
    OUTPUT_OFFSET,
    OUTPUT_SCALE,
    OVERLAP,
    SILENCE,
    UPSAMPLING,
    Variant,
)
from .synthesis import carrier, keep_silence, overlap_add, spread, synthesise

_ROOM = 64  # frames that a stream's layer can take before it moves the frames that it holds

# (h [..., time], frames behind, frames ahead) -> h extended by these frames
Extend = Callable[[np.ndarray, int, int], np.ndarray]


class Block(NamedTuple):
    taps: np.ndarray  # [48, 5]
    bias: np.ndarray  # [48, 1]
    mix: np.ndarray  # [48, 96]
    mix_bias: np.ndarray  # [48, 1]


class Folded(NamedTuple):
    """Folded weights for `interior` and `Live`, all of one dtype. Made by `fold`."""

    conv_in: np.ndarray  # [48, 3 * 40]
    bias_in: np.ndarray  # [48, 1]
    blocks: tuple[Block, ...]
    out: np.ndarray  # [48, 320]
    bias_out: np.ndarray  # [320]


def fold(params: Params, dtype: Any, options: None = None) -> Folded:
    """Fold a tree of weights (`load_weights`) in float64, and cast the result to `dtype`."""
    p = cast(params, np.float64)
    blocks = []
    for i in range(len(DILATIONS)):
        block = p["blocks"][str(i)]
        weight, slope = block["pointwise"]["weight"][:, :, 0], block["prelu"]["slope"]
        blocks.append(
            Block(
                block["depthwise"]["weight"],
                block["depthwise"]["bias"][:, np.newaxis],
                np.concatenate([weight * (1 + slope) / 2, weight * (1 - slope) / 2], axis=1),
                block["pointwise"]["bias"][:, np.newaxis],
            )
        )
    lines = spread(np.dtype(np.float64))
    scale, offset = np.log(10) / 2 * OUTPUT_SCALE, np.log(10) / 2 * OUTPUT_OFFSET
    return cast(
        Folded(
            p["conv_in"]["weight"].transpose(0, 2, 1).reshape(CHANNELS, -1),
            p["conv_in"]["bias"][:, np.newaxis],
            tuple(blocks),
            scale * p["conv_out"]["weight"][:, :, 0].T @ lines,
            scale * p["conv_out"]["bias"] @ lines + offset,
        ),
        dtype,
    )


def interior(
    variant: Variant,
    p: Folded,
    x: np.ndarray,
    y: np.ndarray,
    memory: None = None,
    start: int = 0,
    facts: Facts | None = None,
) -> None:
    """Upsample x [n + context] at 16 kHz, without the signal's ends, to y [3 n], in place.

    start: position of x in its signal, a multiple of 80. facts: not needed.
    """
    before = OVERLAP + variant.frames_behind
    y[:] = overlap_add(_frames(p, spectra(x), variant, start // HOP_IN + before, lambda h, *_: h))
    inside = slice(before * HOP_IN - SILENCE, -(OVERLAP + variant.frames_ahead) * HOP_IN + SILENCE)
    keep_silence(y, x[inside])


class Live:
    """Stream of a signal in pieces of any length: each layer holds the frames it still needs.

    The outputs equal those of the whole signal, and each comes as soon as all frames that it
    depends on have come.
    """

    def __init__(self, variant: Variant, p: Folded, channels: int, dtype: Any) -> None:
        self._variant, self._p = variant, p
        self._x = np.zeros((channels, OVERLAP * HOP_IN), dtype)  # zeros before the signal
        self._due = np.zeros((channels, SILENCE), dtype)  # inputs whose outputs are still due
        self._held: list[_Held] = []
        self._overlap = np.zeros((channels, 0, FRAME_OUT), dtype)
        self._first = 0  # number of the next frame to compute

    def push(self, x: np.ndarray, last: bool = False) -> np.ndarray:
        """Take x [channels, n]; return the samples at 48 kHz that are determined now.

        last: the signal ends with x. The last hop is filled up with zeros, and all remaining
        samples are returned.
        """
        self._x = np.concatenate([self._x, x], axis=-1)
        self._due = np.concatenate([self._due, x], axis=-1)
        if last:
            missing = -self._x.shape[-1] % HOP_IN + OVERLAP * HOP_IN
            self._x = np.pad(self._x, ((0, 0), (0, missing)))
            self._due = np.pad(self._due, ((0, 0), (0, missing)))
        count = (self._x.shape[-1] - FRAME_IN) // HOP_IN + 1
        if count <= 0:
            return self._x[:, :0]
        spectrum = spectra(self._x)
        self._x = self._x[:, count * HOP_IN :].copy()
        extend = _Extension(self._held, last)
        frames = _frames(self._p, spectrum, self._variant, self._first, extend)
        self._first += frames.shape[-2]
        frames = np.concatenate([self._overlap, frames], axis=-2)
        self._overlap = frames[..., max(0, frames.shape[-2] - OVERLAP) :, :].copy()
        y = overlap_add(frames)
        samples = y.shape[-1] // UPSAMPLING
        keep_silence(y, self._due[:, : samples + 2 * SILENCE])
        self._due = self._due[:, samples:]
        return y


class _Extension:
    """Put each layer's held frames before its new ones; called in the order of the layers."""

    def __init__(self, held: list["_Held"], last: bool) -> None:
        self._held, self._last, self._call = held, last, 0

    def __call__(self, h: np.ndarray, behind: int, ahead: int) -> np.ndarray:
        if self._call == len(self._held):
            self._held.append(_Held(h, behind, ahead))
        held = self._held[self._call]
        self._call += 1
        return held.push(h, self._last)


class _Held:
    """Frames that one layer still needs, contiguous in memory with free space after them.

    So most pushes only write the new frames, and move nothing.
    """

    def __init__(self, h: np.ndarray, behind: int, ahead: int) -> None:
        self._ahead, self._enough = ahead, behind + ahead
        self._first, self._end = 0, behind
        self._frames = np.zeros((*h.shape[:-1], self._enough + _ROOM), h.dtype)

    def push(self, h: np.ndarray, last: bool) -> np.ndarray:
        """Append h [..., frames], and zeros if it is the last; return all that is held."""
        count = h.shape[-1]
        end = self._end + count + (self._ahead if last else 0)
        if end > self._frames.shape[-1]:
            kept = self._frames[..., self._first : self._end]
            room = max(_ROOM, end - self._end)
            self._frames = np.zeros((*h.shape[:-1], kept.shape[-1] + room), h.dtype)
            self._frames[..., : kept.shape[-1]] = kept
            end, self._first, self._end = end - self._first, 0, kept.shape[-1]
        self._frames[..., self._end : self._end + count] = h
        wide = self._frames[..., self._first : end]
        self._first, self._end = max(self._first, end - self._enough), end
        # From exactly this number of frames a layer computes none.
        return wide if wide.shape[-1] > self._enough else self._frames[..., : self._enough]


def _frames(
    p: Folded, spectrum: np.ndarray, variant: Variant, first: int, extend: Extend
) -> np.ndarray:
    """Compute frames of samples [..., frames, 960] from spectra [..., frames, 161].

    first: the number of the first frame.
    """
    behind, ahead = variant.behind, variant.ahead
    wide = extend(features(spectrum), behind[0], ahead[0])
    count = wide.shape[-1] - (KERNEL_IN - 1)
    h = p.conv_in @ np.concatenate([wide[..., k : k + count] for k in range(KERNEL_IN)], axis=-2)
    h += p.bias_in
    for i, (block, dilation) in enumerate(zip(p.blocks, DILATIONS, strict=True)):
        wide = extend(h, behind[i + 1], ahead[i + 1])
        count = wide.shape[-1] - (KERNEL - 1) * dilation
        both = np.empty((*wide.shape[:-2], 2 * CHANNELS, count), wide.dtype)
        v, magnitude = both[..., :CHANNELS, :], both[..., CHANNELS:, :]
        # Tap by tap would be just as right, but takes three times as long.
        np.einsum("...ckt,ck->...ct", _windows(wide, dilation, count), block.taps, out=v)
        v += block.bias
        np.abs(v, out=magnitude)
        h = block.mix @ both
        h += block.mix_bias
        h += wide[..., behind[i + 1] : behind[i + 1] + count]
    # The exponential linear unit.
    negative = np.minimum(h, 0)
    np.expm1(negative, out=negative)
    np.maximum(h, 0, out=h)
    h += negative
    level = h.swapaxes(-1, -2) @ p.out
    level += p.bias_out
    np.exp(level, out=level)
    wide = extend(spectrum.swapaxes(-1, -2), variant.frames_behind, variant.frames_ahead)
    own = wide[..., variant.frames_behind : variant.frames_behind + level.shape[-2]]
    made = carrier(first, level.shape[-2], level.dtype)
    return synthesise(own.swapaxes(-1, -2), level.swapaxes(-1, -2), made)


def _windows(h: np.ndarray, dilation: int, count: int) -> np.ndarray:
    """Collect the frames for each tap: [..., C, time] -> [..., C, 5, count].

    For a whole piece, a view; for a few frames of a stream, a copy, which takes less time than
    `as_strided`.
    """
    if not h.flags.c_contiguous:
        return h.take(_places(dilation, count), axis=-1)
    *lead, step = h.strides
    shape, strides = (*h.shape[:-1], KERNEL, count), (*lead, dilation * step, step)
    return np.ndarray(shape, h.dtype, h, 0, strides)


@lru_cache(64)
def _places(dilation: int, count: int) -> np.ndarray:
    return np.add.outer(dilation * np.arange(KERNEL), np.arange(count))
