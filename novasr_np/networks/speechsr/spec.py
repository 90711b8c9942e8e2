"""SpeechSR on one page: rates, sizes, the tensor table and the context.

Data only, used by the rest of this folder. The networks are HierSpeech++'s (arXiv 2311.12454);
NovaSR is a pruned descendant of the larger one. They differ only in the interpolation: three
samples for each one, to 48 kHz, or three for two, to 24 kHz.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

SAMPLE_RATE_IN = 16_000  # Hz
OUTPUTS = 3  # output samples for each step
CHANNELS = 32  # of every hidden stage

TAPS = (3, 7, 11)  # of the convolutions of the three branches
DILATIONS = (1, 3, 5)  # of the first convolution in each of a branch's three steps

EPSILON = 2e-9  # added to twice an activation's depth: the original has sin^2 / (b + 1e-9)

MIN_INPUT_SAMPLES = 1

# An activation depends on 5 output samples on either side, a convolution on half its taps times the
# dilation: the longest branch on 90, with the last activation and conv_post on 98.
REACH = 98


def _activations() -> Iterator[str]:
    for branch in range(len(TAPS)):
        for j in range(2 * len(DILATIONS)):
            yield f"resblocks.{branch}.activations.{j}"
    yield "activation_post"


def _convolutions() -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Yield the convolutions with weight norm: name, shape."""
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
# Our names of tensors that differ from the original's only in shape -> the original's keys.
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


class Variant(NamedTuple):
    """Properties that differ between the two networks."""

    name: str
    rate_out: int  # Hz
    step: int  # input samples for three outputs
    context: int  # input samples on either side
    tensors: Mapping[str, tuple[int, ...]]
    published: Mapping[str, str]  # sha256 of a checkpoint -> its name
    # Outputs, by index, for 40 samples of noise and weights of noise (`conformance.self_test`),
    # from an implementation that shares no code with this one (tests/oracle.py).
    self_test: Mapping[int, float]


# Outputs 3n .. 3n+2 depend on the inputs n-36 .. n+36: 33 for the reach, three for conv_pre.
TO_48K = Variant(
    "SpeechSR-48k",
    48_000,
    step=1,
    context=36,
    tensors=TENSORS,
    published={"62c70874ac4efeb4dc9c8aa9dc0a611a951e1c36292abeb4c406d7fb91e0eefc": "SpeechSR-48k"},
    self_test={
        0: -0.42974340895722396,
        1: -0.0982822197199182,
        50: 0.7171365407870588,
        119: 0.9626048960941399,
    },
)
# Outputs 3n .. 3n+2 depend on the inputs 2n-69 .. 2n+70. A checkpoint has the same tensors for both
# networks, so that only a published one's hash, or the user, says which it is for; a tree of
# weights also holds the ratio of the interpolation.
RATIO = "interpolate.ratio"
TO_24K = Variant(
    "SpeechSR-24k",
    24_000,
    step=2,
    context=70,
    tensors=TENSORS | {RATIO: (2,)},
    published={"94bc84b6f8bdb375e2027bc7a3222730d29f9d4c042fd9edce0024806d5c4320": "SpeechSR-24k"},
    self_test={
        0: -0.48714705374235895,
        1: -0.25173553952977445,
        50: 0.7754877787717744,
        59: 0.9668283648345365,
    },
)
