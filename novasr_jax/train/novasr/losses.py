"""The loss: levels of spectra, and the waveform below 7 kHz."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from novasr_np.networks.novasr.spec import SAMPLE_RATE_OUT

SIZES = (2048, 1024, 512)  # samples of a frame; hops are a quarter
# Hz. Where the truth is silent, log levels at 0 Hz would make the biases' gradients a hundred times
# as large as all others; there only the waveform counts.
LOWEST = 100
# Hz. Recordings whose spectrum ends above this, as at 44.1 kHz, should be empty beyond their edge.
# Otherwise the few that reach 24 kHz would teach noise at the top of all.
FULL = 20_000


class Weights(NamedTuple):
    """Weights of the parts of the loss."""

    spectrum: float = 1.0  # log levels of single bins, for each size of frame
    floor: float = 5e-7  # added to |X|^2 of 2048 samples under a Hann window
    bands: float = 1.3  # log levels of bands 1.5 kHz wide over the whole crop
    short_time: float = 1.0  # the same over each 75 ms
    over_level: float = 0.0  # levels above the truth's, in addition, in both
    waveform: float = 2.0  # the difference below 7 kHz, against the level there
    silence: float = 100.0  # the network's output for silence, most of all at its ends


def loss(y: jax.Array, truth: jax.Array, edge: jax.Array, weights: Weights) -> jax.Array:
    """Loss of y against truth, [B, T] at 48 kHz; edge [B] Hz: the end of the truth's spectrum.

    Levels are log10 of energies. Bins above a crop's edge count little, or not at all.
    """
    total: Any = 0.0
    for size in SIZES:
        a, b = spectra(y, size), spectra(truth, size)
        hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_OUT)
        inside = ((hertz >= LOWEST) * _counts(hertz, edge))[:, None, :]  # [B, 1, bins]
        bins = inside.sum(axis=-1)
        floor = weights.floor * size / SIZES[0]
        energy_a, energy_b = _energy(a), _energy(b)
        difference = jnp.log10(energy_a + floor) - jnp.log10(energy_b + floor)
        square = (inside * difference**2).sum(axis=-1) / bins
        root = jnp.sqrt(square + 1e-6)
        mean = (inside * jnp.abs(difference)).sum(axis=-1) / bins
        total += weights.spectrum * (root + 0.5 * mean).mean() / len(SIZES)
        if size == SIZES[0]:
            total += _bands(energy_a, energy_b, hertz, edge, floor, weights)
            low = hertz < 7000
            total += weights.waveform * _distance(a[..., low], b[..., low])
    return total


def _bands(energy_a, energy_b, hertz, edge, floor, weights):
    edges = np.arange(0, 24_000, 1500)
    member = (hertz[:, None] >= np.maximum(edges, LOWEST)) & (hertz[:, None] < edges + 1500)
    member = member / member.sum(axis=0)
    full = _counts(edges + 1500, edge)  # [B, bands]
    a, b = energy_a @ member, energy_b @ member  # [B, frames, bands]
    total = 0.0
    for weight, over in ((weights.bands, _whole), (weights.short_time, _short_time)):
        ratio = jnp.log10(over(a) + floor) - jnp.log10(over(b) + floor)
        distance = jnp.abs(ratio) + weights.over_level * jnp.maximum(ratio, 0)
        total += weight * (full * distance.mean(axis=1)).sum() / full.sum()
    return total


def _counts(hertz, edge):
    """Whether each frequency counts in each crop, 1.0 or 0.0, [B, frequencies]."""
    edge = edge[:, None]
    return jnp.where((hertz <= edge) | (edge >= FULL), 1.0, 0.0)


def _whole(energy):
    return energy.mean(axis=1, keepdims=True)


def _short_time(energy):
    """Means over four frames, half overlapping."""
    pairs = energy[:, : energy.shape[1] // 2 * 2].reshape(len(energy), -1, 2, energy.shape[2])
    pairs = pairs.mean(axis=2)
    return (pairs[:, 1:] + pairs[:, :-1]) / 2


def _distance(a, b):
    """Mean magnitude of the difference of two spectra against that of b; [2, B, frames, bins]."""
    difference = jnp.sqrt(_energy(a - b) + 1e-8).mean(axis=(1, 2))
    level = jnp.sqrt(_energy(b)).mean(axis=(1, 2))
    return (difference / (level + 0.03)).mean()


def _energy(spectrum):
    return (spectrum**2).sum(axis=0)


def spectra(x: jax.Array, size: int) -> jax.Array:
    """Hann-windowed STFT without padding: x [B, T] -> [2 (real, imaginary), B, frames, bins]."""
    hop = size // 4
    count = x.shape[1] // hop
    hops = x[:, : count * hop].reshape(len(x), count, hop)
    frames = jnp.concatenate([hops[:, k : count - 3 + k] for k in range(4)], axis=-1)
    window = np.float32(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size))
    spectrum = jnp.fft.rfft(frames * window)
    return jnp.stack([spectrum.real, spectrum.imag])
