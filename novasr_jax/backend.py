"""The JAX backend of files and corpus jobs, as a value that can be sent to a worker."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from novasr_np.blocks import Runner, windowed_runner
from novasr_np.networks import Network, Windowed

from . import batches, windows
from .batcher import Batcher


@dataclass(frozen=True)
class Backend:
    """Compute with JAX. device: "cpu", "gpu", "tpu"; batch, segment, precision: as for `upsample`.

    None leaves the choice to JAX or the device. compilation_cache: a folder in which compiled
    programs are kept. shared: pieces that several threads wait for share the batches. options: of a
    network that has some, by name.
    """

    device: str | None = None
    precision: str = "highest"
    batch: int | None = None
    segment: int | None = None
    compilation_cache: str | None = None
    shared: bool = False
    options: Mapping[str, Any] | None = None

    def open(
        self, network: Network | Windowed, params: dict[str, Any], dtype: Any = np.float32
    ) -> Runner:
        """A runner for weights. Raises as `batches.prepare` does, ValueError for options or a
        segment that the network does not have.
        """
        if self.compilation_cache is not None:
            jax.config.update("jax_compilation_cache_dir", self.compilation_cache)
            # These programs compile faster than what JAX by default thinks worth keeping.
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        if isinstance(network, Windowed):
            return self._windowed(network, params, dtype)
        network.refuse(self.options)
        model = batches.prepare(
            network,
            params,
            dtype,
            batch=self.batch,
            segment=self.segment,
            precision=self.precision,
            devices=self.device,
        )
        chunk = model.batch * model.segment
        if self.shared:
            batcher = Batcher(partial(batches.run_all, model))
            return Runner(network, dtype, batcher.run, chunk, model.segment, batcher.close)
        return Runner(network, dtype, partial(batches.run, model), chunk, model.segment)

    def _windowed(self, network: Windowed, params: dict[str, Any], dtype: Any) -> Runner:
        options = network.checked(self.options, network.window)
        model = windows.prepare(
            network,
            params,
            options,
            dtype,
            batch=self.batch,
            segment=self.segment,
            precision=self.precision,
            devices=self.device,
        )
        if self.shared:
            batcher = Batcher(partial(windows.run_all, model))
            return windowed_runner(
                network, options, batcher.run, dtype, model.batch, close=batcher.close
            )
        run = partial(windows.run, model)
        return windowed_runner(network, options, run, dtype, model.batch)
