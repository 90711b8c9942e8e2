"""airband on one page: rates, frames, bands, the tensor table and the context.

Data only, used by the rest of this folder.
"""

from collections.abc import Mapping
from typing import NamedTuple

SAMPLE_RATE_OUT = 48_000  # Hz
SAMPLE_RATE_IN = 16_000  # Hz, unless another is given

# Frames of 20 ms, one every 5 ms. Bins are 50 Hz apart at every rate, so bin k of an input frame is
# bin k of the output frame. A rate of which a hop is no whole number of samples is resampled.
HOPS = 200  # a second
HOP, FRAME = 240, 960  # samples at 48 kHz
OVERLAP = FRAME // HOP - 1  # number of earlier frames with which a frame shares samples
BINS = FRAME // 2  # of the output; the one at 24 kHz is left out
BIN = SAMPLE_RATE_OUT // FRAME  # Hz
LOWEST_RATE = 4000  # Hz, of which all bins lie below the first that is made

BANDS_IN = 73  # bands of the features: 41 evenly in mel, then one every 500 Hz
LOWEST = 40.0  # Hz, the middle of the first band
MEL_BANDS, MEL_TOP = 41, 8000  # bands evenly in mel, the middle of the last in Hz
LEAST_SHARE = 0.2  # of a band's weight below the edge, for a band that is heard

FIRST = 40  # the lowest bin that is made: 2 kHz
# Bands whose power is predicted, in bins: 250 Hz wide up to 8 kHz, then 500 Hz.
WIDTHS = (5,) * 24 + (10,) * 32
BANDS_OUT = len(WIDTHS)

# The carrier: bins 4 .. 79 of the input, made flat over 17 bins, rectified, made flat over 13.
SOURCE = range(4, 80)
FLAT_SOURCE, FLAT_CARRIER = 8, 6  # bins on either side
TINY = 1e-20  # power, so that a frame of zeros stays zeros
# Frames of a kept bin add up to twice its level, and those of a made one nearly so.
KEPT_GAIN, MADE_GAIN = 0.5, 0.56

CHANNELS = 64  # of every hidden stage
KERNEL_IN = 3  # taps (frames) of the first convolution
KERNEL = 5  # taps of the others, with these dilations:
DILATIONS = (1, 2, 4, 8, 16, 32)

# Features are (log10 power + 3) / 2, the output of the network 2 y - 4 = log10 power.
FLOOR = 1e-8  # of the power of a band
FEATURE_OFFSET, FEATURE_SCALE = 3.0, 0.5
OUTPUT_SCALE, OUTPUT_OFFSET = 2.0, -4.0

# Convolution weights are [channel out, channel in, tap]; a depthwise one has [channel, tap].
TENSORS: dict[str, tuple[int, ...]] = {
    "conv_in.weight": (CHANNELS, BANDS_IN, KERNEL_IN),
    "conv_in.bias": (CHANNELS,),
    "share.weight": (CHANNELS, BANDS_IN),
}
for _i in range(len(DILATIONS)):
    TENSORS |= {
        f"blocks.{_i}.depthwise.weight": (CHANNELS, KERNEL),
        f"blocks.{_i}.depthwise.bias": (CHANNELS,),
        f"blocks.{_i}.prelu.slope": (CHANNELS,),
        f"blocks.{_i}.pointwise.weight": (CHANNELS, CHANNELS, 1),
        f"blocks.{_i}.pointwise.bias": (CHANNELS,),
    }
TENSORS |= {"conv_out.weight": (BANDS_OUT, CHANNELS, 1), "conv_out.bias": (BANDS_OUT,)}


class Variant(NamedTuple):
    """Properties that differ between the two networks."""

    name: str
    ahead: tuple[int, ...]  # frames of look-ahead of each convolution, in order
    behind: tuple[int, ...]  # frames that each looks back
    tensors: Mapping[str, tuple[int, ...]]
    # Outputs, by index, for 40 samples of noise and weights of noise (`conformance.self_test`),
    # from an implementation that shares no code with this one (tests/oracle.py).
    self_test: Mapping[int, float]

    @property
    def frames_behind(self) -> int:
        """Total frames that the network looks back."""
        return sum(self.behind)

    @property
    def frames_ahead(self) -> int:
        """Total frames of the network's look-ahead."""
        return sum(self.ahead)


def _behind(ahead: tuple[int, ...]) -> tuple[int, ...]:
    reach = (KERNEL_IN - 1, *((KERNEL - 1) * d for d in DILATIONS))
    return tuple(whole - a for whole, a in zip(reach, ahead, strict=True))


# The same network, with as much look-ahead as look-back, or hardly any look-ahead. Weights of the
# second have one more tensor, as nothing else distinguishes them from those of the first.
_HALF = (1, 2, 4, 8, 16, 32, 64)
_LITTLE = (1, 2, 2, 0, 0, 0, 0)
LOOK_AHEAD = "look_ahead.frames"

VARIANTS = (
    Variant(
        "airband",
        _HALF,
        _behind(_HALF),
        TENSORS,
        self_test={
            0: 0.3887098867098759,
            1: 0.4899311744723564,
            50: 0.19015383031768113,
            119: -0.09669539700332504,
        },
    ),
    Variant(
        "airband-live",
        _LITTLE,
        _behind(_LITTLE),
        TENSORS | {LOOK_AHEAD: (len(_LITTLE),)},
        self_test={
            0: 0.38745957608553583,
            1: 0.4885914525253965,
            50: 0.18532822078030758,
            119: -0.09190102166993686,
        },
    ),
)
