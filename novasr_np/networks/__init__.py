"""The registry: which networks there are, and which one a set of weights is for.

Networks of finite context, which `blocks` cuts exactly; and those that hear windows.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import WeightsError
from . import airband, flashsr, novasr, speechsr
from .record import Network, Windowed

NETWORKS: dict[str, Network] = {
    network.name: network for network in (novasr.NETWORK, *speechsr.NETWORKS, *airband.NETWORKS)
}
WINDOWED: dict[str, Windowed] = {network.name: network for network in (flashsr.NETWORK,)}

__all__ = ["NETWORKS", "WINDOWED", "Network", "Windowed", "find", "windowed", "windowed_at"]


def windowed(parts: Iterable[str]) -> Windowed | None:
    """The network of windows whose tree of weights has these parts, or None."""
    parts = set(parts)
    return next((network for network in WINDOWED.values() if parts == network.parts), None)


def windowed_at(path: Path) -> Windowed | None:
    """The network of windows whose weights are in that file or folder, or None."""
    return next((network for network in WINDOWED.values() if network.holds(path)), None)


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
