"""Recurrent layers, which process one time step after another."""

import numpy as np

from .activations import sigmoid


def gru(
    x: np.ndarray,
    weight_ih: np.ndarray,
    weight_hh: np.ndarray,
    bias_ih: np.ndarray,
    bias_hh: np.ndarray,
    h: np.ndarray | None = None,
) -> np.ndarray:
    """Run a gated recurrent unit with the gates of torch's ``GRU`` (arXiv 1406.1078).

    With ``a = W_ih x + b_ih`` and ``b = W_hh h + b_hh``, thirds in the order r, z, n:
    ``r = sigmoid(a_r + b_r)``, ``z = sigmoid(a_z + b_z)``, ``n = tanh(a_n + r b_n)``,
    ``h = (1 - z) n + z h``

    x [T, I], weights [3 H, I] and [3 H, H], biases [3 H], h [H] the initial state, None for zeros
    -> the states [T, H].
    """
    size = weight_hh.shape[1]
    h = np.zeros(size, x.dtype) if h is None else h
    from_x = x @ weight_ih.T + bias_ih
    states = np.empty((len(x), size), x.dtype)
    for t, a in enumerate(from_x):
        b = weight_hh @ h + bias_hh
        gates = sigmoid(a[: 2 * size] + b[: 2 * size])
        r, z = gates[:size], gates[size:]
        n = np.tanh(a[2 * size :] + r * b[2 * size :])
        h = (1 - z) * n + z * h
        states[t] = h
    return states
