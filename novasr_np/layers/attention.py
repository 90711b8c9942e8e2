"""Attention, by which each position of a sequence depends on all others."""

import numpy as np

from ..blas import one_thread


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int = 1) -> np.ndarray:
    """``y_i = sum_j softmax_j(q_i . k_j / sqrt(D)) v_j`` in each head (arXiv 1706.03762).

    q, k, v [..., T, C] -> [..., T, C]; a head has D = C / heads channels, one after the other.
    """

    def split(x: np.ndarray) -> np.ndarray:
        return np.swapaxes(x.reshape(*x.shape[:-1], heads, -1), -3, -2)  # [..., heads, T, D]

    with one_thread():
        scores = split(q) @ np.swapaxes(split(k), -1, -2) * (q.shape[-1] // heads) ** -0.5
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        return np.swapaxes(shares @ split(v), -3, -2).reshape(v.shape)
