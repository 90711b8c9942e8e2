"""The network as the spec's formulas say it, in loops over Python floats; imports nothing of ours.

Channels first, as in the spec: an activation is a list of channels, each a list of samples.
"""

import math
from fractions import Fraction
from itertools import pairwise


def conv1d(x, weight, bias, padding, dilation=1):
    length = len(x[0])
    y = []
    for o in range(len(weight)):
        row = []
        for t in range(length):
            total = bias[o] if bias is not None else 0.0
            for i in range(len(x)):
                for k in range(len(weight[o][i])):
                    s = t + dilation * k - padding
                    if 0 <= s < length:
                        total += weight[o][i][k] * x[i][s]
            row.append(total)
        y.append(row)
    return y


def interpolate_to(x, count):
    """Source position (t + 1/2) T / M - 1/2, as a fraction of whole numbers, not before 0."""
    y = []
    for channel in x:
        length, row = len(channel), []
        for t in range(count):
            s = max(Fraction((2 * t + 1) * length, 2 * count) - Fraction(1, 2), Fraction(0))
            j = s.numerator // s.denominator
            after = channel[min(j + 1, length - 1)]
            row.append(float(1 - (s - j)) * channel[j] + float(s - j) * after)
        y.append(row)
    return y


def interpolate(x):
    """Source position (t + 1/2) / 3 - 1/2, clamped to the first and last sample."""
    y = []
    for channel in x:
        last = len(channel) - 1
        row = []
        for t in range(3 * len(channel)):
            thirds = t - 1  # the position in thirds of a sample
            left, fraction = thirds // 3, (thirds % 3) / 3
            a = channel[min(max(left, 0), last)]
            b = channel[min(max(left + 1, 0), last)]
            row.append((1 - fraction) * a + fraction * b)
        y.append(row)
    return y


def upsample2(x, f):
    y = []
    for channel in x:
        xp = [0.0, 0.0, *channel, 0.0, 0.0, 0.0]
        row = []
        for n in range(len(channel)):
            row.append(sum(2 * f[2 * k] * xp[n + k] for k in range(6)))
            row.append(sum(2 * f[2 * k + 1] * xp[n + k] for k in range(6)))
        y.append(row[2:-2])
    return y


def upsample2_held(x, f):
    """The textbook's transposed convolution: each sample, the ends held, adds the filter's taps."""
    y = []
    for channel in x:
        held = [channel[0]] * 5 + list(channel) + [channel[-1]] * 5
        row = [0.0] * (2 * len(held) + 10)
        for n, value in enumerate(held):
            for k in range(12):
                row[2 * n + k] += 2 * f[k] * value
        y.append(row[15:-15])
    return y


