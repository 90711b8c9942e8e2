"""The front door: an array at any rate in, the same sound at the network's rate out."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .blocks import Backend
from .dsp import band, crossover
from .dsp import resample as resampling
from .networks import NETWORKS, Windowed
from .samples import as_samples
from .weights import Params, Source, any_network_of, load_weights, network_of


def upsample(
    x: Any,
    sample_rate: int | None = None,
    *,
    weights: Source = None,
    resampler: str = "upstream",
    keep_lowband: bool | float | None = None,
    threads: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """Upsample speech at any rate to 48 kHz; with FlashSR's weights, any sound.

    x [..., T]: float32, float64 (full scale is 1) or int16 samples at `sample_rate` Hz, each
    leading index a channel of its own; None for the rate that the network hears, 16 kHz. weights: a
    name, a path or loaded params (`load_weights`); they say which network runs. resampler: how
    another rate becomes 16 kHz (`resample`). keep_lowband: restore what x itself has below so many
    Hz, in place of the network's; True for nearly all that `sample_rate` can hold
    (`crossover.cutoff`: 7 kHz at 16 kHz); None for what the network is made for: False, but with
    airband and a rate above 16 kHz all that lies below the end of the sound (`band.edge`). threads:
    how many share the network's work, None for one on each core; the result is the same to the
    byte. options: what a network has to choose, by name; of FlashSR
    `networks.flashsr.options.Options`, such as ``{"seed": 1}``, and of the others nothing.

    Returns [..., ceil(48000 T / sample_rate)] at 48 kHz, so exactly 3T samples for 16 kHz: float64
    for float64, else float32. |y| <= 1 for the network alone, while a low band that is kept keeps
    its level, whatever that is. No sample in gives none out.

    Defined as `forward` of the 16 kHz samples, cut to that length; with NovaSR followed by two
    zeros, since that alone gives 3T - 4 (the same ones but for the last 39: those stand for the
    last 13 samples in, whose look-ahead reaches past the end). Computed in blocks (`blocks`), so
    that beside x and y only a few MB are needed. FlashSR hears 48 kHz, in windows of 5.12 s that
    overlap, all channels at one level and with one noise (`windows`).

    Raises TypeError for another dtype, a rate that is no whole number or an unknown option,
    ValueError for NaN, infinity, a scalar, a rate out of range or an option's value, and
    WeightsError as `load_weights` does.
    """
    x = as_samples(x)
    params = load_weights(weights)
    network = any_network_of(params)
    sample_rate = network.rate_in if sample_rate is None else sample_rate
    original = x.reshape(-1, x.shape[-1]) if x.size else x
    samples = x.shape[-1]
    x = resampling.resample(x, sample_rate, network.rate_in, network.resampler(resampler))
    rows_in = len(original) if x.size else 0
    keep = network.keeps(keep_lowband, sample_rate)
    if keep is True and keep_lowband is None:
        keep = crossover.below(band.edge([original], sample_rate), sample_rate, network.rate_out)
    low_band = crossover.make(keep, sample_rate, network.rate_out, rows_in, x.dtype)
    shape = (*x.shape[:-1], network.duration(samples, sample_rate))
    if x.size == 0:
        return np.zeros(shape, x.dtype)
    missing = 0 if isinstance(network, Windowed) else network.padding(x.shape[-1])
    silence = np.zeros((*x.shape[:-1], missing), x.dtype)
    padded = np.concatenate([x, silence], axis=-1)
    rows = padded.reshape(-1, padded.shape[-1])
    with Backend(threads, options).open(network, params, x.dtype) as runner:
        y = runner.run(rows, 0, True)[:, : shape[-1]]
    if low_band is not None:
        crossover.keep_low(low_band, original, y)
    return y.reshape(shape)


def resample(
    x: Any, sample_rate: int, resampler: str = "upstream", new_rate: int | None = None
) -> np.ndarray:
    """Resample to the rate that the default network hears, as `upsample` does before all else.

    x [..., T] float32 or float64 at `sample_rate` Hz -> [..., ceil(new_rate T / sample_rate)] at
    `new_rate` Hz, None for 16 kHz, in the same dtype. At that rate already, x is returned as it is.
    resampler: "upstream" or "hann" (`dsp.resample`; their stop bands are leaky, as the originals'
    are), or "soxr" (steep, quality VHQ, needs the extra ``soxr``).

    Raises ValueError for another resampler or a rate out of range, TypeError for a rate that is no
    whole number or another dtype, ModuleNotFoundError if soxr is asked for and absent.
    """
    if new_rate is None:
        new_rate = next(iter(NETWORKS.values())).rate_in
    return resampling.resample(x, sample_rate, new_rate, resampler)


def stages(params: Params, x: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, activation) for every stage of the network that the weights are for, in order.

    params as `load_weights` gives them; x [..., T], float32 or float64, at the network's rate. A
    hidden activation is [..., channels, time]; the last stage is the output, [..., 3T - 4] for
    NovaSR.

    Raises TypeError if x is of another dtype, ValueError if it is too short.
    """
    return network_of(params).stages(params, x)


def forward(params: Params, x: Any) -> np.ndarray:
    """Run the bare network that the weights are for: NovaSR gives 3T - 4 samples at 48 kHz.

    params as `load_weights` gives them; x [..., T] at the network's rate, float32 or float64, which
    y has, too. float64 runs the same code and is the truth that the rest is measured against. Every
    layer holds the whole signal; the front door, `upsample`, works in blocks.

    Raises TypeError if x is neither float32 nor float64, ValueError if it is too short.
    """
    return network_of(params).forward(params, x)
