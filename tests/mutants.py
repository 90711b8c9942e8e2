"""The network as other people would write it, on scipy, with faults to choose from.

It shares no code with novasr_np, and the faults here are made by other means than in
`novasr_np.faults`, by which they are to be recognised.
"""

import numpy as np
from scipy import signal


def conv1d(x, weight, bias, mode="constant"):
    half = weight.shape[-1] // 2
    xp = np.pad(x, ((0, 0), (half, half)), mode=mode)
    y = [
        sum(np.correlate(row, w, "valid") for row, w in zip(xp, out, strict=True)) for out in weight
    ]
    return np.array(y) + (0 if bias is None else bias[:, None])


def interpolate(x, index=np.float64):
    n = x.shape[-1]
    at = (np.arange(3 * n).astype(index) + index(0.5)) * index(1 / 3) - index(0.5)
    at = np.clip(np.float64(at), 0, n - 1)
    return np.array([np.interp(at, np.arange(n), row) for row in x])


def up(x, f, swapped=True, mode="constant"):
    """A transposed convolution; its natural order of samples is the one without the swap."""
    n = x.shape[-1]
    xp = np.pad(x, ((0, 0), (6, 6)), mode=mode)
    y = np.array([signal.upfirdn(2 * f[::-1], row, up=2) for row in xp])[:, 18:][:, : 2 * n]
    if not swapped:
        return y[:, 2:-2]
    return y.reshape(len(y), n, 2)[:, :, ::-1].reshape(len(y), 2 * n)[:, 2:-2]


def down(x, f, mode="constant"):
    xp = np.pad(x, ((0, 0), (5, 5)), mode=mode)
    xp = np.pad(xp, ((0, 0), (1, 0)))
    y = np.array([signal.upfirdn(f[::-1], row, down=2) for row in xp])
    return y[:, 6:][:, : x.shape[-1] // 2]


def forward(p, x, *, swapped=True, edges="constant", index=np.float64, keep=lambda h: h):
    """p: a tree of float64 weights; x [T]. keep: what each stage's numbers are kept in."""
    h = conv1d(np.float64(x)[None], p["conv_pre"]["weight"], p["conv_pre"]["bias"])
    h = skip = keep(interpolate(keep(h), index))
    for activation, conv in (("activation0", "conv1"), ("activation1", "conv2")):
        q = p[activation]
        h = keep(up(h, q["upsample"]["filter"], swapped, edges))
        a, b = (np.exp(q["snakebeta"][name])[:, None] for name in ("alpha", "beta"))
        h = keep(h + np.sin(a * h) ** 2 / b)
        h = keep(down(h, q["downsample"]["filter"], edges))
        h = keep(conv1d(h, p[conv]["weight"], p[conv]["bias"]))
    h = keep(h + skip[:, : h.shape[-1]])
    return keep(np.tanh(conv1d(h, p["conv_post"]["weight"], None)[0]))
