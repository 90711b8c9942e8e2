"""airband: the layers in order, for a signal or for a batch of signals of any lengths and edges."""

import math
from collections.abc import Callable, Generator, Iterator
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from novasr_np.networks.airband.spec import (
    BANDS_OUT,
    BIN,
    BINS,
    DILATIONS,
    FIRST,
    FLAT_CARRIER,
    FLAT_SOURCE,
    FRAME,
    HOP,
    HOPS,
    KEPT_GAIN,
    MADE_GAIN,
    OUTPUT_OFFSET,
    OUTPUT_SCALE,
    OVERLAP,
    SAMPLE_RATE_IN,
    SAMPLE_RATE_OUT,
    SOURCE,
    TINY,
    WIDTHS,
    Variant,
)

from ...layers import conv1d, correlate, depthwise1d, elu, linear, prelu, zero_from
from ..record import checked
from .features import features

# (h [..., frames, C], frames behind, frames ahead) -> h extended by these frames
Extend = Callable[[Any, int, int], jax.Array]


def stages(
    params: dict[str, Any],
    x: Any,
    length: Any = None,
    *,
    variant: Variant,
    start: Any = 0,
    facts: Any = None,
    rate: int = SAMPLE_RATE_IN,
    precision: str = "highest",
) -> Iterator[tuple[str, jax.Array]]:
    """Yield (name, activation) for every stage, under the names of `novasr_np`, channels last.

    Arguments as for `forward`. A hidden activation is [..., frames, channels], with
    ceil(T / hop) + 3 frames; ``amplitude`` has all of 480 bins, as one program serves every edge;
    the last stage, ``y``, is [..., ceil(48000 T / rate)].

    Raises TypeError for another dtype, ValueError for T < 1 or an unknown precision.
    """
    x = checked(x, 1, precision)
    samples, hop = x.shape[-1], rate // HOPS
    x = zero_from(x[..., None], length)[..., 0]
    before = OVERLAP * hop
    around = [(0, 0)] * (x.ndim - 1) + [(before, before + -samples % hop)]
    spectrum = spectra(jnp.pad(x, around), rate, precision)
    # A layer's padding begins where the frames of a signal end.
    own = None if length is None else -(-jnp.asarray(length) // hop) + OVERLAP

    def extend(h: Any, behind: int, ahead: int) -> jax.Array:
        widths = [(0, 0)] * (h.ndim - 2) + [(behind, ahead), (0, 0)]
        return jnp.pad(zero_from(h, own), widths)

    edge = edge_bin(facts, rate)
    frames = yield from made_frames(params, spectrum, edge, variant, extend, precision)
    yield "y", overlap_add(frames)[..., : -(-samples * SAMPLE_RATE_OUT // rate)]


def forward(
    params: dict[str, Any],
    x: Any,
    length: Any = None,
    *,
    variant: Variant,
    start: Any = 0,
    facts: Any = None,
    rate: int = SAMPLE_RATE_IN,
    precision: str = "highest",
) -> jax.Array:
    """Run the bare network: x [..., T] at `rate` Hz -> [..., ceil(48000 T / rate)], dtype of x.

    x is float32, or float64 where JAX's 64-bit mode is on. params as `load_weights` gives them.
    Pure, for ``jit`` (rate and precision static), ``vmap``, ``grad`` and ``jax.export``.

    length: number of samples of each signal without its padding, an integer [...] from 1 to T,
    traced or not; None for all. The padding, even NaN, has no effect: the first outputs, as many as
    the signal alone has, are those of the signal alone; the rest is meaningless.

    facts: `Facts` with the edge of each x, Hz [...], traced or not; NaN, or None, for half the
    rate. rate: a multiple of 200 Hz from 4 to 48 kHz. start: not needed. precision: of the products
    of convolutions, bands and Fourier transforms, "highest" (float32), "high" (TF32 on a GPU, three
    bfloat16 passes on a TPU), "fp16" or "bf16".

    Raises TypeError for another dtype, ValueError for T < 1 or an unknown precision.
    """
    for _, activation in stages(
        params, x, length, variant=variant, facts=facts, rate=rate, precision=precision
    ):
        y = activation
    return y


def edge_bin(facts: Any, rate: int) -> jax.Array:
    """The first bin that is not the sound's own, an integer [...]."""
    half = rate // (2 * BIN)
    if facts is None or facts.edge is None:
        return jnp.asarray(half)
    found = jnp.asarray(facts.edge)
    return jnp.where(jnp.isnan(found), half, jnp.minimum(jnp.round(found / BIN), half)).astype(int)


def made_frames(
    params: dict[str, Any],
    spectrum: jax.Array,
    edge: jax.Array,
    variant: Variant,
    extend: Extend,
    precision: str,
) -> Generator[tuple[str, jax.Array], None, jax.Array]:
    """Yield all stages but the last; return the frames of samples, [..., frames, 960].

    spectrum [..., frames, bins]; edge [...].
    """
    h, share = features(spectrum.real**2 + spectrum.imag**2, edge)
    yield "features", h
    p = jax.tree.map(lambda value: jnp.asarray(value, h.dtype), params)
    h = yield from hidden(p, h, share, variant, extend, precision)
    level = amplitude(h)
    yield "amplitude", level
    behind, ahead = variant.frames_behind, variant.frames_ahead
    own = extend(spectrum, behind, ahead)
    own = own[..., behind : own.shape[-2] - ahead, :]
    z = rectified(own, edge)
    yield "rectified", z
    made = MADE_GAIN * level * flattened(rfft(z, precision), FLAT_CARRIER)[..., :BINS]
    missing = [(0, 0)] * (own.ndim - 1) + [(0, max(0, BINS - own.shape[-1]))]
    own = jnp.pad(own, missing)[..., :BINS]
    bins = jnp.where(jnp.arange(BINS) < edge[..., None, None], KEPT_GAIN * own, made)
    return irfft(bins, precision) * window(FRAME).astype(level.dtype)


def hidden(
    p: dict[str, Any],
    h: Any,
    share: Any,
    variant: Variant,
    extend: Extend,
    precision: str = "highest",
) -> Generator[tuple[str, jax.Array], None, jax.Array]:
    """Run the layers that have weights: features [..., frames, 73] -> [..., frames, 56].

    share [..., 73]: the part of each band that is below the edge.
    """
    behind, ahead = variant.behind, variant.ahead
    h = conv1d(extend(h, behind[0], ahead[0]), **p["conv_in"], precision=precision, padded=False)
    h = h + linear(share, **p["share"])[..., None, :]
    yield "conv_in", h
    for i, dilation in enumerate(DILATIONS):
        block, name = p["blocks"][str(i)], f"blocks.{i}"
        wide = extend(h, behind[i + 1], ahead[i + 1])
        v = depthwise1d(wide, **block["depthwise"], dilation=dilation)
        yield f"{name}.depthwise", v
        v = prelu(v, **block["prelu"])
        yield f"{name}.prelu", v
        v = conv1d(v, **block["pointwise"], precision=precision)
        yield f"{name}.pointwise", v
        h = wide[..., behind[i + 1] : wide.shape[-2] - ahead[i + 1], :] + v
        yield name, h
    h = elu(h)
    yield "elu", h
    h = conv1d(h, **p["conv_out"], precision=precision)
    yield "conv_out", h
    return h


def result(stages: Generator[Any, None, jax.Array]) -> jax.Array:
    """Run a generator of stages, and return its return value."""
    while True:
        try:
            next(stages)
        except StopIteration as end:
            return end.value


def amplitude(h: jax.Array) -> jax.Array:
    """Magnitude of each bin, where it is made: [..., frames, 56] -> [..., frames, 480]."""
    level = jnp.dot(h, spread().astype(h.dtype), precision=jax.lax.Precision.HIGHEST)
    return jnp.exp(math.log(10) / 2 * (level * OUTPUT_SCALE + OUTPUT_OFFSET))


def rectified(spectrum: jax.Array, edge: jax.Array, precision: str = "highest") -> jax.Array:
    """The carrier before it is made flat, [..., frames, 960], of spectra [..., frames, bins]."""
    own = spectrum[..., SOURCE.start : SOURCE.stop]
    place = jnp.arange(SOURCE.start, SOURCE.start + own.shape[-1])
    last = jnp.minimum(edge, SOURCE.stop)[..., None, None] - 1
    power = own.real**2 + own.imag**2
    at_last = jnp.where(place == last, power, 0).sum(axis=-1, keepdims=True)
    flat = own / _rms(jnp.where(place <= last, power, at_last), FLAT_SOURCE)
    before = [(0, 0)] * (own.ndim - 1) + [(SOURCE.start, 0)]
    return jnp.abs(irfft(jnp.pad(jnp.where(place <= last, flat, 0), before), precision))


def flattened(spectrum: jax.Array, side: int) -> jax.Array:
    """Divide each bin by the rms of the 2 side + 1 bins around it, the ends held."""
    return spectrum / _rms(spectrum.real**2 + spectrum.imag**2, side)


def _rms(power: jax.Array, side: int) -> jax.Array:
    wide = jnp.pad(power, [(0, 0)] * (power.ndim - 1) + [(side, side)], mode="edge")
    count, taps = power.shape[-1], 2 * side + 1
    mean = sum(wide[..., k : k + count] for k in range(taps)) / taps
    return jnp.sqrt(mean + TINY)


def spectra(x: jax.Array, rate: int, precision: str) -> jax.Array:
    """The STFT of the whole frames of x [..., n] at `rate` Hz, n of whole hops, scaled to 48 kHz.

    [..., frames, rate / 100 + 1], complex.
    """
    hop = rate // HOPS
    hops = x.reshape(*x.shape[:-1], -1, hop)
    count = hops.shape[-2] - OVERLAP
    frames = jnp.concatenate([hops[..., q : q + count, :] for q in range(OVERLAP + 1)], axis=-1)
    return rfft(
        frames * (window(frames.shape[-1]) * SAMPLE_RATE_OUT / rate).astype(x.dtype), precision
    )


# A TPU has a unit for matrix products but none for Fourier transforms, whose lengths here are no
# powers of two: there a transform is one product.
def rfft(frames: jax.Array, precision: str) -> jax.Array:
    """Spectra of frames [..., N]: [..., N / 2 + 1], complex."""
    product = partial(rfft_by_matrix, precision=precision)
    return jax.lax.platform_dependent(frames, tpu=product, default=jnp.fft.rfft)


def irfft(spectrum: jax.Array, precision: str) -> jax.Array:
    """Bins from 0 up to 479 or less -> samples [..., 960]."""
    product = partial(irfft_by_matrix, precision=precision)
    return jax.lax.platform_dependent(
        spectrum, tpu=product, default=lambda spectrum: jnp.fft.irfft(spectrum, FRAME)
    )


def rfft_by_matrix(frames: jax.Array, precision: str = "highest") -> jax.Array:
    """`rfft` as a product."""
    bins = frames.shape[-1] // 2 + 1
    angle = _angles(frames.shape[-1], bins)  # [N, bins]
    parts = _product(frames, np.concatenate([np.cos(angle), -np.sin(angle)], axis=1), precision)
    return jax.lax.complex(parts[..., :bins], parts[..., bins:])


def irfft_by_matrix(spectrum: jax.Array, precision: str = "highest") -> jax.Array:
    """`irfft` as a product."""
    angle = _angles(FRAME, spectrum.shape[-1])  # [960, bins]
    twice = np.where(np.arange(spectrum.shape[-1]) == 0, 1, 2) / FRAME
    waves = np.concatenate([twice * np.cos(angle), -twice * np.sin(angle)], axis=1)
    parts = jnp.concatenate([spectrum.real, spectrum.imag], axis=-1)
    return _product(parts, waves.T, precision)


def _angles(size: int, bins: int) -> np.ndarray:
    return 2 * np.pi / size * (np.outer(np.arange(size), np.arange(bins)) % size)


def _product(x: jax.Array, matrix: np.ndarray, precision: str) -> jax.Array:
    """A convolution's product with taps of one step; `correlate` knows the precisions."""
    return correlate(x, jnp.asarray(matrix, x.dtype)[None], precision)


def overlap_add(frames: jax.Array) -> jax.Array:
    """[..., n + 3, 960] -> [..., 240 n]."""
    count = frames.shape[-2] - OVERLAP
    quarters = frames.reshape(*frames.shape[:-1], OVERLAP + 1, HOP)
    y = quarters[..., :count, OVERLAP, :]
    for q in range(OVERLAP):
        y = y + quarters[..., OVERLAP - q : OVERLAP - q + count, q, :]
    return y.reshape(*frames.shape[:-2], count * HOP)


@cache
def window(size: int) -> np.ndarray:
    """``sin(pi n / size)``, the square root of a periodic Hann window."""
    return np.sin(np.pi / size * np.arange(size))


@cache
def spread() -> np.ndarray:
    """Matrix of the linear interpolation between the bands' centres, the ends held, [56, 480]."""
    centres = FIRST + np.cumsum(WIDTHS) - (np.array(WIDTHS) + 1) / 2
    bands = np.arange(BANDS_OUT)
    place = np.interp(np.arange(BINS), centres, bands)
    return np.maximum(1 - np.abs(place - bands[:, np.newaxis]), 0)
