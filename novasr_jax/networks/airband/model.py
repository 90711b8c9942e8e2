"""airband: the layers in order, for a signal or for a batch of signals of any lengths."""

from collections.abc import Callable, Generator, Iterator
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from novasr_np.networks.airband.spec import (
    BAND_BINS,
    BANDS_IN,
    BANDS_OUT,
    DILATIONS,
    FEATURE_OFFSET,
    FEATURE_SCALE,
    FLOOR,
    FRAME_IN,
    FRAME_OUT,
    HOP_IN,
    HOP_OUT,
    LOWEST,
    OUTPUT_OFFSET,
    OUTPUT_SCALE,
    OVERLAP,
    OWN_BINS,
    SAMPLE_RATE_IN,
    SILENCE,
    UPSAMPLING,
    Variant,
)

from ...layers import conv1d, correlate, depthwise1d, elu, prelu, zero_from
from ..record import checked

_BEFORE = OVERLAP * HOP_IN
_MADE = BANDS_OUT * BAND_BINS  # bins that are synthesised

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
    precision: str = "highest",
) -> Iterator[tuple[str, jax.Array]]:
    """Yield (name, activation) for every stage, under the names of `novasr_np`, channels last.

    Arguments as for `forward`. A hidden activation is [..., frames, channels], with
    ceil(T / 80) + 3 frames, and the last stage, ``y``, [..., 3T].

    Raises TypeError for another dtype, ValueError for T < 1 or an unknown precision.
    """
    x = checked(x, 1, precision)
    samples = x.shape[-1]
    x = zero_from(x[..., None], length)[..., 0]
    around = [(0, 0)] * (x.ndim - 1) + [(_BEFORE, _BEFORE + -samples % HOP_IN)]
    spectrum = spectra(jnp.pad(x, around), precision)
    # A layer's padding begins where the frames of a signal end.
    own = None if length is None else -(-jnp.asarray(length) // HOP_IN) + OVERLAP

    def extend(h: Any, behind: int, ahead: int) -> jax.Array:
        widths = [(0, 0)] * (h.ndim - 2) + [(behind, ahead), (0, 0)]
        return jnp.pad(zero_from(h, own), widths)

    first = start // HOP_IN
    frames = yield from made_frames(params, spectrum, variant, first, extend, precision)
    y = overlap_add(frames)[..., : UPSAMPLING * samples]
    yield "y", keep_silence(y, jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(SILENCE, SILENCE)]))


def forward(
    params: dict[str, Any],
    x: Any,
    length: Any = None,
    *,
    variant: Variant,
    start: Any = 0,
    facts: Any = None,
    precision: str = "highest",
) -> jax.Array:
    """Run the bare network: x [..., T] at 16 kHz -> [..., 3T] at 48 kHz, the dtype of x.

    x is float32, or float64 where JAX's 64-bit mode is on. params as `load_weights` gives them.
    Pure, for ``jit`` (precision static), ``vmap``, ``grad`` and ``jax.export``.

    length: number of samples of each signal without its padding, an integer [...] from 1 to T,
    traced or not; None for all. The padding, even NaN, has no effect: the first 3 length outputs
    are those of the signal alone; the rest is meaningless.

    start: position of each x in its signal, an integer [...], in samples, a multiple of 80: it
    determines the carrier. facts: not needed. precision: of the products of convolutions, mel bands
    and Fourier transforms, "highest" (float32), "high" (TF32 on a GPU, three bfloat16 passes on a
    TPU), "fp16" or "bf16".

    Raises TypeError for another dtype, ValueError for T < 1 or an unknown precision.
    """
    for _, activation in stages(
        params, x, length, variant=variant, start=start, precision=precision
    ):
        y = activation
    return y


