"""The conversion of outputs to int16, on the devices; names and rules of `novasr_np.samples`."""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp

from novasr_np import samples
from novasr_np.samples import Int16Rule


def round_int16(y: jax.Array) -> jax.Array:
    """Convert floats, full scale 1, to int16: ``rint(32768 y)``, limited."""
    return _limited_int16(jnp.rint(y * 32768))


def floor_int16(y: jax.Array) -> jax.Array:
    """Convert floats, full scale 1, to int16: ``floor(rint(2^31 y) / 2^16)``, limited."""
    return _limited_int16(jnp.floor(jnp.rint(y * 2.0**31) * 2.0**-16))


def _limited_int16(scaled: jax.Array) -> jax.Array:
    return jnp.clip(scaled, -32768, 32767).astype(jnp.int16)


_TWINS: Mapping[Int16Rule, Callable[[jax.Array], jax.Array]] = {
    samples.round_int16: round_int16,
    samples.floor_int16: floor_int16,
}


@partial(jax.jit, static_argnames="rule")
def as_int16(
    y: jax.Array, first: jax.Array, stop: jax.Array, *, rule: Int16Rule
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Convert rows y [B, n] to int16; return also each row's peak and count of saturated samples.

    first, stop [B]: the samples of each row that the last two are of. A peak is infinite if one of
    them is NaN.
    """
    place = jnp.arange(y.shape[-1])
    wanted = (place >= first[:, None]) & (place < stop[:, None])
    level = jnp.where(jnp.isnan(y), jnp.inf, jnp.abs(y))
    level = jnp.where(wanted, level, 0)
    saturated = jnp.count_nonzero(level >= samples.SATURATION, axis=-1)
    return _TWINS[rule](y), level.max(axis=-1), saturated
