"""A share of `bench.attack`'s cases; `python -m bench.attack` runs them all."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

attack = pytest.importorskip("bench.attack", reason="needs Unix")

SHARE = 8


@pytest.mark.slow
@pytest.mark.parametrize("group", attack.GROUPS, ids=lambda group: group.__name__)
def test_attack(group):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(attack.run, list(group())[::SHARE]))
    assert not [(outcome.case.name, outcome.wrong) for outcome in outcomes if outcome.wrong]


def test_there_are_enough_cases_and_each_has_a_name():
    names = [(case.group, case.name) for group in attack.GROUPS for case in group()]
    assert len(names) == len(set(names)) >= 250
    assert {group.__name__ for group in attack.GROUPS} >= {group for group, _ in names}


def test_what_is_wrong_is_found(tmp_path):
    """Cases that must fail, so that those that pass mean something."""
    write = attack.partial(attack.write, name="a.wav")
    for case, word in (
        (attack.Case("x", "shorter than expected", write, ("a.wav",), 0, 27_001), "frames"),
        (attack.Case("x", "a status", write, ("a.wav",), 1, 27_000), "status 0, expected 1"),
        (attack.Case("x", "no output", write, ("a.wav",), 0, 3, 0, "b.wav"), "no output"),
    ):
        assert word in attack.run(case).wrong
