"""The networks as other people would write them, on scipy, with faults to choose from.

They share no code with novasr_np, and the faults here are made by other means than in the networks'
`faults`, by which they are to be recognised. A change is a function of what a stage gives.
"""

import numpy as np
from scipy import signal


def conv1d(x, weight, bias, mode="constant", dilation=1, before=None):
    reach = dilation * (weight.shape[-1] - 1)
    before = reach // 2 if before is None else before
    xp = np.pad(x, ((0, 0), (before, reach - before)), mode=mode)
    wide = np.zeros((*weight.shape[:-1], reach + 1))
    wide[..., ::dilation] = weight
    y = [sum(np.correlate(row, w, "valid") for row, w in zip(xp, out, strict=True)) for out in wide]
    return np.array(y) + (0 if bias is None else bias[:, None])


def interpolate(x, index=np.float64, shift=0.5):
    n = x.shape[-1]
    at = (np.arange(3 * n).astype(index) + index(shift)) * index(1 / 3) - index(shift)
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


def sine_squared(h, a, b):
    return h + np.sin(a * h) ** 2 / b


def forward(
    p,
    x,
    *,
    swapped=(True, True),
    edges="constant",
    conv_edges=("constant",) * 4,
    index=np.float64,
    shift=0.5,
    keep=lambda h: h,
    snake=(sine_squared, sine_squared),
    inside=(True, True),
    skip_from=0,
    at=None,
    end=np.tanh,
):
    """p: a tree of float64 weights; x [T]. keep: what each stage's numbers are kept in.

    at: the change of a stage, by its name. inside: whether a snake is at the doubled rate.
    skip_from: the first sample of the skip; None for no skip.
    """
    at = at or {}

    def done(name, h):
        return keep(at.get(name, lambda h: h)(h))

    h = conv1d(np.float64(x)[None], p["conv_pre"]["weight"], p["conv_pre"]["bias"], conv_edges[0])
    h = skip = done("interpolate", interpolate(done("conv_pre", h), index, shift))
    for i, (activation, conv) in enumerate((("activation0", "conv1"), ("activation1", "conv2"))):
        q = p[activation]
        h = done(f"{activation}.up", up(h, q["upsample"]["filter"], swapped[i], edges))
        a, b = (np.exp(q["snakebeta"][name])[:, None] for name in ("alpha", "beta"))
        if inside[i]:
            h = done(f"{activation}.snake", snake[i](h, a, b))
        h = done(f"{activation}.down", down(h, q["downsample"]["filter"], edges))
        if not inside[i]:
            h = done(f"{activation}.snake", snake[i](h, a, b))
        h = done(conv, conv1d(h, p[conv]["weight"], p[conv]["bias"], conv_edges[i + 1]))
    if skip_from is not None:
        h = h + skip[:, skip_from:][:, : h.shape[-1]]
    h = conv1d(done("residual", h), p["conv_post"]["weight"], None, conv_edges[3])
    return keep(end(done("conv_post", h)[0]))


