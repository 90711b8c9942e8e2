"""`novasr_np.FastSR`, computed by JAX."""

import novasr_np.fastsr

from .backend import Backend


class FastSR(novasr_np.fastsr.FastSR):
    """Class with the methods of `novasr_np.FastSR`, on JAX's default devices."""

    @staticmethod
    def _backend() -> Backend:
        return Backend()
