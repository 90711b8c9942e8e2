"""Run airband fast away from a signal's ends, by whole pieces or frame by frame, for numpy.

The same layers with fewer and larger steps. A PReLU is ``a |v| + b v`` with ``a = (1 - s) / 2`` and
``b = (1 + s) / 2``, so with the 1 x 1 convolution W after it, it is one product,
``[W b, W a] [v; |v|]``. The last convolution, the interpolation between the bands' centres and the
logarithm's scale are linear, so one product computes the exponential's argument. A sum over 13
bins is one of sums over 1, 4 and 8.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ...tensors import cast
from ..record import Facts, Params
from .features import features, heard, spectra, window
from .model import edge_bin
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
    SAMPLE_RATE_IN,
    SOURCE,
    TINY,
    Variant,
)
from .synthesis import overlap_add, overtones, spread

_AT_A_TIME = 64  # frames of which the bins fit a core's cache

# (h [..., time], frames behind, frames ahead) -> h extended by these frames
Extend = Callable[[np.ndarray, int, int], np.ndarray]


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
    return cast(
        Folded(
            p["conv_in"]["weight"].transpose(0, 2, 1).reshape(CHANNELS, -1),
            p["conv_in"]["bias"],
            p["share"]["weight"],
            tuple(blocks),
            scale * p["conv_out"]["weight"][:, :, 0].T @ lines,
            scale * p["conv_out"]["bias"] @ lines + offset + np.log(MADE_GAIN),
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
    rate: int = SAMPLE_RATE_IN,
) -> None:
    """Upsample x [n + context] at `rate` Hz, without the signal's ends, to y [48000 n / rate].

    facts: of the sound, with its edge. start: not needed.
    """
    spectrum = spectra(x, rate)
    edges = np.full(spectrum.shape[-2], edge_bin(facts, rate))
    y[:] = overlap_add(made_frames(p, spectrum, edges, variant, lambda h, *_: h))


def made_frames(
    p: Folded, spectrum: np.ndarray, edges: np.ndarray, variant: Variant, extend: Extend
) -> np.ndarray:
    """Compute frames of samples [..., frames, 960] from spectra [..., frames, bins].

    edges [frames]: the first bin of each frame that is not the sound's own.
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
    wide = extend(spectrum.swapaxes(-1, -2), first, variant.frames_ahead)
    own = wide[..., first : first + count].swapaxes(-1, -2)
    at = extend(edges, first, variant.frames_ahead)[first : first + count]
    frames = np.empty((*h.shape[:-2], count, FRAME), dtype)
    for run, edge in _runs(at):
        for begin in range(run.start, run.stop, _AT_A_TIME):
            part = slice(begin, min(begin + _AT_A_TIME, run.stop))
            frames[..., part, :] = _sound(p, own[..., part, :], h[..., part], edge)
    return frames


def _sound(p: Folded, own: np.ndarray, h: np.ndarray, edge: int) -> np.ndarray:
    """Samples of n frames: spectra [..., n, bins], activations [..., 64, n] -> [..., n, 960]."""
    dtype = p.out.dtype
    bins = np.empty((*own.shape[:-1], BINS), own.dtype)
    np.multiply(own[..., :edge], dtype.type(KEPT_GAIN), out=bins[..., :edge])
    if edge < BINS:
        first = max(0, edge - FLAT_CARRIER)
        bright = overtones(_rectified(own, edge))[..., first:]
        gain = h.swapaxes(-1, -2) @ p.out[:, edge:]
        gain += p.bias_out[edge:]
        np.exp(gain, out=gain)
        gain /= _rms(bright, FLAT_CARRIER)[..., edge - first : -1]
        np.multiply(bright[..., edge - first : -1], gain, out=bins[..., edge:])
    frames = np.fft.irfft(bins, FRAME)
    frames *= window(FRAME, frames.dtype)
    return frames


def _rectified(own: np.ndarray, edge: int) -> np.ndarray:
    """As `synthesis.rectified`."""
    source = own[..., SOURCE.start : min(edge, SOURCE.stop)]
    flat = np.zeros((*source.shape[:-1], BINS + 1), own.dtype)
    part = flat[..., SOURCE.start : SOURCE.start + source.shape[-1]]
    np.divide(source, _rms(source, FLAT_SOURCE), out=part)
    z = np.fft.irfft(flat, FRAME)
    return np.abs(z, out=z)


def _rms(spectrum: np.ndarray, side: int) -> np.ndarray:
    """Root mean square over 2 side + 1 bins, of which the first and the last are held beyond."""
    count = spectrum.shape[-1]
    wide = np.empty((*spectrum.shape[:-1], count + 2 * side), spectrum.real.dtype)
    power = wide[..., side : side + count]
    np.multiply(spectrum.real, spectrum.real, out=power)
    power += spectrum.imag * spectrum.imag
    wide[..., :side] = power[..., :1]
    wide[..., side + count :] = power[..., -1:]
    # Sums over 1, 2, 4, .. bins, of which those that make up 2 side + 1 are added.
    total, done, part, size = None, 0, wide, 1
    while size <= 2 * side + 1:
        if (2 * side + 1) & size:
            here = part[..., done : done + count]
            total = here.copy() if total is None else np.add(total, here, out=total)
            done += size
        part, size = part[..., :-size] + part[..., size:], 2 * size
    assert total is not None
    total *= wide.dtype.type(1 / (2 * side + 1))
    total += wide.dtype.type(TINY)
    return np.sqrt(total, out=total)


def _runs(edges: np.ndarray) -> list[tuple[slice, int]]:
    """Runs of frames with the same edge."""
    if not len(edges):
        return []
    if (edges == edges[0]).all():  # nearly always
        return [(slice(0, len(edges)), int(edges[0]))]
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
