"""The network: the layers in order, for a signal or for a batch of signals of any lengths."""

import jax
import jax.numpy as jnp

from novasr_np.spec import MIN_INPUT_SAMPLES

from .layers import PRECISIONS, conv1d, downsample2, interpolate3, snake_beta, upsample2


def forward(params, x, length=None, *, precision="highest"):
    """Run the bare network: x [..., T] at 16 kHz -> [..., 3T - 4] at 48 kHz, the dtype of x.

    x is float32, or float64 where JAX's 64-bit mode is on. params as `load_weights` gives them.
    Pure, for ``jit`` (precision static), ``vmap``, ``grad`` and ``jax.export``.

    length: how many samples of each signal are its own, an integer [...] from 2 to T, traced or
    not; None for all. What lies behind them, NaN included, is as if it were not there: the first
    3 length - 4 outputs are those of the signal alone, edges and all; the rest means nothing.

    precision: of the convolutions' products, "highest" (float32), "high" (TF32 on a GPU, three
    bfloat16 passes on a TPU), "fp16" or "bf16".

    Raises TypeError for another dtype, ValueError for T < 2 or an unknown precision.
    """
    x = jnp.asarray(x)
    if x.dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"the network takes float32 or float64, got {x.dtype}")
    if x.ndim == 0 or x.shape[-1] < MIN_INPUT_SAMPLES:
        raise ValueError(
            f"the network needs at least {MIN_INPUT_SAMPLES} samples in the last axis, "
            f"got shape {x.shape}"
        )
    if precision not in PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)}; got {precision!r}")
    p = jax.tree.map(lambda value: jnp.asarray(value, x.dtype), params)
    own = _mask(length)

    h = conv1d(own(x[..., None], 1, 0), **p["conv_pre"], precision=precision)
    h = skip = own(interpolate3(_hold(h, length)), 3, 0)
    for lost, activation, conv in ((0, "activation0", "conv1"), (2, "activation1", "conv2")):
        h = upsample2(h, **p[activation]["upsample"])
        h = own(snake_beta(h, **p[activation]["snakebeta"]), 6, 2 * lost + 4)
        h = own(downsample2(h, **p[activation]["downsample"]), 3, lost + 2)
        h = own(conv1d(h, **p[conv], precision=precision), 3, lost + 2)
    # Upstream crops only the right of the skip.
    h = own(h + skip[..., : h.shape[-2], :], 3, 4)
    h = conv1d(h, **p["conv_post"], precision=precision)
    return jnp.tanh(h[..., 0])


def _mask(length):
    """The function that zeroes h [..., time, C] from step ``rate length - loss`` on."""
    if length is None:
        return lambda h, rate, loss: h
    length = jnp.asarray(length)[..., None, None]

    def own(h, rate, loss):
        steps = jnp.arange(h.shape[-2])[:, None]
        return jnp.where(steps < rate * length - loss, h, 0)

    return own


def _hold(h, length):
    """Repeat the last step of each signal's own: the interpolation looks one step ahead."""
    if length is None:
        return h
    last = jnp.asarray(length)[..., None, None] - 1
    return jnp.take_along_axis(h, jnp.minimum(jnp.arange(h.shape[-2])[:, None], last), axis=-2)
