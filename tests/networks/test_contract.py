"""The contract, for every network of the registry."""

import contract
import pytest

from novasr_np import WeightsError
from novasr_np.networks import NETWORKS, find


@pytest.fixture
def network(request, monkeypatch):
    """Of this name, in the registry, too, with its shortest windows."""
    short = contract.shortest(NETWORKS[request.param])
    monkeypatch.setitem(NETWORKS, short.name, short)
    return short


@contract.each_network()
@pytest.mark.parametrize("check", contract.OF_ALL, ids=lambda check: check.__name__)
def test_every_network_keeps_that(network, check):
    check(network)


def in_time(name, check):
    """XLA takes long to compile a second variant of SpeechSR: that is for the long run."""
    slow = name == "SpeechSR-24k" and check.__name__.startswith("jax")
    marks = pytest.mark.slow if slow else ()
    return pytest.param(name, check, marks=marks, id=f"{check.__name__}-{name}")


@pytest.mark.parametrize(
    ("network", "check"),
    [in_time(name, check) for check in contract.OF_EXACT for name in contract.EXACT],
    indirect=["network"],
)
def test_every_exact_network_keeps_that(network, check):
    check(network)


@contract.each_network()
def test_weights_find_their_network(network, tmp_path):
    contract.weights_find_their_network(network, tmp_path)


def test_weights_of_a_network_that_is_not_here():
    with pytest.raises(WeightsError, match=r"model must be one of NovaSR.*, got 'SomethingElse'"):
        find([], {"model": "SomethingElse"})