def made_frames(
    params: dict[str, Any],
    spectrum: jax.Array,
    variant: Variant,
    first: Any,
    extend: Extend,
    precision: str,
) -> Generator[tuple[str, jax.Array], None, jax.Array]:
    """Yield all stages but the last; return the frames of samples, [..., frames, 960].

    spectrum [..., frames, 161]; first [...]: the number of the first frame.
    """
    h = features(spectrum)
    yield "features", h
    p = jax.tree.map(lambda value: jnp.asarray(value, h.dtype), params)
    h = yield from hidden(p, h, variant, extend, precision)
    level = amplitude(h)
    yield "amplitude", level
    behind, ahead = variant.frames_behind, variant.frames_ahead
    own = extend(spectrum[..., :OWN_BINS], behind, ahead)
    own = own[..., behind : own.shape[-2] - ahead, :] * 1.5
    high = level * carrier(first, level.shape[-2], level.dtype)
    return frames_of(jnp.concatenate([own, high], axis=-1), precision)


def hidden(
    p: dict[str, Any], h: Any, variant: Variant, extend: Extend, precision: str = "highest"
) -> Generator[tuple[str, jax.Array], None, jax.Array]:
    """Run the layers that have weights: features [..., frames, 40] -> [..., frames, 32]."""
    behind, ahead = variant.behind, variant.ahead
    h = conv1d(extend(h, behind[0], ahead[0]), **p["conv_in"], precision=precision, padded=False)
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


def features(spectrum: jax.Array) -> jax.Array:
    """Features ``(log10(max(M |X|^2, 1e-8)) + 3) / 2``: [..., frames, 161] -> [..., frames, 40]."""
    power = spectrum.real**2 + spectrum.imag**2
    bands = jnp.dot(power, mel().astype(power.dtype), precision=jax.lax.Precision.HIGHEST)
    return (jnp.log10(jnp.maximum(bands, FLOOR)) + FEATURE_OFFSET) * FEATURE_SCALE


def amplitude(h: jax.Array) -> jax.Array:
    """Magnitude of each bin that is synthesised: [..., frames, 32] -> [..., frames, 320]."""
    level = jnp.dot(h, spread().astype(h.dtype), precision=jax.lax.Precision.HIGHEST)
    return jnp.exp(np.log(10) / 2 * (level * OUTPUT_SCALE + OUTPUT_OFFSET))


def carrier(first: Any, count: int, dtype: Any) -> jax.Array:
    """Carrier as in `novasr_np`: complex numbers of magnitude 1, [..., count, 320]; first [...]."""
    i = (
        jnp.asarray(first, jnp.uint32)[..., None, None]
        + jnp.arange(count, dtype=jnp.uint32)[:, None]
    )
    k = jnp.arange(OWN_BINS, OWN_BINS + _MADE, dtype=jnp.uint32)
    h = jnp.uint32(0x9E3779B1) * i + jnp.uint32(0x85EBCA77) * k
    h = h * (2 * h + 1)
    h = (h + (h >> 16)) * jnp.uint32(0x7FEB352D)
    h = h * (2 * h + 1)
    angle = (h >> 24).astype(dtype) * (2 * np.pi / 256)
    return jax.lax.complex(jnp.cos(angle), jnp.sin(angle))


def spectra(x: jax.Array, precision: str) -> jax.Array:
    """The STFT of the whole frames of x [..., n], n of whole hops: [..., frames, 161], complex."""
    hops = x.reshape(*x.shape[:-1], -1, HOP_IN)
    count = hops.shape[-2] - OVERLAP
    frames = jnp.concatenate([hops[..., q : q + count, :] for q in range(OVERLAP + 1)], axis=-1)
    product = partial(spectra_by_matrix, precision=precision)
    return jax.lax.platform_dependent(frames, tpu=product, default=_spectra_by_fft)


def frames_of(spectrum: jax.Array, precision: str) -> jax.Array:
    """Bins 0 .. 479 -> samples under the window: [..., frames, 960]."""
    product = partial(frames_by_matrix, precision=precision)
    return jax.lax.platform_dependent(spectrum, tpu=product, default=_frames_by_fft)


def _spectra_by_fft(frames: jax.Array) -> jax.Array:
    return jnp.fft.rfft(frames * window(FRAME_IN).astype(frames.dtype))


def _frames_by_fft(spectrum: jax.Array) -> jax.Array:
    frames = jnp.fft.irfft(spectrum, FRAME_OUT)
    return frames * window(FRAME_OUT).astype(frames.dtype)


