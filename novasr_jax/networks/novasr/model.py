"""NovaSR: the layers in order, for a signal or for a batch of signals of any lengths."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from novasr_np.networks.novasr.spec import MIN_INPUT_SAMPLES

from ...layers import (
    conv1d,
    downsample2,
    hold_from,
    interpolate3,
    snake_beta,
    upsample2_swapped,
    zero_from,
)
from ..record import checked


def stages(
    params: dict[str, Any],
    x: Any,
    length: Any = None,
    *,
    start: Any = 0,
    facts: Any = None,
    precision: str = "highest",
) -> Iterator[tuple[str, jax.Array]]:
    """Yield (name, activation) for every stage, under the names of `novasr_np`, channels last.

    Arguments as for `forward`. A hidden activation is [..., time, 32], ``conv_post``
    [..., 3T-4, 1], and the last stage, ``y``, [..., 3T-4].

    Raises TypeError for another dtype, ValueError for T < 2 or an unknown precision.
    """
    x = checked(x, MIN_INPUT_SAMPLES, precision)
    p = jax.tree.map(lambda value: jnp.asarray(value, x.dtype), params)
    own = _mask(length)

    h = conv1d(own(x[..., None], 1, 0), **p["conv_pre"], precision=precision)  # [..., T, 32]
    yield "conv_pre", h
    # The interpolation needs one step ahead.
    h = skip = own(interpolate3(hold_from(h, length)), 3, 0)  # [..., 3T, 32]
    yield "interpolate", h
    for i, lost in enumerate((0, 2)):
        activation = p[f"activation{i}"]
        h = upsample2_swapped(h, **activation["upsample"])  # 6T - 4, then 6T - 8
        yield f"activation{i}.upsample", h
        h = own(snake_beta(h, **activation["snakebeta"]), 6, 2 * lost + 4)  # the same
        yield f"activation{i}.snakebeta", h
        h = own(
            downsample2(h, **activation["downsample"]), 3, lost + 2
        )  # [..., 3T - 2, 32], 3T - 4
        yield f"activation{i}.downsample", h
        h = own(conv1d(h, **p[f"conv{i + 1}"], precision=precision), 3, lost + 2)  # the same
        yield f"conv{i + 1}", h
    # Upstream crops only the right of the skip.
    h = own(h + skip[..., : h.shape[-2], :], 3, 4)  # [..., 3T - 4, 32]
    yield "residual", h
    h = conv1d(h, **p["conv_post"], precision=precision)  # [..., 3T - 4, 1]
    yield "conv_post", h
    yield "y", jnp.tanh(h[..., 0])  # [..., 3T - 4]


def forward(
    params: dict[str, Any],
    x: Any,
    length: Any = None,
    *,
    start: Any = 0,
    facts: Any = None,
    precision: str = "highest",
) -> jax.Array:
    """Run the bare network: x [..., T] at 16 kHz -> [..., 3T - 4] at 48 kHz, the dtype of x.

    x is float32, or float64 where JAX's 64-bit mode is on. params as `load_weights` gives them.
    Pure, for ``jit`` (precision static), ``vmap``, ``grad`` and ``jax.export``.

    length: number of samples of each signal without its padding, an integer [...] from 2 to T,
    traced or not; None for all. The padding, even NaN, has no effect: the first 3 length - 4
    outputs are those of the signal alone, its edges included; the rest is meaningless.
    start, facts: not needed.

    precision: of the convolutions' products, "highest" (float32), "high" (TF32 on a GPU, three
    bfloat16 passes on a TPU), "fp16" or "bf16".

    Raises TypeError for another dtype, ValueError for T < 2 or an unknown precision.
    """
    for _, activation in stages(params, x, length, precision=precision):
        y = activation
    return y


def _mask(length: Any) -> Callable[..., jax.Array]:
    """The function that zeroes h [..., time, C] from step ``rate length - loss`` on."""
    if length is None:
        return lambda h, rate, loss: h
    return lambda h, rate, loss: zero_from(h, rate * jnp.asarray(length) - loss)
