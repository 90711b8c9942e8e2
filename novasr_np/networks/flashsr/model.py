"""FlashSR as a whole: windows of sound at 48 kHz, in which the missing band is generated."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..record import Level, Params
from . import sampler, unet, vae, vocoder
from .mel import denormalise, level, log_mel, normalise
from .spec import LAST, LATENT_SCALE, STEP, Sizes, sizes_of


class Inputs(NamedTuple):
    """Prepared windows for the networks, all in float32 or all in float64."""

    normalised: np.ndarray  # [B, T], T a multiple of 30,720; a window has 245,760
    mel: np.ndarray  # [B, 1, T / 480, M], the spectrogram of that
    noise: np.ndarray  # [B, Z, T / 3840, M / 8], standard normal: the diffusion's start
    eps: np.ndarray | None  # likewise, to draw the condition; None for its mean
    embedding: np.ndarray  # [E], of the diffusion step
    alpha: float  # the schedule's, at that step
    sigma: float


def prepare(
    sizes: Sizes,
    x: np.ndarray,
    level: Level,
    noise: np.ndarray,
    eps: np.ndarray | None = None,
    t: int = LAST,
    schedule: sampler.Schedule | None = None,
) -> Inputs:
    """Normalise x [B, T], and compute its spectrogram; in x's dtype.

    sizes: of the networks (`sizes_of`). noise, eps: as in `Inputs`. t: the diffusion step, 0 ..
    999. schedule: None for the original's.
    """
    # In float64 up to the spectrogram: in float32, a quiet bin beside a loud one is rounding noise.
    exact = normalise(x.astype(np.float64), level)
    alpha, sigma = (float(part[t]) for part in schedule or sampler.schedule())
    return Inputs(
        exact.astype(x.dtype),
        log_mel(exact, sizes.mels)[:, np.newaxis].astype(x.dtype),
        noise.astype(x.dtype),
        None if eps is None else eps.astype(x.dtype),
        sampler.embedding(t, sizes.unet),
        alpha,
        sigma,
    )


def stages(
    params: Params,
    x: np.ndarray,
    noise: np.ndarray,
    eps: np.ndarray | None = None,
    t: int = LAST,
    schedule: sampler.Schedule | None = None,
    whole: Level | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage, in order; the last is ``wave`` [B, T].

    x [B, T], float32 or float64, T a multiple of 30,720 (a window has 245,760); whole: the level of
    the sound, None for each row's own; params: ``{"vae": tree, "unet": tree, "vocoder": tree}`` as
    in the tables of `spec`, used in x's dtype. noise, eps: as in `Inputs`. t: the diffusion step, 0
    .. 999, trained only for 999. schedule: None for the original's.

    Raises TypeError for another dtype, ValueError for another shape.
    """
    _check(params, x, noise, eps, t)
    own = level(x.astype(np.float64)) if whole is None else whole
    yield "norm.mean", own.mean.astype(x.dtype)
    yield "norm.max", own.peak.astype(x.dtype)
    inputs = prepare(sizes_of(params), x, own, noise, eps, t, schedule)
    yield "norm", inputs.normalised
    yield "mel", inputs.mel
    y = inputs.normalised
    for name, y in inner_stages(params, inputs):
        yield name, y
    yield "wave", denormalise(y, Level(*(part.astype(x.dtype) for part in own)))


def inner_stages(params: Params, inputs: Inputs) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the `stages` on normalised samples; the last is ``wave_norm`` [B, T]."""
    dtype = inputs.noise.dtype
    moments = np.zeros(0)
    for name, moments in vae.encode(params["vae"], inputs.mel):
        yield name, moments
    latent = vae.posterior(moments, inputs.eps)
    cond = latent * dtype.type(LATENT_SCALE)
    yield "cond", cond

    v = np.zeros(0)
    both = np.concatenate([inputs.noise, cond], axis=1)
    for name, v in unet.stages(params["unet"], both, inputs.embedding):
        yield (name if name == "v" else f"unet.{name}"), v
    x0 = sampler.step(inputs.noise, v, inputs.alpha, inputs.sigma)
    yield "x0", x0

    for name, mel in vae.decode(params["vae"], x0 / dtype.type(LATENT_SCALE)):
        yield name, mel
    yield "mel_out", mel
    bands = np.ascontiguousarray(np.swapaxes(mel[:, 0], 1, 2))
    wave = np.zeros(0)
    for name, wave in vocoder.stages(params["vocoder"], bands, inputs.normalised):
        yield ("wave_norm" if name == "wave" else f"voc.{name}"), wave


def forward(
    params: Params, x: np.ndarray, noise: np.ndarray, eps: np.ndarray | None = None
) -> np.ndarray:
    """Run `stages`, and return the last: [B, T] -> [B, T]."""
    return _last(stages(params, x, noise, eps))


def normalised(params: Params, inputs: Inputs) -> np.ndarray:
    """Run `inner_stages`, and return the last: [B, T]."""
    return _last(inner_stages(params, inputs))


def _last(stages: Iterator[tuple[str, np.ndarray]]) -> np.ndarray:
    """Run stages, and return the activation of the last; no other is kept."""
    ((_, y),) = deque(stages, maxlen=1)
    return y


def _check(
    params: Params, x: np.ndarray, noise: np.ndarray, eps: np.ndarray | None, t: int
) -> None:
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"the network's input must be float32 or float64, got {x.dtype}")
    if x.ndim != 2 or x.shape[1] == 0 or x.shape[1] % STEP:
        raise ValueError(f"the input must be [B, T], T a multiple of {STEP}, got shape {x.shape}")
    sizes = sizes_of(params)
    shape = (len(x), sizes.latent, x.shape[1] // STEP * 8, sizes.mels // 8)
    for name, given in (("noise", noise), ("eps", eps)):
        if given is not None and given.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {given.shape}")
    if not 0 <= t <= LAST:
        raise ValueError(f"t must be from 0 to {LAST}, got {t}")
