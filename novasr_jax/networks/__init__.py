"""The registry: the networks of `novasr_np.networks` in JAX."""

from . import airband, flashsr, novasr, speechsr
from .record import Network

NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        novasr.NETWORK,
        *speechsr.NETWORKS,
        *airband.NETWORKS,
        flashsr.NETWORK,
    )
}

__all__ = ["NETWORKS", "Network"]
