"""NovaSR on one page: rates, sizes, the tensor table, the length law and the context.

Data only, used by the rest of this folder.
"""

SAMPLE_RATE_IN = 16_000  # Hz
SAMPLE_RATE_OUT = 48_000  # Hz
UPSAMPLING = 3  # output samples per input sample
CHANNELS = 32  # of every hidden stage

MIN_INPUT_SAMPLES = 2  # the shortest input for which the network has an output
EDGE_LOSS = 4  # samples at 48 kHz: T samples in give 3 T - 4 out

# Outputs 3n, 3n+1, 3n+2 depend on the inputs n-11 .. n+13 and on no others.
CONTEXT_LEFT = 11  # input samples
CONTEXT_RIGHT = 13  # input samples; the look-ahead, 0.81 ms
CONTEXT = CONTEXT_LEFT + CONTEXT_RIGHT

# Our name (stage.parameter) -> the original's key in its checkpoint, and its shape there.
# Convolution weights are [channel out, channel in, tap]. A filter is kept as [12].
# alpha and beta are natural logarithms.
TENSORS: dict[str, tuple[str, tuple[int, ...]]] = {
    "conv_pre.weight": ("dec.conv_pre.weight", (32, 1, 7)),
    "conv_pre.bias": ("dec.conv_pre.bias", (32,)),
    "activation0.upsample.filter": (
        "dec.resblocks.0.activations.0.upsample.filter",
        (1, 1, 12),
    ),
    "activation0.snakebeta.alpha": ("dec.resblocks.0.activations.0.act.alpha", (32,)),
    "activation0.snakebeta.beta": ("dec.resblocks.0.activations.0.act.beta", (32,)),
    "activation0.downsample.filter": (
        "dec.resblocks.0.activations.0.downsample.lowpass.filter",
        (1, 1, 12),
    ),
    "conv1.weight": ("dec.resblocks.0.convs1.0.weight", (32, 32, 11)),
    "conv1.bias": ("dec.resblocks.0.convs1.0.bias", (32,)),
    "activation1.upsample.filter": (
        "dec.resblocks.0.activations.1.upsample.filter",
        (1, 1, 12),
    ),
    "activation1.snakebeta.alpha": ("dec.resblocks.0.activations.1.act.alpha", (32,)),
    "activation1.snakebeta.beta": ("dec.resblocks.0.activations.1.act.beta", (32,)),
    "activation1.downsample.filter": (
        "dec.resblocks.0.activations.1.downsample.lowpass.filter",
        (1, 1, 12),
    ),
    "conv2.weight": ("dec.resblocks.0.convs2.0.weight", (32, 32, 11)),
    "conv2.bias": ("dec.resblocks.0.convs2.0.bias", (32,)),
    "conv_post.weight": ("dec.conv_post.weight", (1, 32, 7)),
}

# sha256 of the original's published checkpoints
UPSTREAM_CHECKPOINTS = {
    "7ca4d3a650a8e3c80fe0b2e022975c8f57f41b9f1358fc856bcce67fd18d3124": "NovaSR v1",
    "58a9aad7dccd70ea1a454dd46fe1d1ce56763b2cd1adea1e369c62b8ce6a316a": "NovaSR v2",
}

# Outputs, by index, for 40 samples of noise and weights of noise (`conformance.self_test`), from an
# implementation that shares no code with this one (tests/oracle.py).
SELF_TEST = {
    0: -0.3788184179275515,
    1: -0.13231944175596236,
    50: -0.3527151815024949,
    51: -0.33917586504387276,
}