# A TPU has a unit for matrix products but none for Fourier transforms, whose lengths here are no
# powers of two: there a transform is one product, 0.2 MFLOP for an input frame, 1.8 for an output
# frame.
def spectra_by_matrix(frames: jax.Array, precision: str = "highest") -> jax.Array:
    """Windowed spectra of frames [..., 320] as a product: [..., 161], complex."""
    angle = _angles(FRAME_IN, OWN_BINS + 1)  # [320, 161]
    taps = window(FRAME_IN)[:, None] * np.concatenate([np.cos(angle), -np.sin(angle)], axis=1)
    parts = _product(frames, taps, precision)
    return jax.lax.complex(parts[..., : OWN_BINS + 1], parts[..., OWN_BINS + 1 :])


def frames_by_matrix(spectrum: jax.Array, precision: str = "highest") -> jax.Array:
    """Windowed frames [..., 960] of spectra [..., 480] as a product."""
    angle = _angles(FRAME_OUT, spectrum.shape[-1])  # [960, 480]
    twice = np.where(np.arange(spectrum.shape[-1]) == 0, 1, 2) / FRAME_OUT
    taps = window(FRAME_OUT)[:, None] * np.concatenate(
        [twice * np.cos(angle), -twice * np.sin(angle)], axis=1
    )
    parts = jnp.concatenate([spectrum.real, spectrum.imag], axis=-1)
    return _product(parts, taps.T, precision)


def _angles(size: int, bins: int) -> np.ndarray:
    return 2 * np.pi / size * (np.outer(np.arange(size), np.arange(bins)) % size)


def _product(x: jax.Array, matrix: np.ndarray, precision: str) -> jax.Array:
    """A convolution's product with taps of one step; `correlate` knows the precisions."""
    return correlate(x, jnp.asarray(matrix, x.dtype)[None], precision)


def overlap_add(frames: jax.Array) -> jax.Array:
    """[..., n + 3, 960] -> [..., 240 n]."""
    count = frames.shape[-2] - OVERLAP
    quarters = frames.reshape(*frames.shape[:-1], OVERLAP + 1, HOP_OUT)
    y = quarters[..., :count, OVERLAP, :]
    for q in range(OVERLAP):
        y = y + quarters[..., OVERLAP - q : OVERLAP - q + count, q, :]
    return y.reshape(*frames.shape[:-2], count * HOP_OUT)


def keep_silence(y: jax.Array, x: jax.Array) -> jax.Array:
    """Set y [..., 3 n] to zero where x [..., n + 32] has 33 zeros around a sample."""
    level, lead = jnp.abs(x), (1,) * (x.ndim - 1)
    reach = (*lead, 2 * SILENCE + 1)
    loudest = jax.lax.reduce_window(level, 0.0, jax.lax.max, reach, (*lead, 1), "valid")
    return jnp.where(jnp.repeat(loudest == 0, UPSAMPLING, axis=-1), 0, y)


def window(size: int) -> np.ndarray:
    """``sin(pi n / size)``, the square root of a periodic Hann window."""
    return np.sin(np.pi / size * np.arange(size))


@cache
def mel() -> np.ndarray:
    """Triangles evenly on the mel scale, [161, 40], each with sum 1."""
    top = 2595 * np.log10(1 + SAMPLE_RATE_IN / 2 / 700)
    low = 2595 * np.log10(1 + LOWEST / 700)
    step = (top - low) / (BANDS_IN + 1)
    hertz = np.arange(OWN_BINS + 1)[:, None] * (SAMPLE_RATE_IN / FRAME_IN)
    place = (2595 * np.log10(1 + hertz / 700) - low) / step  # 1 at the first band's middle
    weight = np.maximum(1 - np.abs(place - 1 - np.arange(BANDS_IN)), 0)
    return weight / weight.sum(axis=0)


@cache
def spread() -> np.ndarray:
    """Matrix of the linear interpolation between the bands' centres, [32, 320]."""
    place = (np.arange(_MADE) + 0.5) / BAND_BINS - 0.5
    place = np.clip(place, 0, BANDS_OUT - 1)
    return np.maximum(1 - np.abs(place - np.arange(BANDS_OUT)[:, None]), 0)
