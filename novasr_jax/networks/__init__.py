"""The registry: the networks of `novasr_np.networks` that run in JAX."""

from . import airband, novasr, speechsr
from .record import Network

NETWORKS: dict[str, Network] = {
    network.name: network for network in (novasr.NETWORK, *speechsr.NETWORKS, *airband.NETWORKS)
}

__all__ = ["NETWORKS", "Network"]
