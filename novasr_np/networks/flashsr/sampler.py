"""FlashSR's single diffusion step: DPM-Solver++ (arXiv 2211.01095), here a single formula."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .spec import TIMESTEPS


class Schedule(NamedTuple):
    """Amounts of latent and noise at each diffusion step: two arrays [1000]."""

    alpha: np.ndarray
    sigma: np.ndarray


def schedule() -> Schedule:
    """The original's schedule, in float32.

    With ``c[i] = cos((i / 1000 + 0.008) / 1.008 pi / 2)^2`` (arXiv 2102.09672) and
    ``beta[t] = min(1 - c[t+1] / c[t], 0.999)`` the product of all 1 - beta up to t is the power of
    the latent; from it ``sigma / alpha = sqrt((1 - power) / power)``,
    ``alpha = 1 / sqrt(1 + (sigma / alpha)^2)``.
    """
    one, power = np.float32(1), powers()
    ratio = np.sqrt((one - power) / power)
    alpha = one / np.sqrt(ratio**2 + one)
    return Schedule(alpha, ratio * alpha)


def mlx_schedule() -> Schedule:
    """The schedule of the port to MLX, in float64: one step late, with c itself as the power."""
    power = _cosine(np.arange(TIMESTEPS))
    return Schedule(np.sqrt(power), np.sqrt(np.maximum(1 - power, 1e-12)))


SCHEDULES: dict[str, Callable[[], Schedule]] = {"original": schedule, "mlx": mlx_schedule}


def betas() -> np.ndarray:
    """The share of noise that each step adds, float32 [1000]."""
    c = _cosine(np.arange(TIMESTEPS + 1))
    return np.clip(1 - c[1:] / c[:-1], 0, 0.999).astype(np.float32)


def powers() -> np.ndarray:
    """The latent's power at each step, float32 [1000]; multiplied in float64, as in torch."""
    alphas = np.float32(1) - betas()
    return np.cumprod(alphas, dtype=np.float64).astype(np.float32)


def step(x: np.ndarray, v: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
    """Compute the latent ``alpha x - sigma v`` from the noise x and the U-Net's v."""
    return x.dtype.type(alpha) * x - x.dtype.type(sigma) * v


def embedding(t: int, width: int) -> np.ndarray:
    """Embed a step t as cosines, then sines, of ``exp(-ln(10000) i / n) t``.

    i = 0 .. n - 1, n = width / 2 (arXiv 1706.03762, but cosines first). In float64: the original's
    float32 is off by up to 3.2e-5.
    """
    half = width // 2
    angle = t * np.exp(-np.log(10_000) * np.arange(half) / half)
    return np.concatenate([np.cos(angle), np.sin(angle)])


def _cosine(i: np.ndarray) -> np.ndarray:
    return np.cos((i / TIMESTEPS + 0.008) / 1.008 * np.pi / 2) ** 2
