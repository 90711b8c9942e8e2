"""The registry: which networks there are, and which one a set of weights is for."""

from collections.abc import Iterable, Mapping

from ..errors import WeightsError
from . import airband, novasr, speechsr
from .record import Network

NETWORKS: dict[str, Network] = {
    network.name: network for network in (novasr.NETWORK, *speechsr.NETWORKS, *airband.NETWORKS)
}

__all__ = ["NETWORKS", "Network", "find"]


def find(
    names: Iterable[str], metadata: Mapping[str, str] | None = None, sha256: str = ""
) -> Network:
    """The network that tensors of these names are for.

    Metadata with the key ``model`` decides, or the hash of a published checkpoint; without them,
    the table that has most of the names, ours or the original's, and among equals the first.
    Whether the tensors are all there is not looked at.

    Raises WeightsError if the metadata name a network that is not here.
    """
    if model := (metadata or {}).get("model"):
        if model not in NETWORKS:
            raise WeightsError(f"weights of {model!r}; expected {', '.join(NETWORKS)}")
        return NETWORKS[model]
    for network in NETWORKS.values():
        if sha256 in network.published:
            return network
    names = set(names)

    def in_common(network: Network) -> int:
        return max(
            len(names & table.keys()) for table in (network.tensors, network.upstream_tensors)
        )

    return max(NETWORKS.values(), key=in_common)