def downsample2_held(x, f):
    y = []
    for channel in x:
        last = len(channel) - 1
        y.append(
            [
                sum(f[k] * channel[min(max(2 * n + k - 5, 0), last)] for k in range(12))
                for n in range(len(channel) // 2)
            ]
        )
    return y


def snake_squared(x, alpha, beta):
    y = []
    for channel, log_a, log_b in zip(x, alpha, beta, strict=True):
        a, b = math.exp(log_a), math.exp(log_b)
        y.append([u + math.sin(a * u) ** 2 / (b + 1e-9) for u in channel])
    return y


def snake_beta(x, alpha, beta):
    y = []
    for channel, log_a, log_b in zip(x, alpha, beta, strict=True):
        a, b = math.exp(log_a), math.exp(log_b)
        y.append([u + (1 - math.cos(2 * a * u)) / (2 * b + 1e-9) for u in channel])
    return y


def downsample2(x, f):
    y = []
    for channel in x:
        xp = [0.0] * 5 + list(channel) + [0.0] * 5
        count = (len(xp) - 12) // 2 + 1
        y.append([sum(f[k] * xp[2 * n + k] for k in range(12)) for n in range(count)])
    return y


def forward(p, x):
    """p: nested lists under the stages' names; x: a list of samples; gives 3T - 4 samples."""
    h = conv1d([list(x)], p["conv_pre"]["weight"], p["conv_pre"]["bias"], 3)
    h = skip = interpolate(h)
    for activation, conv in (("activation0", "conv1"), ("activation1", "conv2")):
        q = p[activation]
        h = upsample2(h, q["upsample"]["filter"])
        h = snake_beta(h, q["snakebeta"]["alpha"], q["snakebeta"]["beta"])
        h = downsample2(h, q["downsample"]["filter"])
        h = conv1d(h, p[conv]["weight"], p[conv]["bias"], 5)
    h = [[a + b for a, b in zip(u, v, strict=False)] for u, v in zip(h, skip, strict=True)]
    (y,) = conv1d(h, p["conv_post"]["weight"], None, 3)
    return [math.tanh(v) for v in y]


def speechsr_24k(p, x):
    """SpeechSR-24k: floor(3T / 2) samples."""
    return speechsr(p, x, 3 * len(x) // 2)


def speechsr(p, x, count=None):
    """SpeechSR-48k: nested lists under the stages' names, a list of samples; gives 3T samples."""

    def activation(q, h):
        h = upsample2_held(h, q["upsample"]["filter"])
        h = snake_squared(h, q["snakebeta"]["alpha"], q["snakebeta"]["beta"])
        return downsample2_held(h, q["downsample"]["filter"])

    def add(*signals):
        return [[sum(v) for v in zip(*rows, strict=True)] for rows in zip(*signals, strict=True)]

    h = conv1d([list(x)], p["conv_pre"]["weight"], p["conv_pre"]["bias"], 3)
    h = interpolate(h) if count is None else interpolate_to(h, count)
    ends = []
    for branch, taps in enumerate((3, 7, 11)):
        q, z = p["resblocks"][str(branch)], h
        for i, d in enumerate((1, 3, 5)):
            v = activation(q["activations"][str(2 * i)], z)
            c = q["convs1"][str(i)]
            v = conv1d(v, c["weight"], c["bias"], taps // 2 * d, d)
            v = activation(q["activations"][str(2 * i + 1)], v)
            c = q["convs2"][str(i)]
            z = add(z, conv1d(v, c["weight"], c["bias"], taps // 2))
        ends.append(z)
    h = [[v / 3 for v in row] for row in add(*ends)]
    h = activation(p["activation_post"], h)
    (y,) = conv1d(h, p["conv_post"]["weight"], None, 3)
    return [math.tanh(v) for v in y]


def airband(p, x, ahead, rate, edge):
    """airband: a list of samples at `rate` Hz; gives ceil(48000 T / rate).

    ahead: frames that each convolution looks ahead; edge: the first bin that is made.
    """
    size, hop = rate // 50, rate // 200
    count = -(-len(x) // hop) + 3
    spectra = []
    for i in range(count):
        own = [hop * (i - 3) + n for n in range(size)]
        frame = [
            math.sin(math.pi * n / size) * (x[s] if 0 <= s < len(x) else 0.0)
            for n, s in enumerate(own)
        ]
        spectra.append([48000 / rate * v for v in _transform(frame, size // 2)])

    triangles = _triangles()
    share, means = [], []
    for weights in triangles:
        below = weights[:edge]
        part = sum(below) / sum(weights)
        heard = part >= 0.2
        share.append(part if heard else 0.0)
        row = []
        for spectrum in spectra:
            power = sum(w * abs(v) ** 2 for w, v in zip(below, spectrum, strict=False))
            row.append(math.log10(max(power / sum(below), 1e-8)) if heard else None)
        means.append(row)
    heard = [row for row in means if row[0] is not None]
    held = [(a + b) / 2 for a, b in zip(heard[-2], heard[-1], strict=True)]
    h = [[(v + 3) / 2 for v in (held if row[0] is None else row)] for row in means]

    told = [sum(w * s for w, s in zip(row, share, strict=True)) for row in p["share"]["weight"]]
    bias = [a + b for a, b in zip(p["conv_in"]["bias"], told, strict=True)]
    h = conv1d(h, p["conv_in"]["weight"], bias, 2 - ahead[0])
    for i, look in enumerate(ahead[1:]):
        block, d = p["blocks"][str(i)], 2**i
        v = [
            conv1d([channel], [[taps]], [b], 4 * d - look, d)[0]
            for channel, taps, b in zip(
                h, block["depthwise"]["weight"], block["depthwise"]["bias"], strict=True
            )
        ]
        v = [
            [u if u > 0 else s * u for u in channel]
            for channel, s in zip(v, block["prelu"]["slope"], strict=True)
        ]
        v = conv1d(v, block["pointwise"]["weight"], block["pointwise"]["bias"], 0)
        h = [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(h, v, strict=True)]
    h = [[u if u > 0 else math.exp(u) - 1 for u in channel] for channel in h]
    h = conv1d(h, p["conv_out"]["weight"], p["conv_out"]["bias"], 0)

    # The middles of 24 bands of 5 bins and 32 of 10, from bin 40 on.
    middles = [42 + 5 * b for b in range(24)] + [164.5 + 10 * b for b in range(32)]
    y = [0.0] * (-(-len(x) * 48000 // rate))
    for i, spectrum in enumerate(spectra):
        last = min(edge, 80) - 1
        source = [0j] * 480
        for k in range(4, last + 1):
            around = [abs(spectrum[min(max(j, 4), last)]) ** 2 for j in range(k - 8, k + 9)]
            source[k] = spectrum[k] / math.sqrt(sum(around) / 17 + 1e-20)
        bright = _transform([abs(v) for v in _inverse(source)], 480)
        bins = [v / 2 for v in spectrum[:edge]]
        for k in range(edge, 480):
            around = [abs(bright[min(j, 480)]) ** 2 for j in range(k - 6, k + 7)]
            level = 2 * _between(middles, [row[i] for row in h], k) - 4
            flat = bright[k] / math.sqrt(sum(around) / 13 + 1e-20)
            bins.append(0.56 * 10 ** (level / 2) * flat)
        for n, v in enumerate(_inverse(bins)):
            if 0 <= (t := 240 * (i - 3) + n) < len(y):
                y[t] += math.sin(math.pi * n / 960) * v
    return y


def _between(places, values, k):
    """On straight lines through the values at these places, held beyond the first and the last."""
    if k <= places[0]:
        return values[0]
    for (a, u), (b, v) in pairwise(zip(places, values, strict=True)):
        if k <= b:
            return u + (v - u) * (k - a) / (b - a)
    return values[-1]


def _triangles():
    def mel(hertz):
        return 2595 * math.log10(1 + hertz / 700)

    step = (mel(8000) - mel(40)) / 40
    middles = [700 * (10 ** ((mel(40) + step * i) / 2595) - 1) for i in range(41)]
    middles += [8500 + 500 * i for i in range(32)]
    middles = [2 * middles[0] - middles[1], *middles, 24500]
    return [
        [max(0.0, min((50 * k - a) / (b - a), (c - 50 * k) / (c - b))) for k in range(480)]
        for a, b, c in zip(middles, middles[1:], middles[2:], strict=False)
    ]


def _transform(frame, highest):
    """Bins 0 .. highest of a frame's Fourier transform."""
    turns = _turns(len(frame))
    return [
        sum(v * turns[-k * n % len(frame)] for n, v in enumerate(frame)) for k in range(highest + 1)
    ]


def _inverse(bins):
    """960 samples from bins 0 .. 479; of the first only the real part counts."""
    turns = _turns(960)
    return [
        (bins[0].real + 2 * sum((v * turns[k * n % 960]).real for k, v in enumerate(bins) if k))
        / 960
        for n in range(960)
    ]


def _turns(parts):
    angles = (2 * math.pi * n / parts for n in range(parts))
    return [complex(math.cos(angle), math.sin(angle)) for angle in angles]
