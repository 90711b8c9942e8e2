"""SpeechSR-48k on one page: rates, sizes, the tensor table and the context.

Data only; the rest of this folder stands on it. The network is HierSpeech++'s (arXiv 2311.12454),
whose pruned descendant NovaSR is.
"""

from collections.abc import Iterator

SAMPLE_RATE_IN = 16_000  # Hz, what the network hears
SAMPLE_RATE_OUT = 48_000  # Hz, what it gives
UPSAMPLING = 3  # output samples per input sample
CHANNELS = 32  # of every hidden stage

TAPS = (3, 7, 11)  # of the convolutions of the three branches
DILATIONS = (1, 3, 5)  # of the first convolution in each of a branch's three steps

EPSILON = 2e-9  # beside twice an activation's depth: the original has sin^2 / (b + 1e-9)

MIN_INPUT_SAMPLES = 1

# An activation reaches 5 steps at 48 kHz to either side, a convolution half its taps times the
# dilation: the longest branch 90, with the last activation and conv_post 98. So outputs 3n .. 3n+2
# depend on the inputs n-36 .. n+36: (98 + 1) / 3 for the steps, one for the interpolation, three
# for conv_pre, and no others.
CONTEXT_LEFT = 36  # input samples
CONTEXT_RIGHT = 36  # input samples; the look-ahead, 2.25 ms


def _activations() -> Iterator[str]:
    for branch in range(len(TAPS)):
        for j in range(2 * len(DILATIONS)):
            yield f"resblocks.{branch}.activations.{j}"
    yield "activation_post"


def _convolutions() -> Iterator[tuple[str, tuple[int, int, int]]]:
    """The weight-normed ones: name, shape."""
    yield "conv_pre", (CHANNELS, 1, 7)
    for branch, taps in enumerate(TAPS):
        for kind in ("convs1", "convs2"):
            for i in range(len(DILATIONS)):
                yield f"resblocks.{branch}.{kind}.{i}", (CHANNELS, CHANNELS, taps)


# Convolution weights are [channel out, channel in, tap]; alpha and beta are natural logarithms.
CONVOLUTIONS = dict(_convolutions())
ACTIVATIONS = tuple(_activations())
TENSORS: dict[str, tuple[int, ...]] = {}
# The original's keys, and the shapes there: weights by magnitude g and direction v.
UPSTREAM_TENSORS: dict[str, tuple[int, ...]] = {}
# Our name of what is the same there but for its shape -> the original's key.
SAME: dict[str, str] = {"conv_post.weight": "dec.conv_post.weight"}
for _name, _shape in CONVOLUTIONS.items():
    TENSORS |= {f"{_name}.weight": _shape, f"{_name}.bias": _shape[:1]}
    UPSTREAM_TENSORS |= {
        f"dec.{_name}.weight_g": (_shape[0], 1, 1),
        f"dec.{_name}.weight_v": _shape,
        f"dec.{_name}.bias": _shape[:1],
    }
    SAME[f"{_name}.bias"] = f"dec.{_name}.bias"
for _name in ACTIVATIONS:
    for _ours, _theirs, _shape_there in (
        ("upsample.filter", "upsample.filter", (1, 1, 12)),
        ("snakebeta.alpha", "act.alpha", (CHANNELS,)),
        ("snakebeta.beta", "act.beta", (CHANNELS,)),
        ("downsample.filter", "downsample.lowpass.filter", (1, 1, 12)),
    ):
        TENSORS[f"{_name}.{_ours}"] = _shape_there[-1:]
        UPSTREAM_TENSORS[f"dec.{_name}.{_theirs}"] = _shape_there
        SAME[f"{_name}.{_ours}"] = f"dec.{_name}.{_theirs}"
TENSORS["conv_post.weight"] = UPSTREAM_TENSORS["dec.conv_post.weight"] = (1, CHANNELS, 7)

# sha256 of the published checkpoints
UPSTREAM_CHECKPOINTS = {
    "62c70874ac4efeb4dc9c8aa9dc0a611a951e1c36292abeb4c406d7fb91e0eefc": "SpeechSR-48k",
}

# Outputs, by index, for 40 samples of noise and weights of noise (`conformance.self_test`), from an
# implementation that shares no code with this one (tests/oracle.py).
SELF_TEST = {
    0: -0.42933808669613965,
    1: -0.04462760052349967,
    50: 0.6669034740455063,
    119: 0.966176304825479,
}
