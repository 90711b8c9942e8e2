"""FlashSR: the networks in order, for a batch of windows, from the spectrogram to the wave.

The steps before and after run on the host, `novasr_np.networks.flashsr.window`, as the spectrogram
has to be computed in float64.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from novasr_np.networks.flashsr.spec import HOP, LATENT_SCALE, STEP, sizes_of
from novasr_np.tensors import flatten, nest

from ...layers import PRECISIONS
from ..record import checked
from . import unet, vae, vocoder

Params = dict[str, Any]


def fold(
    params: Params,
    dtype: Any = np.float32,
    precision: str = "highest",
    place: Callable[[np.ndarray], Any] = np.asarray,
) -> Params:
    """Convert weights of `novasr_np.networks.flashsr.load.load` for `forward`.

    Kernels have their taps first and their output channels last, as convolutions read them; for
    "fp16" and "bf16" those of all products are rounded, to half the memory. place: called with each
    array as soon as it is made, so that the host never holds all of them.
    """
    operands = PRECISIONS[precision][1]

    def folded(name: str, value: Any) -> np.ndarray:
        half = operands and value.ndim > 1 and name.endswith(".weight")
        kernel = np.asarray(value).transpose(_kernel_axes(value.ndim))
        return kernel.astype(operands if half else dtype, order="C")

    return nest({name: place(folded(name, value)) for name, value in flatten(params).items()})


def inputs(given: Any) -> tuple[Any, ...]:
    """Arguments of `forward` after the weights, each with a row for every window."""
    rows = len(given.noise)
    step = given.embedding, given.alpha, given.sigma
    return (*given[:4], *(np.tile(part, (rows, *[1] * np.ndim(part))) for part in step))


def stages(
    params: Params,
    normalised: Any,
    mel: Any,
    noise: Any,
    eps: Any,
    embedding: Any,
    alpha: Any,
    sigma: Any,
    *,
    precision: str = "highest",
) -> Iterator[tuple[str, jax.Array]]:
    """Yield (name, activation) for every stage, under the names of `novasr_np`, channels last.

    Arguments as for `forward`. A hidden activation is [B, row, column, channel], in the vocoder
    [B, time, channel], and the last stage, ``wave_norm``, [B, T].
    """
    x = checked(normalised, STEP, precision)
    p = jax.tree.map(lambda value: _restored(value).astype(x.dtype), params)
    _check(p, x, mel=mel, noise=noise, eps=eps)
    mel, noise = _channels_last(mel, x.dtype), _channels_last(noise, x.dtype)
    eps = None if eps is None else _channels_last(eps, x.dtype)
    embedding, alpha, sigma = (jnp.asarray(part, x.dtype) for part in (embedding, alpha, sigma))

    yield "mel", mel
    for name, moments in vae.encode(p["vae"], mel, precision=precision):
        yield name, moments
    cond = vae.posterior(moments, eps) * LATENT_SCALE
    yield "cond", cond

    both = jnp.concatenate([noise, cond], axis=-1)
    for name, v in unet.stages(p["unet"], both, embedding, precision=precision):
        yield (name if name == "v" else f"unet.{name}"), v
    x0 = alpha[:, None, None, None] * noise - sigma[:, None, None, None] * v
    yield "x0", x0

    for name, mel in vae.decode(p["vae"], x0 / LATENT_SCALE, precision=precision):
        yield name, mel
    yield "mel_out", mel
    for name, wave in vocoder.stages(p["vocoder"], mel[..., 0], x, precision=precision):
        yield ("wave_norm" if name == "wave" else f"voc.{name}"), wave


def forward(
    params: Params,
    normalised: Any,
    mel: Any,
    noise: Any,
    eps: Any,
    embedding: Any,
    alpha: Any,
    sigma: Any,
    *,
    precision: str = "highest",
) -> jax.Array:
    """Run the networks on windows: [B, T] normalised -> [B, T] likewise.

    params as `fold` returns them. The others as in `novasr_np.networks.flashsr.model.Inputs`,
    float32, or float64 if JAX's 64-bit mode is on, except embedding [B, E], alpha [B] and sigma
    [B]: the diffusion step may differ from window to window, and one compiled program serves all.
    Pure, for ``jit`` (precision static), ``vmap`` and ``jax.export``.

    precision: of all products, "highest" (float32), "high" (TF32 on a GPU, three bfloat16 passes
    on a TPU), "fp16" or "bf16"; their sums, and all else, are float32.

    Raises TypeError for another dtype, ValueError for another shape or an unknown precision.
    """
    given = params, normalised, mel, noise, eps, embedding, alpha, sigma
    for _, activation in stages(*given, precision=precision):
        y = activation
    return y


def _kernel_axes(ndim: int) -> tuple[int, ...]:
    """[O, I, taps..] -> [taps.., I, O], and vectors as they are."""
    return (*range(2, ndim), 1, 0)[-ndim:]


def _restored(value: Any) -> jax.Array:
    """Undo `fold`'s transposition. In a compiled program the two cancel out."""
    return jnp.asarray(value).transpose(np.argsort(_kernel_axes(value.ndim)))


def _channels_last(x: Any, dtype: Any) -> jax.Array:
    """[B, C, H, W] -> [B, H, W, C]."""
    return jnp.moveaxis(jnp.asarray(x, dtype), 1, -1)


def _check(p: Params, x: jax.Array, **given: Any) -> None:
    if x.ndim != 2 or x.shape[1] % STEP:
        raise ValueError(f"the input must be [B, T], T a multiple of {STEP}, got shape {x.shape}")
    sizes = sizes_of(p)
    rows, samples = x.shape
    latent = rows, sizes.latent, samples // STEP * 8, sizes.mels // 8
    wanted = {"mel": (rows, 1, samples // HOP, sizes.mels), "noise": latent, "eps": latent}
    for name, part in given.items():
        if part is not None and part.shape != wanted[name]:
            raise ValueError(f"{name} must have shape {wanted[name]}, got {part.shape}")
