"""The network as the spec's formulas say it, in loops over Python floats; imports nothing of ours.

Channels first, as in the spec: an activation is a list of channels, each a list of samples.
"""

import math
from fractions import Fraction


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
    """The textbook's: pairs in order, the end samples held."""
    y = []
    for channel in x:
        last = len(channel) - 1
        row = []
        for n in range(len(channel)):
            for parity in range(2):
                places = [min(max(n + parity - 3 + k, 0), last) for k in range(6)]
                row.append(sum(2 * f[2 * k + parity] * channel[s] for k, s in enumerate(places)))
        y.append(row)
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


def airband(p, x, ahead, first=0):
    """airband: a list of samples of whole hops; gives 3T samples.

    ahead: frames that each convolution looks ahead; first: the number of the first frame.
    """
    frames = [
        [
            math.sin(math.pi * n / 320) * (x[s] if 0 <= (s := 80 * i - 240 + n) < len(x) else 0.0)
            for n in range(320)
        ]
        for i in range(len(x) // 80 + 3)
    ]
    spectra = [
        [sum(v * _turn(-k * n, 320) for n, v in enumerate(frame)) for k in range(161)]
        for frame in frames
    ]
    h = [[(math.log10(max(band, 1e-8)) + 3) / 2 for band in _mel(s)] for s in spectra]
    h = [list(channel) for channel in zip(*h, strict=True)]
    h = conv1d(h, p["conv_in"]["weight"], p["conv_in"]["bias"], 2 - ahead[0])
    for i, look in enumerate(ahead[1:]):
        block, d = p["blocks"][str(i)], 2**i
        weight = [
            [w if a == b else [0.0] * 5 for b in range(len(h))]
            for a, w in enumerate(block["depthwise"]["weight"])
        ]
        v = conv1d(h, weight, block["depthwise"]["bias"], 4 * d - look, d)
        v = [
            [u if u > 0 else s * u for u in channel]
            for channel, s in zip(v, block["prelu"]["slope"], strict=True)
        ]
        v = conv1d(v, block["pointwise"]["weight"], block["pointwise"]["bias"], 0)
        h = [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(h, v, strict=True)]
    h = [[u if u > 0 else math.exp(u) - 1 for u in channel] for channel in h]
    h = conv1d(h, p["conv_out"]["weight"], p["conv_out"]["bias"], 0)
    y = [0.0] * (3 * len(x))
    for i, spectrum in enumerate(spectra):
        bins = [1.5 * v for v in spectrum[:160]]
        for k in range(160, 480):
            place = min(max((k - 164.5) / 10, 0), 31)  # in bands, between their middles
            band = min(int(place), 30)
            level = h[band][i] + (place - band) * (h[band + 1][i] - h[band][i])
            bins.append(10 ** ((2 * level - 4) / 2) * _turn(_angle(first + i, k), 256))
        for n in range(960):
            if 0 <= (t := 240 * i - 720 + n) < len(y):
                total = sum(2 * (v * _turn(k * n, 960)).real for k, v in enumerate(bins))
                y[t] += (total - bins[0].real) / 960 * math.sin(math.pi * n / 960)
    for t in range(len(y)):
        if not any(x[max(0, t // 3 - 16) : t // 3 + 17]):
            y[t] = 0.0
    return y


def _turn(n, parts):
    angle = 2 * math.pi * (n % parts) / parts
    return complex(math.cos(angle), math.sin(angle))


def _mel(spectrum):
    def mel(hertz):
        return 2595 * math.log10(1 + hertz / 700)

    low, high = mel(40), mel(8000)
    for band in range(40):
        a, b, c = (low + (band + j) * (high - low) / 41 for j in range(3))
        weights = [
            max(0.0, min((mel(50 * k) - a) / (b - a), (c - mel(50 * k)) / (c - b)))
            for k in range(161)
        ]
        power = sum(w * abs(v) ** 2 for w, v in zip(weights, spectrum, strict=True))
        yield power / sum(weights)


def _angle(i, k):
    """In 256ths of a turn."""
    h = (0x9E3779B1 * i + 0x85EBCA77 * k) % 2**32
    h = h * (2 * h + 1) % 2**32
    h = (h + h // 2**16) * 0x7FEB352D % 2**32
    h = h * (2 * h + 1) % 2**32
    return h // 2**24
