"""FlashSR whole: windows of sound at 48 kHz, whatever of them is missing, to full ones."""

from collections.abc import Iterator

import numpy as np

from ..record import Params
from . import sampler, unet, vae, vocoder
from .mel import denormalise, log_mel, normalise
from .spec import LAST, LATENT_SCALE, STEP


def stages(
    params: Params,
    x: np.ndarray,
    noise: np.ndarray,
    eps: np.ndarray | None = None,
    t: int = LAST,
    schedule: sampler.Schedule | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage, in order; the last is ``wave`` [B, T].

    x [B, T], float32 or float64, T a multiple of 30,720 (a window has 245,760); params:
    ``{"vae": tree, "unet": tree, "vocoder": tree}`` as the tables of `spec`, used in x's dtype.

    noise: standard normal [B, Z, T / 3840, M / 8], with Z channels of the latent and M mels, what
    the diffusion starts from. eps: the same again, to draw the condition from its distribution as
    the original does; None for its mean, the likeliest. t: the step that the noise is taken for,
    999 as it was trained. schedule: None for the original's.

    Raises TypeError for another dtype, ValueError for another shape.
    """
    _check(params, x, noise, eps, t)
    noise = noise.astype(x.dtype)
    # Up to the spectrogram in float64: beside a loud bin, a quiet one is rounding noise in float32.
    exact = normalise(x.astype(np.float64))
    normalised, mean, peak = (part.astype(x.dtype) for part in exact)
    yield "norm.mean", mean
    yield "norm.max", peak
    yield "norm", normalised
    mel = log_mel(exact[0], _mels(params))[:, np.newaxis].astype(x.dtype)
    yield "mel", mel

    moments = np.zeros(0)
    for name, moments in vae.encode(params["vae"], mel):
        yield name, moments
    latent = vae.posterior(moments, None if eps is None else eps.astype(x.dtype))
    cond = latent * x.dtype.type(LATENT_SCALE)
    yield "cond", cond

    v = np.zeros(0)
    for name, v in unet.stages(params["unet"], np.concatenate([noise, cond], axis=1), t):
        yield (name if name == "v" else f"unet.{name}"), v
    x0 = sampler.step(noise, v, schedule or sampler.schedule(), t)
    yield "x0", x0

    for name, mel in vae.decode(params["vae"], x0 / x.dtype.type(LATENT_SCALE)):
        yield name, mel
    yield "mel_out", mel
    bands = np.ascontiguousarray(np.swapaxes(mel[:, 0], 1, 2))
    wave = np.zeros(0)
    for name, wave in vocoder.stages(params["vocoder"], bands, normalised):
        yield ("wave_norm" if name == "wave" else f"voc.{name}"), wave
    yield "wave", denormalise(wave, mean, peak)


def forward(
    params: Params, x: np.ndarray, noise: np.ndarray, eps: np.ndarray | None = None
) -> np.ndarray:
    """The last of `stages`: [B, T] -> [B, T]."""
    *_, (_, y) = stages(params, x, noise, eps)
    return y


def _mels(params: Params) -> int:
    return params["vocoder"]["conv_pre"]["weight"].shape[1]


def _check(
    params: Params, x: np.ndarray, noise: np.ndarray, eps: np.ndarray | None, t: int
) -> None:
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"the network takes float32 or float64, got {x.dtype}")
    if x.ndim != 2 or x.shape[1] == 0 or x.shape[1] % STEP:
        raise ValueError(f"the network takes [B, T], T a multiple of {STEP}, got shape {x.shape}")
    channels = params["vae"]["post_quant_conv"]["weight"].shape[1]
    shape = (len(x), channels, x.shape[1] // STEP * 8, _mels(params) // 8)
    for name, given in (("noise", noise), ("eps", eps)):
        if given is not None and given.shape != shape:
            raise ValueError(f"{name} has shape {given.shape}, expected {shape}")
    if not 0 <= t <= LAST:
        raise ValueError(f"t must be from 0 to {LAST}, got {t}")
