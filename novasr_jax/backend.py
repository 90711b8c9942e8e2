"""The JAX backend of the pipeline, as a value that can be sent to a worker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from novasr_np.pipeline.runner import Runner
from novasr_np.weights import Weights

if TYPE_CHECKING:
    import jax


@dataclass(frozen=True)
class Backend:
    """Backend that computes with JAX.

    device: "cpu", "gpu", "tpu", or devices of JAX; batch, segment, precision: as for `upsample`;
    None leaves the choice to JAX or the device. compilation_cache: a folder for compiled programs.
    options: the network's, by name.
    """

    # One process of a run opens it, for all: a device's memory and time are best not shared.
    exclusive: ClassVar[bool] = True

    device: str | Sequence["jax.Device"] | None = None
    precision: str = "highest"
    batch: int | None = None
    segment: int | None = None
    compilation_cache: str | None = None
    options: Mapping[str, Any] | None = None

    def open(self, weights: Weights, dtype: Any = np.float32) -> Runner:
        """Create a runner for weights.

        Raises as `compute.make_model`, and TypeError or ValueError for options that the network
        does not have.
        """
        # Not before: the process that only sends a backend to another has no need of JAX.
        import jax  # noqa: PLC0415

        from . import compute  # noqa: PLC0415

        if self.compilation_cache is not None:
            jax.config.update("jax_compilation_cache_dir", self.compilation_cache)
            # These programs compile faster than JAX's default threshold for keeping a program.
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        network = weights.network
        options = network.choose(self.options)
        model = compute.make_model(
            weights,
            dtype,
            options=options,
            batch=self.batch,
            segment=self.segment,
            precision=self.precision,
            devices=self.device,
        )
        hop = network.cut.hop(options, model.segment)
        return Runner(
            network,
            options,
            dtype,
            partial(compute.run, model),
            model.segment,
            model.batch * hop,
            multiple=hop,
            int16=True,
        )
