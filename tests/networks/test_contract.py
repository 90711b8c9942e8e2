"""The contract, for every network of the registry."""

import contract
import pytest

from novasr_np import WeightsError
from novasr_np.networks import find


@contract.each_network()
@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_keeps(network, check):
    check(network)


@contract.each_network()
def test_weights_find_their_network(network, tmp_path):
    contract.weights_find_their_network(network, tmp_path)


def test_weights_of_a_network_that_is_not_here():
    with pytest.raises(WeightsError, match=r"model must be one of NovaSR.*, got 'SomethingElse'"):
        find([], {"model": "SomethingElse"})
