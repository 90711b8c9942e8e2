"""The networks that `bench.speed` times, each with its peers.

A module for each kind of network: `upsamplers` for those whose sound goes in at once, `flashsr`,
`inflect`. A peer is a function from weights to what is timed, in its module's table.
"""

from novasr_np import networks

from . import flashsr, inflect, upsamplers
from .subject import Case, Engine, Subject

__all__ = ["Case", "Engine", "Subject", "find"]


def find(name: str) -> Subject | None:
    """By the registry's name or its beginning, in any case."""
    for subject in (flashsr.SUBJECT, flashsr.SMALL, inflect.SUBJECT):
        if name.casefold() in (subject.name.casefold(), subject.name.casefold().split("-")[0]):
            return subject
    network = networks.called(name)
    return upsamplers.subject(network) if network else None
