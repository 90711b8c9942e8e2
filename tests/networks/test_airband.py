"""airband against the oracle, and what its design promises."""

import numpy as np
import oracle
import pytest
from conftest import check, random_params

from novasr_np.networks import NETWORKS
from novasr_np.networks.airband import model, spec

BOTH = pytest.mark.parametrize("variant", spec.VARIANTS, ids=lambda variant: variant.name)


def as_lists(tree):
    return {k: as_lists(v) for k, v in tree.items()} if isinstance(tree, dict) else tree.tolist()


@BOTH
def test_oracle_agrees(variant):
    params = random_params(0, NETWORKS[variant.name])
    x = np.random.default_rng(0).uniform(-1, 1, 160)
    want = oracle.airband(as_lists(params), x.tolist(), variant.ahead, first=1000)
    check(model.forward(params, x, variant, start=80_000), want, 1e-12)