def airband(
    p,
    x,
    rate,
    hertz,
    ahead,
    *,
    at=None,
    window=np.sqrt,
    scaled=True,
    log=np.log10,
    floor=1e-8,
    power=2,
    lowest=40.0,
    heard_only=True,
    hold=lambda low, high: (low + high) / 2,
    told=True,
    prelu=lambda h, s: np.where(h > 0, h, s * h),
    elu=lambda h: np.where(h > 0, h, np.expm1(np.minimum(h, 0))),
    mode="constant",
    reach=(0,) * 7,
    one_dilation=False,
    residual=True,
    top=80,
    sides=(8, 6),
    flat=(True, True),
    held=True,
    rectify=np.abs,
    gains=(0.5, 0.56),
    own=0,
    between=np.interp,
    noise=None,
):
    """airband on scipy's transforms: x [T] at `rate` Hz, `hertz` its edge; the same in numpy.

    ahead: frames that each convolution looks ahead; reach: frames by which they look too far. at:
    the change of a stage [frames, channels], by its name. own: bins kept beyond the edge.
    """
    at = at or {}

    def done(name, h):
        return at.get(name, lambda h: h)(h)

    hop, size = rate // 200, rate // 50
    edge = min(rate // 100, round((rate / 2 if hertz is None else hertz) / 50))
    count = -(-len(x) // hop) + 3
    xp = np.zeros((count + 3) * hop)
    xp[3 * hop : 3 * hop + len(x)] = x
    hann = signal.windows.hann(size, sym=False)
    frames = np.stack([xp[i * hop : i * hop + size] for i in range(count)]) * window(hann)
    spectrum = done("spectra", np.fft.rfft(frames) * (48000 / rate if scaled else 1))

    mel = np.linspace(2595 * np.log10(1 + lowest / 700), 2595 * np.log10(1 + 8000 / 700), 41)
    middles = np.append(700 * (10 ** (mel / 2595) - 1), np.arange(8500, 24001, 500))
    points = np.concatenate([[2 * middles[0] - middles[1]], middles, [24500]])
    bins = 50.0 * np.arange(480)
    weight = np.stack([np.interp(bins, points[m : m + 3], [0, 1, 0], 0, 0) for m in range(73)])
    share = weight[:, :edge].sum(1) / weight.sum(1)
    heard = int((share >= 0.2).sum())
    share = np.where(share >= 0.2, share, 0)
    below = edge if heard_only else min(480, spectrum.shape[1])
    w = weight[:heard, :below]
    means = (np.abs(spectrum[:, :below]) ** power) @ (w / w.sum(1, keepdims=True)).T
    seen = log(np.maximum(means, floor))
    rest = np.repeat(hold(seen[:, -2], seen[:, -1])[:, None], 73 - heard, axis=1)
    h = done("features", (np.concatenate([seen, rest], axis=1) + 3) / 2).T

    def conv(h, weight, bias, i, dilation=1):
        taps = weight.shape[-1]
        before = dilation * (taps - 1) - ahead[i] - reach[i]
        return conv1d(h, weight, bias, mode, dilation, before)

    bias = p["conv_in"]["bias"] + (p["share"]["weight"] @ share if told else 0)
    h = done("conv_in", conv(h, p["conv_in"]["weight"], bias, 0).T).T
    for i in range(6):
        q = p["blocks"][str(i)]
        taps = q["depthwise"]["weight"]
        d = 2**i
        before = 4 * d - ahead[i + 1] - reach[i + 1]
        if one_dilation:
            d, before = 1, 2
        v = np.pad(h, ((0, 0), (before, 4 * d - before)), mode=mode)
        v = sum(taps[:, k, None] * v[:, k * d : k * d + h.shape[1]] for k in range(5))
        v = prelu(v + q["depthwise"]["bias"][:, None], q["prelu"]["slope"][:, None])
        v = q["pointwise"]["weight"][:, :, 0] @ v + q["pointwise"]["bias"][:, None]
        v = done(f"blocks.{i}", v.T).T
        h = h + v if residual else v
    z = p["conv_out"]["weight"][:, :, 0] @ elu(h) + p["conv_out"]["bias"][:, None]
    z = done("conv_out", z.T)

    centres = np.append(42 + 5.0 * np.arange(24), 164.5 + 10.0 * np.arange(32))
    k = np.arange(edge, 480)
    level = np.stack([between(k, centres, 2 * row - 4) for row in z])
    level = done("amplitude", 10 ** (level / 2))

    def flatten(s, side):
        square = np.abs(s) ** 2
        wide = np.pad(square, ((0, 0), (side, side)), "edge" if held else "constant")
        total = np.stack([np.convolve(row, np.ones(2 * side + 1), "valid") for row in wide])
        return s / np.sqrt(total / (2 * side + 1) + 1e-20)

    source = np.zeros((count, 481), complex)
    last = min(edge, top)
    source[:, 4:last] = spectrum[:, 4:last]
    if flat[0]:
        source[:, 4:last] = flatten(spectrum[:, 4:last], sides[0])
    bright = np.fft.rfft(rectify(np.fft.irfft(source)))
    if noise is not None:
        bright = np.fft.rfft(noise.normal(size=(count, 960)))
    if flat[1]:
        bright = flatten(bright, sides[1])
    bright = done("carrier", bright[:, edge:480])
    both = np.zeros((count, 481), complex)
    both[:, :edge] = gains[0] * spectrum[:, :edge]
    both[:, edge:480] = gains[1] * level * bright
    both[:, edge : edge + own] = gains[0] * spectrum[:, edge : edge + own]
    made = np.fft.irfft(both) * window(signal.windows.hann(960, sym=False))
    y = np.zeros((count + 3) * 240)
    for i, frame in enumerate(made):
        y[240 * i : 240 * i + 960] += frame
    return y[720:][: -(-len(x) * 48000 // rate)]
