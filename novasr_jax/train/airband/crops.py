"""Make pairs of what the network is given and the truth, on the device, from a `Draw`.

All happens to the power of frames, [B, F, 480], not to complex spectra: cheaper, and enough.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from novasr_np.networks.airband.spec import BINS, FIRST, FRAME, HOP, WIDTHS

from ...networks.airband.features import features
from ..data import Recording
from .data import HISS_FRAMES, Draw, power_of

_GATE_BINS = 4  # bins that the noise gate groups
_OPENING, _FADE = 9, 5  # frames of a gate that closes altogether
_CREST = 12  # the square of a voice's peak against its loudest frame's mean square
LEAST = 1e-9  # power of a band that counts as empty


class Held(NamedTuple):
    """What lies on the device."""

    magnitude: jax.Array  # [frames, 480] of all recordings, float16
    hiss: jax.Array  # [HISS_FRAMES, 480] power of white noise, of mean 1


class Batch(NamedTuple):
    """Pairs, float32."""

    seen: jax.Array  # [B, F, 73] features
    share: jax.Array  # [B, 73]
    truth: jax.Array  # [B, F, 56] log10 of the bands' power
    counts: jax.Array  # [B, 56] the weights of the bands


def hold(recordings: Sequence[Recording]) -> Held:
    """Put the recordings' spectra on the device."""
    parts = [np.sqrt(power_of(r.samples)).astype(np.float16) for r in recordings]
    samples = (HISS_FRAMES - 1) * HOP + FRAME
    noise = power_of(np.random.default_rng(0).standard_normal(samples, np.float32))
    return Held(jnp.asarray(np.concatenate(parts)), jnp.asarray(noise / (FRAME / 2)))


def pairs(held: Held, draw: Draw) -> Batch:
    """Make the pairs of a draw.

    In steps, as XLA on a CPU would compute a step again for each of its uses.
    """
    draw = jax.device_put(draw)
    power = _recorded(_levelled(held.magnitude, draw), held.hiss, draw)
    return _heard(power, _lowered(power, draw), held.hiss, draw)


@jax.jit
def _levelled(magnitude: jax.Array, draw: Draw) -> jax.Array:
    """Power of the crops, at their level."""
    power = magnitude[draw.frames].astype(jnp.float32) ** 2
    loudest = power.sum(axis=2).max(axis=1) * (2 * _CREST / FRAME**2)
    return power * (draw.peak / jnp.maximum(loudest, 1e-6))[:, None, None]


@jax.jit
def _recorded(power: jax.Array, hiss: jax.Array, draw: Draw) -> jax.Array:
    """What another room, microphone and gate make of it, at 48 kHz."""
    gains = _gate(power, draw) * draw.response[:, None]
    opened = _opened(power.sum(axis=2), draw)[..., None]
    power = power * draw.speech[:, None, None] + _tone(draw)
    power = power * gains * opened + _noise(hiss, draw.hiss[:, 0], draw) * draw.noise[:, None]
    return power * draw.sounding[..., None]


@jax.jit
def _lowered(power: jax.Array, draw: Draw) -> jax.Array:
    """Bring the rate down: filter, and add the mirror image of what lies above half the rate."""
    power = power * draw.low_pass[:, None]
    wide = jnp.pad(power, ((0, 0), (0, 0), (BINS, BINS)))
    # Bin k takes bin 2 half - k.

    def mirrored(row: jax.Array, half: Any) -> jax.Array:
        # 2 half - 479 .. 2 half
        first = 2 * half + 1
        return jax.lax.dynamic_slice(row, (0, first), (row.shape[0], BINS))[:, ::-1]

    image = jax.vmap(mirrored)(wide, jnp.minimum(draw.half, BINS - 1))
    return power + jnp.where(jnp.arange(BINS) < draw.half[:, None, None], image, 0)


@jax.jit
def _heard(power: jax.Array, low: jax.Array, hiss: jax.Array, draw: Draw) -> Batch:
    bands = jnp.dot(power, _bands(), precision=jax.lax.Precision.HIGHEST)
    own = jnp.arange(BINS) < draw.edge[:, None]  # [B, 480]
    level = (low * own[:, None]).sum(axis=2) / draw.edge[:, None] * draw.follows[:, None]
    noise = level + draw.coarse[:, None]
    seen, share = features(low + _noise(hiss, draw.hiss[:, 1], draw) * noise[..., None], draw.edge)
    return Batch(seen, share, jnp.log10(jnp.maximum(bands, LEAST)), jnp.asarray(draw.counts))


def _bands() -> np.ndarray:
    """Matrix of the mean power of each band that is predicted, [480, 56]."""
    ends, bins = FIRST + np.cumsum(WIDTHS), np.arange(BINS)[:, None]
    return ((bins < ends) & (bins >= ends - WIDTHS)) / np.array(WIDTHS, np.float32)


def _noise(hiss: jax.Array, first: Any, draw: Draw) -> jax.Array:
    size = (draw.frames.shape[1], BINS)
    return jax.vmap(lambda i: jax.lax.dynamic_slice(hiss, (i, 0), size))(first)


def _gate(power: jax.Array, draw: Draw) -> jax.Array:
    """Gains of a noise gate, as for the same speech in a quieter room.

    By spectral subtraction of a multiple of each band's power in its quiet frames.
    """
    bands = power.reshape(*power.shape[:2], -1, _GATE_BINS).mean(axis=3)
    quiet = jnp.quantile(bands[:, ::8], 0.15, axis=1) * draw.gate[:, None]
    gains = 1 - quiet[:, None] / jnp.maximum(bands, 1e-12)
    return jnp.repeat(jnp.maximum(gains, draw.gate_least[:, None, None]), _GATE_BINS, axis=2)


def _opened(energy: jax.Array, draw: Draw) -> jax.Array:
    """Gain [B, F] of a gate that makes quiet frames digital silence, with fades."""
    quiet = jax.vmap(jnp.quantile)(energy, draw.zeroed) * draw.zeroed_times
    loud = (energy >= quiet[:, None]) | (draw.zeroed == 0)[:, None]
    opened = _window(loud.astype(jnp.float32), jax.lax.max, _OPENING)
    return (
        _window(opened, jax.lax.add, _FADE) / _window(jnp.ones_like(opened), jax.lax.add, _FADE)
    ) ** 2


def _window(x: jax.Array, of: Any, size: int) -> jax.Array:
    return jax.lax.reduce_window(x, 0.0, of, (1, size), (1, 1), "SAME")


def _tone(draw: Draw) -> jax.Array:
    """Power of a tone under the window `sin`: [B, F, 480]."""
    distance = draw.tone[..., None] - jnp.arange(BINS)
    # The window's transform is N 2 / pi cos(pi d) / (1 - 4 d^2); cos(pi d) is the same but for its
    # sign at all bins. At d = 1/2, where both vanish, it is N / 2.
    wave = jnp.cos(np.pi * draw.tone)[..., None]
    below = 1 - 4 * distance**2
    near = jnp.abs(below) < 1e-2
    shape = jnp.where(near, np.pi / 4, wave / jnp.where(near, 1, below))
    return jnp.asarray(draw.tone_power)[..., None] * (2 / np.pi * FRAME * shape) ** 2
