"""Wrong ports of NovaSR and airband, of `mutants`, and what has to be said of each.

Made by changing every layer in turn: its ends, its place in time, its numbers, its order, its
precision; and, of any port, by what can happen to a sound on its way in and out.
"""

import numpy as np
from mutants import sine_squared


def late(h):
    return np.pad(h, ((0, 0), (1, 0)))[:, :-1]


def early(h):
    return np.pad(h, ((0, 0), (0, 1)))[:, 1:]


def half(h):
    return np.float64(np.float16(h))


def bfloat16(h):
    """By halves of the last bit that is kept."""
    exponent = np.floor(np.log2(np.maximum(np.abs(h), 1e-38)))
    unit = 2.0 ** (exponent - 7)
    return np.rint(h / unit) * unit


def same(h, *_):
    return h


def first(layer, other):
    """The layer in the first activation, the other in the second; and the reverse."""
    return (layer, other), (other, layer)


ENDS = "ends are held where zeros belong"
SWAP = "the swap of sample pairs is undone"
HALF = "no better than half precision"

_SNAKES = {
    "alpha and beta exchanged": (
        "alpha and beta are exchanged",
        lambda h, a, b: sine_squared(h, b, a),
    ),
    "plain snake": ("alpha is used for beta", lambda h, a, b: sine_squared(h, a, a)),
    "logarithms": (
        "alpha and beta are taken as they are",
        lambda h, a, b: sine_squared(h, np.log(a), np.log(b)),
    ),
    "a x": ("cos(a x), not cos(2 a x)", lambda h, a, b: sine_squared(h, a / 2, b)),
    "times beta": ("multiplied by beta", lambda h, a, b: sine_squared(h, a, 1 / b)),
    "sine": ("sine is not squared", lambda h, a, b: h + np.sin(a * h) / b),
    "no sum": ("input is not added", lambda h, a, b: np.sin(a * h) ** 2 / b),
}
_SNAKE = first(same, sine_squared)

# name -> (what is said, one of several with | between; the options of `mutants.forward`)
NOVASR = {
    "both swaps": (f"{SWAP} in both", {"swapped": (False, False)}),
    "swap 0": (f"{SWAP} in activation0", {"swapped": (False, True)}),
    "swap 1": (f"{SWAP} in activation1", {"swapped": (True, False)}),
    "filters' ends": (f"{ENDS}, in the activations' filters", {"edges": "edge"}),
    "convolutions' ends": (f"{ENDS}, in the convolutions", {"conv_edges": ("edge",) * 4}),
    **{
        f"{name}'s ends": (
            f"{ENDS}, in {name}",
            {"conv_edges": tuple("edge" if i == k else "constant" for k in range(4))},
        )
        for i, name in enumerate(("conv_pre", "conv1", "conv2", "conv_post"))
    },
    "left aligned": ("1 sample early|from sample t / 3", {"shift": 0}),  # the same but at the ends
    "repeated": (
        "samples are repeated",
        {"at": {"interpolate": lambda h: h[:, 1::3].repeat(3, 1)}},
    ),
    "zeros between": (
        "zeros are put between",
        {"at": {"interpolate": lambda h: h * (np.arange(h.shape[1]) % 3 == 1)}},
    ),
    "skip left": ("cropped on the left", {"skip_from": 4}),
    "skip centred": ("cropped on both sides", {"skip_from": 2}),
    "skip early": ("the skip is a sample early", {"skip_from": 1}),
    "no skip": ("the skip is left out", {"skip_from": None}),
    "no tanh": ("the tanh is left out", {"end": same}),
    "two tanh": ("there are two tanh", {"end": lambda h: np.tanh(np.tanh(h))}),
    **{name: (words, {"snake": (f, f)}) for name, (words, f) in _SNAKES.items()},
    "no snake 0": ("activation0's snake is left out", {"snake": _SNAKE[0]}),
    "no snake 1": ("activation1's snake is left out", {"snake": _SNAKE[1]}),
    "outside": ("both snakes come after their filters", {"inside": (False, False)}),
    "outside 0": ("activation0's snake comes after", {"inside": (False, True)}),
    "outside 1": ("activation1's snake comes after", {"inside": (True, False)}),
    **{
        f"{stage} {change.__name__}": (words, {"at": {stage: change}})
        for change in (late, early)
        for stage, words in (
            ("activation0.up", f"activation0 works a sample {change.__name__} at the doubled"),
            ("activation1.up", f"activation1 works a sample {change.__name__} at the doubled"),
            ("conv2", f"conv2 is a sample {change.__name__} beside the skip"),
            ("conv_pre", f"3 samples {change.__name__}"),
            ("conv_post", f"1 sample {change.__name__}"),
        )
    },
    "gain 0": (
        "activation0's filter up has the factor 1",
        {"at": {"activation0.up": lambda h: h / 2}},
    ),
    "gain 1": (
        "activation1's filter up has the factor 1",
        {"at": {"activation1.up": lambda h: h / 2}},
    ),
    "half": ("half precision", {"keep": half}),
    "bfloat16": ("as large as that of bfloat16", {"keep": bfloat16}),
    **{
        f"half in {name}": (HALF, {"at": {name: half}})
        for name in ("conv_pre", "conv1", "activation1.down", "residual")
    },
}

