"""The registry of networks, and the search for the one that a set of weights is for."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import WeightsError
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

__all__ = ["NETWORKS", "Network", "called", "find", "stored_at"]


def find(
    names: Iterable[str], metadata: Mapping[str, str] | None = None, sha256: str = ""
) -> Network:
    """Find the network that tensors of these names are for.

    Metadata with the key ``model`` decide, or the hash of a published checkpoint; without these,
    the table with the most names in common, ours or the original's, the first of equals. Whether
    all tensors are present is not checked.

    Raises WeightsError if the metadata name an unknown network.
    """
    if model := (metadata or {}).get("model"):
        if model not in NETWORKS:
            raise WeightsError(f"model must be one of {', '.join(NETWORKS)}, got {model!r}")
        return NETWORKS[model]
    names = set(names)
    roots = {name.partition(".")[0] for name in names}
    for network in NETWORKS.values():
        store = network.weights.store
        if sha256 in network.weights.published or (store and store.has_parts(roots)):
            return network

    def in_common(network: Network) -> int:
        tables = network.weights.tensors, network.weights.upstream
        return max(len(names & table.keys()) for table in tables)

    return max(NETWORKS.values(), key=in_common)


def stored_at(path: Path) -> Network | None:
    """Find the network whose `Store` has weights at a path, or None."""
    stores = ((network, network.weights.store) for network in NETWORKS.values())
    return next((network for network, store in stores if store and store.holds(path)), None)


def called(name: str) -> Network | None:
    """Find a network by its name in any case; the part after a hyphen may be left out."""
    name = name.casefold()
    names = {network.name.casefold(): network for network in NETWORKS.values()}
    families = {full.partition("-")[0]: names[full] for full in reversed(names)}
    return names.get(name) or families.get(name)
