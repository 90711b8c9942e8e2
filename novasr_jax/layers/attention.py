"""Attention, by which each position of a sequence depends on all others."""

import jax

from .conv import Array, product


def attention(
    q: Array, k: Array, v: Array, heads: int = 1, *, precision: str = "highest"
) -> jax.Array:
    """``y_i = sum_j softmax_j(q_i . k_j / sqrt(D)) v_j`` in each head (arXiv 1706.03762).

    q, k, v [..., T, C] -> [..., T, C]; a head has D = C / heads channels, one after the other.
    precision: a key of `PRECISIONS`, for both products.
    """

    def split(x: Array) -> Array:
        return x.reshape(*x.shape[:-1], heads, -1)  # [..., T, heads, D]

    scores = product("...qhd,...khd->...hqk", split(q), split(k), precision)
    shares = jax.nn.softmax(scores * (q.shape[-1] // heads) ** -0.5, axis=-1)
    return product("...hqk,...khd->...qhd", shares, split(v), precision).reshape(v.shape)