_MADE = "above the edge alone"


def frames_off(every):
    """Each so-many-th frame is the one before it."""

    def change(h):
        h = h.copy()
        h[every::every] = h[every - 1 : -1 : every]
        return h

    return change


# The same of `mutants.airband`.
AIRBAND = {
    "scale": ("not multiplied by 48000 / rate", {"scaled": False}),
    "windows": ("both windows are Hann's", {"window": same}),
    "natural": ("natural logarithms", {"log": np.log}),
    "decibels": ("power is doubled", {"log": lambda p: 2 * np.log10(p)}),
    "magnitudes": ("means of magnitudes", {"power": 1}),
    "floor 1e-5": ("floor of a band's power is 1e-5", {"floor": 1e-5}),
    "floor 1e-10": ("floor of a band's power is 1e-10", {"floor": 1e-10}),
    "mel from 0": ("from 0 Hz, not from 40", {"lowest": 0.0}),
    "all bins": ("over bins beyond the edge", {"heard_only": False}),
    "ones above": ("have the power 1", {"hold": lambda low, high: 0 * low}),
    "floor above": ("have the floor", {"hold": lambda low, high: 0 * low - 8}),
    "last above": ("have the last band heard", {"hold": lambda low, high: high}),
    "no share": ("the share is left out", {"told": False}),
    "relu for prelu": ("the blocks have a ReLU", {"prelu": lambda h, s: np.maximum(h, 0)}),
    "no prelu": ("the blocks have no PReLU", {"prelu": same}),
    "prelu turned": (
        "slope is that of positive",
        {"prelu": lambda h, s: np.where(h < 0, h, s * h)},
    ),
    "relu for elu": ("a ReLU before the last layer", {"elu": lambda h: np.maximum(h, 0)}),
    "no elu": ("ELU before the last layer is left out", {"elu": same}),
    "tanh for elu": ("a tanh before the last layer", {"elu": np.tanh}),
    "ends held": ("ends are held where zeros belong, in every layer", {"mode": "edge"}),
    **{
        f"layer {i} {words}": (
            f"{'conv_in' if i == 0 else f'blocks.{i - 1}'} looks a frame too far {words}",
            {"reach": tuple(by if i == k else 0 for k in range(7))},
        )
        for by, words in ((1, "ahead"), (-1, "back"))
        for i in (0, 1, 3, 6)
    },
    "taps together": ("the blocks' taps are all a frame apart", {"one_dilation": True}),
    "no residual": ("the blocks' input is not added", {"residual": False}),
    "a block out": ("blocks.3 is left out", {"at": {"blocks.3": lambda h: 0 * h}}),
    "source to 8 kHz": ("the source goes up to 8 kHz", {"top": 160}),
    "source to bin 78": ("the source ends at bin 78", {"top": 79}),
    "source's side": ("the source's means are of 15 bins", {"sides": (7, 6)}),
    "carrier's side": ("the carrier's means are of 11 bins", {"sides": (8, 5)}),
    "uneven source": ("the source is not made flat", {"flat": (False, True)}),
    "uneven carrier": ("the carrier is not made flat", {"flat": (True, False)}),
    "means' ends": ("zeros beyond their ends", {"held": False}),
    "squared": ("the source is squared", {"rectify": np.square}),
    "gain 1/2": ("has the factor 1/2, not 0.56", {"gains": (0.5, 0.5)}),
    "gain 1": ("has the factor 1, not 0.56", {"gains": (0.5, 1.0)}),
    "kept 1": ("what is kept has the factor 1", {"gains": (1.0, 0.56)}),
    "edge kept": ("the bin at the edge is kept", {"own": 1}),
    "steps": (
        "not interpolated between the bands",
        {"between": lambda k, g, v: v[np.where(k < 160, (k - 40) // 5, 24 + (k - 160) // 10)]},
    ),
    "levels late": (
        "levels belong to the frame before",
        {"at": {"amplitude": lambda h: late(h.T).T}},
    ),
    "levels early": (
        "levels belong to the frame after",
        {"at": {"amplitude": lambda h: early(h.T).T}},
    ),
    "features late": ("features are a frame late", {"at": {"features": lambda h: late(h.T).T}}),
    "features early": ("features are a frame early", {"at": {"features": lambda h: early(h.T).T}}),
    "random carrier": (_MADE, {"noise": np.random.default_rng(1)}),
    "half in conv_out": (HALF, {"at": {"conv_out": half}}),
    "a frame off": ("every 4000 samples", {"at": {"amplitude": frames_off(50)}}),
}
