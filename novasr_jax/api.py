"""The front door: arrays at any rate in, the same sound at 48 kHz out."""

from collections.abc import Sequence

import jax
import numpy as np

from novasr_np.crossover import cutoff, keep
from novasr_np.resample import resample
from novasr_np.spec import SAMPLE_RATE_IN, UPSAMPLING
from novasr_np.stream import as_samples
from novasr_np.weights import Source, load_weights

from .segments import network, run_all


def upsample(
    x,
    sample_rate: int = SAMPLE_RATE_IN,
    *,
    weights: Source = None,
    resampler: str = "upstream",
    keep_lowband: bool | float = False,
    batch: int | None = None,
    segment: int | None = None,
    precision: str = "highest",
    devices: str | Sequence[jax.Device] | None = None,
):
    """Speech at any rate to 48 kHz, as `novasr_np.upsample` does it, in batches on JAX's devices.

    x [..., T]: float32, float64 (full scale is 1) or int16 samples at `sample_rate` Hz, each
    leading index a channel of its own; or a list or tuple of such arrays, of any lengths, which
    then share the batches. weights, resampler, keep_lowband: as for `novasr_np.upsample` (the last
    is done on the host). batch: rows over all
    devices, segment: input samples for each row; what a device holds depends on these alone.
    precision: "highest" (float32), "high" (TF32 or three bfloat16 passes), "fp16" or "bf16", of
    the large product. devices: "cpu", "gpu", "tpu", or some of ``jax.devices()``; None for all
    of JAX's default kind.

    Returns numpy [..., 3 ceil(16000 T / sample_rate)] at 48 kHz, for a list a list: float32, and
    float64 for a float64 x where JAX's 64-bit mode is on.

    Defined as `forward` of the 16 kHz samples followed by two zeros, cut to 3T.

    Raises TypeError and ValueError as `novasr_np.upsample` does, and for a batch, segment,
    precision or device that cannot be; WeightsError as `load_weights` does; MemoryError if a
    batch does not fit a device.
    """
    several = isinstance(x, (list, tuple))
    clips = [as_samples(clip) for clip in (x if several else [x])]
    params = load_weights(weights)
    given = clips
    clips = [resample(clip, sample_rate, resampler) for clip in clips]
    hertz = cutoff(keep_lowband, sample_rate)
    dtype = jax.dtypes.canonicalize_dtype(np.result_type(np.float32, *clips))
    net = network(params, dtype, batch=batch, segment=segment, precision=precision, devices=devices)
    shapes = [(*clip.shape[:-1], UPSAMPLING * clip.shape[-1]) for clip in clips]
    ys = run_all(net, [_rows(clip, dtype) for clip in clips])
    ys = [y[:, : shape[-1]] for y, shape in zip(ys, shapes, strict=True)]
    if hertz is not None:
        for x, y in zip(given, ys, strict=True):
            keep(x.reshape(len(y), -1).astype(dtype, copy=False), sample_rate, y, hertz)
    ys = [y.reshape(shape) for y, shape in zip(ys, shapes, strict=True)]
    return ys if several else ys[0]


def _rows(x, dtype) -> np.ndarray:
    """[..., T] -> [channels, T + 2]: two zeros stand for what follows the end."""
    channels = int(np.prod(x.shape[:-1]))
    rows = np.zeros((channels, x.shape[-1] + 2), dtype)
    rows[:, :-2] = x.reshape(channels, x.shape[-1])
    return rows
