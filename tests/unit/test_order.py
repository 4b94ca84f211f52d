"""The order of the tests: nothing is lost, groups stay whole, and the workers have about the same to do."""

from dataclasses import dataclass

import pytest

from fixtures.core.files import ROOT
from tests.order import SECONDS, estimate_seconds, is_unit_test, order_for_workers


@dataclass(frozen=True)
class Named:
    nodeid: str


def named(file, number):
    return [Named(f"tests/{file}::test_{n}") for n in range(number)]


GROUPS = [
    named("live/test_kill.py", 6),
    *([test] for test in named("sabotage/test_sabotages.py", 37)),
    *([test] for test in named("lifecycle/test_exit_codes.py", 40)),
    *([test] for test in named("unit/test_a.py", 900)),
    named("unit/test_b.py", 100),
]


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
def test_each_worker_has_its_share_of_what_takes_long(workers):
    found = order_for_workers(GROUPS, workers)
    assert sorted(found, key=str) == sorted((test for group in GROUPS for test in group), key=str)
    parts, rest = [], found
    for number in range(workers):  # as xdist cuts them
        size = len(rest) // (workers - number)
        parts, rest = [*parts, rest[:size]], rest[size:]
    large = [[test for test in part if not is_unit_test(test)] for part in parts]
    assert all(part[: len(most)] == most for part, most in zip(parts, large, strict=True))
    seconds = [sum(map(estimate_seconds, most)) for most in large]
    assert max(seconds) - min(seconds) <= sum(map(estimate_seconds, GROUPS[0]))
    assert len({number for number, most in enumerate(large) for test in GROUPS[0] if test in most}) == 1


def test_few_tests_are_all_run():
    few = [named("live/test_kill.py", 3), named("unit/test_a.py", 1)]
    assert sorted(order_for_workers(few, 4), key=str) == sorted([*few[0], *few[1]], key=str)


@pytest.mark.parametrize("file", SECONDS)
def test_the_files_exist(file):
    assert (ROOT / file).is_file()
