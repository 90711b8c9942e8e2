"""Run airband fast away from a signal's ends, by whole pieces or frame by frame, for numpy.

The same layers with fewer and larger steps. A PReLU is ``a |v| + b v`` with ``a = (1 - s) / 2`` and
``b = (1 + s) / 2``, so with the 1 x 1 convolution W after it, it is one product,
``[W b, W a] [v; |v|]``. The last convolution, the interpolation between the bands' centres and the
logarithm's scale are linear, so one product computes the exponential's argument. A sum over 13
bins is one of sums over 1, 4 and 8.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ...tensors import cast
from ..record import Params
from .features import AT_A_TIME, features, heard, window
from .spec import (
    BINS,
    CHANNELS,
    DILATIONS,
    FLAT_CARRIER,
    FLAT_SOURCE,
    FRAME,
    KEPT_GAIN,
    KERNEL,
    KERNEL_IN,
    MADE_GAIN,
    OUTPUT_OFFSET,
    OUTPUT_SCALE,
    SOURCE,
    TINY,
    Variant,
)
from .synthesis import spread

# (h [..., time], frames behind, frames ahead, rows=False) -> h extended by these frames; rows:
# whether each frame is contiguous in memory
Extend = Callable[..., np.ndarray]


class Block(NamedTuple):
    taps: np.ndarray  # [64, 5]
    bias: np.ndarray  # [64, 1]
    mix: np.ndarray  # [64, 128]
    mix_bias: np.ndarray  # [64, 1]


class Folded(NamedTuple):
    """Folded weights for `interior` and `FrameStream`, all of one dtype. Made by `fold`."""

    conv_in: np.ndarray  # [64, 3 * 73]
    bias_in: np.ndarray  # [64]
    share: np.ndarray  # [64, 73]
    blocks: tuple[Block, ...]
    out: np.ndarray  # [64, 480]
    bias_out: np.ndarray  # [480]


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
    made_gain = MADE_GAIN * _root_bins(FLAT_CARRIER)
    return cast(
        Folded(
            p["conv_in"]["weight"].transpose(0, 2, 1).reshape(CHANNELS, -1),
            p["conv_in"]["bias"],
            p["share"]["weight"],
            tuple(blocks),
            scale * p["conv_out"]["weight"][:, :, 0].T @ lines,
            scale * p["conv_out"]["bias"] @ lines + offset + np.log(made_gain),
        ),
        dtype,
    )


def made_frames(
    p: Folded,
    spectrum: np.ndarray,
    edges: np.ndarray,
    variant: Variant,
    extend: Extend,
    before: np.ndarray,
) -> np.ndarray:
    """Compute frames of samples from spectra [..., frames, bins].

    edges [frames]: the first bin of each frame that is not the sound's own. before [..., n, 960]:
    the last frames of samples, which are returned in front, [..., n + frames, 960].
    """
    behind, ahead = variant.behind, variant.ahead
    dtype = p.out.dtype
    seen = [features(spectrum[..., part, :], edge) for part, edge in _runs(edges)]
    wide = extend(np.concatenate(seen, axis=-1), behind[0], ahead[0])
    count = wide.shape[-1] - (KERNEL_IN - 1)
    h = p.conv_in @ np.concatenate([wide[..., k : k + count] for k in range(KERNEL_IN)], axis=-2)
    at = extend(edges, behind[0], ahead[0])[behind[0] : behind[0] + count]
    for part, edge in _runs(at):
        h[..., part] += (p.bias_in + p.share @ heard(edge, dtype).share)[:, np.newaxis]
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
    count, first = h.shape[-1], variant.frames_behind
    wide = extend(spectrum.swapaxes(-1, -2), first, variant.frames_ahead, rows=True)
    own = wide[..., first : first + count].swapaxes(-1, -2)
    at = extend(edges, first, variant.frames_ahead)[first : first + count]
    done = before.shape[-2]
    frames = np.empty((*h.shape[:-2], done + count, FRAME), dtype)
    frames[..., :done, :] = before
    for run, edge in _runs(at):
        for begin in range(run.start, run.stop, AT_A_TIME):
            part = slice(begin, min(begin + AT_A_TIME, run.stop))
            out = frames[..., done + part.start : done + part.stop, :]
            _sound(p, own[..., part, :], h[..., part], edge, out)
    return frames


def _sound(p: Folded, own: np.ndarray, h: np.ndarray, edge: int, out: np.ndarray) -> None:
    """Write n frames [..., n, 960] of spectra [..., n, bins] and activations [..., 64, n]."""
    dtype = p.out.dtype
    bins = np.empty((*own.shape[:-1], BINS + 1), own.dtype)
    bins[..., BINS] = 0  # though `irfft` would take it for 0, it would take longer
    np.multiply(own[..., :edge], dtype.type(KEPT_GAIN), out=bins[..., :edge])
    if edge < BINS:
        first = max(0, edge - FLAT_CARRIER)
        bright = _overtones(_rectified(own, edge))[..., first:]
        gain = h.swapaxes(-1, -2) @ p.out[:, edge:]
        gain += p.bias_out[edge:]
        np.exp(gain, out=gain)
        gain /= _root_sum(bright, FLAT_CARRIER)[..., edge - first : -1]
        np.multiply(bright[..., edge - first : -1], gain, out=bins[..., edge:BINS])
    np.multiply(np.fft.irfft(bins, FRAME), window(FRAME, dtype), out=out)


def _rectified(own: np.ndarray, edge: int) -> np.ndarray:
    """As `synthesis.rectified`, times 960 and less its mean, which no bin that is made hears."""
    source = own[..., SOURCE.start : min(edge, SOURCE.stop)]
    flat = np.zeros((*source.shape[:-1], BINS + 1), own.dtype)
    part = flat[..., SOURCE.start : SOURCE.start + source.shape[-1]]
    level = own.real.dtype.type(FRAME * _root_bins(FLAT_SOURCE)) / _root_sum(source, FLAT_SOURCE)
    # Apart: numpy would make complex numbers of the levels.
    np.multiply(source.real, level, out=part.real)
    np.multiply(source.imag, level, out=part.imag)
    z = np.fft.irfft(flat, FRAME)
    np.abs(z, out=z)
    # Less its mean, by which all would be rounded. As a product: `mean` itself would take longer.
    z -= z @ np.full((FRAME, 1), 1 / FRAME, z.dtype)
    return z


def _overtones(z: np.ndarray) -> np.ndarray:
    """As `synthesis.overtones`, of z / 960."""
    # With a factor in float32, as this norm's is, numpy computes in float32; with none in float64,
    # and with two copies.
    return np.fft.rfft(z, norm="forward").astype(np.result_type(z, np.complex64), copy=False)


def _root_sum(spectrum: np.ndarray, side: int) -> np.ndarray:
    """Root of the sum of the power of 2 side + 1 bins, the first and the last held beyond."""
    count = spectrum.shape[-1]
    wide = np.empty((*spectrum.shape[:-1], count + 2 * side), spectrum.real.dtype)
    power = wide[..., side : side + count]
    squares = spectrum.view(wide.dtype) ** 2  # of the real and imaginary parts in turn
    np.add(squares[..., ::2], squares[..., 1::2], out=power)
    wide[..., :side] = power[..., :1]
    wide[..., side + count :] = power[..., -1:]
    # Sums over 1, 2, 4, .. bins, of which those that make up 2 side + 1 are added. Frames are taken
    # as one row, for speed: sums that reach from one into the next are left out at the end.
    out = np.empty_like(wide)
    part, total = wide.ravel(), out.ravel()[: wide.size - 2 * side]
    np.add(part[: len(total)], wide.dtype.type(TINY * (2 * side + 1)), out=total)
    done, size = 1, 1
    while done <= 2 * side:
        part, size = part[:-size] + part[size:], 2 * size
        if (2 * side + 1) & size:
            total += part[done : done + len(total)]
            done += size
    np.sqrt(total, out=total)
    return out[..., :count]


def _root_bins(side: int) -> float:
    """What makes of a root of a sum, as `_root_sum` has it, that of a mean, divided by it."""
    return math.sqrt(2 * side + 1)


def _runs(edges: np.ndarray) -> list[tuple[slice, int]]:
    """Runs of frames with the same edge."""
    if not len(edges):
        return []
    if len(same := set(edges.tolist())) == 1:  # nearly always
        return [(slice(0, len(edges)), same.pop())]
    ends = [0, *(np.flatnonzero(np.diff(edges)) + 1).tolist(), len(edges)]
    return [(slice(a, b), int(edges[a])) for a, b in pairwise(ends)]


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
