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
    names: Iterable[str],
    metadata: Mapping[str, str] | None = None,
    sha256: str = "",
    variant: str | None = None,
) -> Network:
    """Find the network that tensors of these names are for.

    Metadata with the key ``model`` decide, or the hash of a published checkpoint; without these,
    the table with the most names in common, ours or the original's, and among networks with the
    same table of the original's `variant`. Whether all tensors are present is not checked.

    Raises WeightsError if the metadata name an unknown network, or `variant` is needed and is not
    that of one of these networks.
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

    likely = max(NETWORKS.values(), key=in_common)
    if not names & likely.weights.upstream.keys():
        return likely
    alike = [n for n in NETWORKS.values() if n.weights.upstream == likely.weights.upstream]
    for network in alike:
        if len(alike) == 1 or network.weights.variant == variant:
            return network
    variants = " or ".join(str(network.weights.variant) for network in alike)
    raise WeightsError(
        f"{' and '.join(network.name for network in alike)} have the same tensors, and this is no "
        f"published checkpoint: variant must be {variants}, got {variant!r} (`novasr weights "
        "convert` with --variant writes a file that says so)"
    )


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
