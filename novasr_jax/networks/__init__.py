"""The registry: the networks of `novasr_np.networks` that run in JAX."""

from . import airband, flashsr, novasr, speechsr
from .record import Network, Windowed

NETWORKS: dict[str, Network] = {
    network.name: network for network in (novasr.NETWORK, *speechsr.NETWORKS, *airband.NETWORKS)
}
WINDOWED: dict[str, Windowed] = {network.name: network for network in (flashsr.NETWORK,)}

__all__ = ["NETWORKS", "WINDOWED", "Network", "Windowed"]
