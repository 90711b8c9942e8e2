"""Public functions: upsample arrays, and run the bare network, in JAX."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from novasr_np.errors import WeightsError
from novasr_np.pipeline.arrays import upsample_arrays
from novasr_np.pipeline.look import check_edge, place
from novasr_np.samples import as_audio, check_levels
from novasr_np.weights import Weights, WeightsLike, as_weights, load_weights

from .backend import Backend
from .networks import NETWORKS

# So that loaded weights work with ``jit`` and ``grad``, as their tree does.
jax.tree_util.register_pytree_node(
    Weights, lambda w: ((w.params,), w.network), lambda network, parts: Weights(network, *parts)
)


def upsample(
    x: Any,
    sample_rate: int | None = None,
    *,
    weights: WeightsLike = None,
    resampler: str = "auto",
    keep_lowband: str | float | bool | None = None,
    edge: float | None = None,
    batch: int | None = None,
    segment: int | None = None,
    precision: str = "highest",
    devices: str | Sequence[jax.Device] | None = None,
    options: Mapping[str, Any] | None = None,
) -> np.ndarray | list[np.ndarray]:
    """Upsample speech at any rate to 48 kHz, as `novasr_np.upsample` does, in batches on devices.

    x [..., T]: float32, float64 (full scale is 1) or int16 samples at `sample_rate` Hz, with a
    separate channel at each leading index; or a list, tuple or iterator of such arrays, of any
    lengths, which then share the batches. sample_rate: None for the network's input rate. weights,
    resampler, keep_lowband, edge, options: as for `novasr_np.upsample` (the low band is kept on the
    host); an edge that is given is that of all clips. batch: rows over all devices, which for
    FlashSR are windows; segment: input samples for each row at the network's own rate, as long at
    others, None for FlashSR; a device's memory depends only on these two. precision: of the large
    products, "highest" (float32), "high" (TF32 or three bfloat16 passes), "fp16" or "bf16".
    devices: "cpu", "gpu", "tpu", or some of ``jax.devices()``; None for all of JAX's default kind.

    Returns numpy [..., ceil(48000 T / sample_rate)] at 48 kHz, for several arrays a list:
    float32, or float64 for a float64 x if JAX's 64-bit mode is on.

    Defined as `forward` of the samples at the rate that the network takes, followed by zeros where
    `novasr_np.upsample` says so, cut to that length.

    Raises TypeError and ValueError as `novasr_np.upsample` does, and for an invalid batch, segment,
    precision or device; WeightsError as `load_weights` does; MemoryError if a batch does not fit a
    device.
    """
    several = isinstance(x, (list, tuple, Iterator))
    clips = [check_levels(as_audio(clip)) for clip in (x if several else [x])]
    loaded = load_weights(weights)
    floats = [np.float64 if clip.dtype == np.float64 else np.float32 for clip in clips]
    dtype = jax.dtypes.canonicalize_dtype(np.result_type(np.float32, *floats))
    backend = Backend(devices, precision, batch, segment, options=options)
    with backend.open(loaded, dtype) as runner:
        rate = loaded.network.rate_in if sample_rate is None else sample_rate
        ys = upsample_arrays(
            runner, clips, rate, resampler=resampler, keep_lowband=keep_lowband, edge=edge
        )
    return ys if several else ys[0]


def forward(
    weights: WeightsLike,
    x: Any,
    length: Any = None,
    *,
    sample_rate: int | None = None,
    edge: Any = None,
    precision: str = "highest",
) -> jax.Array:
    """Run the bare network that the weights are for: NovaSR gives 3T - 4 samples at 48 kHz.

    x [..., T], float32, or float64 where JAX's 64-bit mode is on. weights as for `load_weights`.
    Pure, for ``jit`` (sample_rate and precision static), ``vmap``, ``grad`` and ``jax.export``.

    length: number of samples of each signal without its padding, an integer [...] up to T, traced
    or not; None for all. The padding, even NaN, has no effect: the first outputs are those of the
    signal alone, its edges included; the rest is meaningless.

    sample_rate: of x in Hz, one that the network takes; None for 16 kHz. edge: for airband, Hz at
    which each signal ends, a number or [...], traced or not; None for half the rate.

    precision: of the convolutions' products, "highest" (float32), "high" (TF32 on a GPU, three
    bfloat16 passes on a TPU), "fp16" or "bf16".

    Raises TypeError for another dtype, ValueError for too few samples, an unknown precision, a rate
    that the network does not take, or an edge as `novasr_np.upsample` does, unless it is traced.
    """
    loaded = as_weights(weights)
    network, compute = loaded.network, NETWORKS[loaded.network.name].forward
    if compute is None:
        raise WeightsError(f"{network.name} takes windows, which the host prepares: use `upsample`")
    where = place(network, sample_rate, None)
    if edge is not None:
        facts = where["facts"]
        known = not (network.takes and isinstance(edge, jax.core.Tracer))
        for hertz in np.ravel(edge) if known else ():
            check_edge(network, hertz, facts.sample_rate)
        where["facts"] = facts._replace(edge=edge)
    return compute(loaded.params, x, length, **where, precision=precision)
