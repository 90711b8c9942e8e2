"""The front door: arrays at any rate in, the same sound at the network's rate out."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from novasr_np.dsp import band, crossover
from novasr_np.dsp.resample import resample
from novasr_np.networks import Network, Windowed
from novasr_np.samples import as_samples
from novasr_np.weights import Source, any_network_of, load_weights, network_of
from novasr_np.windows import Live, measure

from . import windows
from .batches import prepare, run_all
from .networks import NETWORKS


def upsample(
    x: Any,
    sample_rate: int | None = None,
    *,
    weights: Source = None,
    resampler: str = "upstream",
    keep_lowband: bool | float | None = None,
    batch: int | None = None,
    segment: int | None = None,
    precision: str = "highest",
    devices: str | Sequence[jax.Device] | None = None,
    options: Mapping[str, Any] | None = None,
) -> np.ndarray | list[np.ndarray]:
    """Upsample speech at any rate to 48 kHz, as `novasr_np.upsample` does, in batches on devices.

    x [..., T]: float32, float64 (full scale is 1) or int16 samples at `sample_rate` Hz, each
    leading index a channel of its own, None for the rate that the network hears; or a list or tuple
    of such arrays, of any lengths, which then share the batches. weights, resampler, keep_lowband,
    options: as for `novasr_np.upsample` (the low band is kept on the host). batch: rows over all
    devices, which for FlashSR are windows; segment: input samples for each row, and none for
    FlashSR; what a device holds depends on these alone. precision:
    "highest" (float32), "high" (TF32 or three bfloat16 passes), "fp16" or "bf16", of the large
    product. devices: "cpu", "gpu", "tpu", or some of ``jax.devices()``; None for all of JAX's
    default kind.

    Returns numpy [..., ceil(48000 T / sample_rate)] at 48 kHz, for a list a list: float32, and
    float64 for a float64 x where JAX's 64-bit mode is on.

    Defined as `forward` of the 16 kHz samples, with NovaSR followed by two zeros, cut to that
    length.

    Raises TypeError and ValueError as `novasr_np.upsample` does, and for a batch, segment,
    precision or device that cannot be; WeightsError as `load_weights` does; MemoryError if a
    batch does not fit a device.
    """
    several = isinstance(x, (list, tuple))
    originals = [as_samples(clip) for clip in (x if several else [x])]
    params = load_weights(weights)
    network = any_network_of(params)
    sample_rate = network.rate_in if sample_rate is None else sample_rate
    by = network.resampler(resampler)
    clips = [resample(clip, sample_rate, network.rate_in, by) for clip in originals]
    dtype = jax.dtypes.canonicalize_dtype(np.result_type(np.float32, *clips))
    rows = [_rows(clip, dtype) for clip in clips]
    kept = [_kept(keep_lowband, network, _rows(clip, dtype), sample_rate) for clip in originals]
    low_band = partial(
        crossover.make, sample_rate=sample_rate, rate_out=network.rate_out, dtype=dtype
    )
    for keep in kept:
        low_band(keep, channels=0)  # raises here what it would raise after the work
    chosen: dict[str, Any] = {
        "batch": batch,
        "segment": segment,
        "precision": precision,
        "devices": devices,
    }
    if isinstance(network, Windowed):
        checked = network.checked(options, network.window)
        made = _in_windows(
            windows.prepare(network, params, checked, dtype, **chosen), checked, rows
        )
    else:
        network.refuse(options)
        padded = [np.pad(row, ((0, 0), (0, network.padding(row.shape[-1])))) for row in rows]
        made = run_all(prepare(network, params, dtype, **chosen), padded)
    ys = []
    for original, keep, row, y in zip(originals, kept, rows, made, strict=True):
        whole = y[:, : network.duration(original.shape[-1], sample_rate)]
        if (filter := low_band(keep, channels=len(row))) is not None:
            crossover.keep_low(filter, _rows(original, dtype), whole)
        ys.append(whole.reshape(*original.shape[:-1], whole.shape[-1]))
    return ys if several else ys[0]


def _in_windows(model: windows.Model, options: Any, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Whole sounds [channels, T] through a network that hears windows, in common batches."""
    network, run = model.network, partial(windows.run, model)
    sounds = [Live(network, options, run, len(x), x.dtype, measure(network, [x])) for x in xs]
    cut = [sound.cut(x, True) for sound, x in zip(sounds, xs, strict=True)]
    made = windows.run_all(model, [x for x, *_ in cut], [(rows, level) for _, rows, level in cut])
    return [sound.mix(y, True) for sound, y in zip(sounds, made, strict=True)]


def forward(
    params: dict[str, Any], x: Any, length: Any = None, *, precision: str = "highest"
) -> jax.Array:
    """Run the bare network that the weights are for: NovaSR gives 3T - 4 samples at 48 kHz.

    x [..., T] at the network's rate, float32, or float64 where JAX's 64-bit mode is on. params as
    `load_weights` gives them. Pure, for ``jit`` (precision static), ``vmap``, ``grad`` and
    ``jax.export``.

    length: how many samples of each signal are its own, an integer [...] up to T, traced or not;
    None for all. What lies behind them, NaN included, is as if it were not there: the first outputs
    are those of the signal alone, edges and all; the rest means nothing.

    precision: of the convolutions' products, "highest" (float32), "high" (TF32 on a GPU, three
    bfloat16 passes on a TPU), "fp16" or "bf16".

    Raises TypeError for another dtype, ValueError for too few samples or an unknown precision.
    """
    return NETWORKS[network_of(params).name].forward(params, x, length, precision=precision)


def _kept(keep_lowband: Any, network: Network | Windowed, x: np.ndarray, sample_rate: int) -> Any:
    """Up to where the low band of x [channels, T] is kept, as `novasr_np.upsample` has it."""
    keep = network.keeps(keep_lowband, sample_rate)
    if keep is True and keep_lowband is None:
        return crossover.below(band.edge([x], sample_rate), sample_rate, network.rate_out)
    return keep


def _rows(x: np.ndarray, dtype: Any) -> np.ndarray:
    """[..., T] -> [channels, T]."""
    channels = int(np.prod(x.shape[:-1]))
    return x.reshape(channels, x.shape[-1]).astype(dtype, copy=False)
