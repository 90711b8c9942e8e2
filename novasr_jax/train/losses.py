"""What an output is measured by while learning: levels of spectra, and the wave below 7 kHz."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from novasr_np.spec import SAMPLE_RATE_OUT

SIZES = (2048, 1024, 512)  # samples of a frame; hops are a quarter


class Weights(NamedTuple):
    """How much each part counts."""

    spectrum: float = 1.0  # log levels of single bins, for each size of frame
    floor: float = 1e-4  # added to |X|^2 of 2048 samples under a Hann window
    bands: float = 2.0  # log levels of bands 1.5 kHz wide over the whole crop
    excess: float = 0.3  # of them, levels above the truth's once more
    wave: float = 40.0  # the wave itself below 7 kHz


def loss(y, truth, edge, weights: Weights):
    """y, truth [B, T] at 48 kHz; edge [B] Hz, where the truth's spectrum ends  ->  scalar.

    Levels are log10 of energies. Bins above a crop's edge do not count.
    """
    total = 0.0
    for size in SIZES:
        a, b = spectra(y, size), spectra(truth, size)
        hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_OUT)
        inside = (hertz < edge[:, None])[:, None, :]  # [B, 1, bins]
        bins = inside.sum(axis=-1)
        floor = weights.floor * size / SIZES[0]
        energy_a, energy_b = _energy(a), _energy(b)
        difference = inside * (jnp.log10(energy_a + floor) - jnp.log10(energy_b + floor))
        square = (difference**2).sum(axis=-1) / bins
        root = jnp.sqrt(square + 1e-6)
        mean = jnp.abs(difference).sum(axis=-1) / bins
        total += weights.spectrum * (root + 0.5 * mean).mean() / len(SIZES)
        if size == SIZES[0]:
            total += _bands(energy_a, energy_b, hertz, edge, floor, weights)
            low = hertz < 7000
            total += weights.wave * _distance(a[..., low], b[..., low]) / size
    return total


def _bands(energy_a, energy_b, hertz, edge, floor, weights):
    edges = np.arange(0, 24_000, 1500)
    member = (hertz[:, None] >= edges) & (hertz[:, None] < edges + 1500)  # [bins, bands]
    full = edges + 1500 <= edge[:, None]  # [B, bands]
    a, b = (jnp.log10(e.mean(axis=1) @ member + floor) for e in (energy_a, energy_b))
    ratio = full * (a - b)
    count = full.sum()
    above = jnp.maximum(ratio, 0).sum() / count
    return weights.bands * jnp.abs(ratio).sum() / count + weights.excess * above


def _distance(a, b):
    """Mean magnitude of the difference of two spectra, real [.., 2, ..] parts kept apart."""
    return jnp.sqrt(((a - b) ** 2).sum(axis=0) + 1e-8).mean()


def _energy(spectrum):
    return (spectrum**2).sum(axis=0)


def spectra(x, size):
    """Hann-windowed STFT without padding: x [B, T] -> [2 (real, imaginary), B, frames, bins]."""
    hop = size // 4
    count = x.shape[1] // hop
    hops = x[:, : count * hop].reshape(len(x), count, hop)
    frames = jnp.concatenate([hops[:, k : count - 3 + k] for k in range(4)], axis=-1)
    window = np.float32(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size))
    spectrum = jnp.fft.rfft(frames * window)
    return jnp.stack([spectrum.real, spectrum.imag])
