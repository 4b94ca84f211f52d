"""The order of the tests: each xdist worker begins with what takes long, and the unit tests fill the end.

`--dist worksteal` cuts the list in equal parts, one a worker; who has done its part takes from the end of another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

# Of one test, about, on a quiet machine; a wrong number costs time and nothing else.
SECONDS = {
    "tests/live/test_kill.py": 10,
    "tests/live/test_neighbour.py": 25,
    "tests/live/test_budgets.py": 7,
    "tests/live/test_artifact_roots.py": 6,
    "tests/live/test_causes.py": 12,
    "tests/live/test_idle_connections.py": 35,
    "tests/live/test_stored_data.py": 12,
    "tests/live/test_waivers.py": 7,
    "tests/live/test_kept_connections.py": 15,
    "tests/live/test_odd_servers.py": 12,
    "tests/live/test_odd_stores.py": 12,
    "tests/live/test_pooler.py": 12,
    "tests/live/test_shared_host.py": 40,
    "tests/live/test_user_stores.py": 25,
    "tests/lifecycle/test_action.py": 6,
    "tests/lifecycle/test_targets.py": 7,
    "tests/lifecycle/test_recovery.py": 6,
    "tests/lifecycle/test_team_checks.py": 6,
    "tests/lifecycle/test_compare_endings.py": 15,
    "tests/lifecycle/test_endings.py": 9,
    "tests/lifecycle/test_exit_codes.py": 5,
    "tests/lifecycle/test_fleet.py": 8,
    "tests/lifecycle/test_rehearse_endings.py": 6,
    "tests/lifecycle/test_isolation.py": 12,
    "tests/lifecycle/test_workflow_github.py": 8,
    "tests/sabotage/test_baseline_gates.py": 9,
    "tests/sabotage/test_compare_lanes.py": 6,
    "tests/sabotage/test_rehearsed_upgrades.py": 12,
    "tests/sabotage/test_sabotages.py": 7,
    "tests/sabotage/test_slow_server.py": 250,
}
USUAL, UNIT = 1.5, 0.04


class Test(Protocol):
    """What is asked of a pytest.Item."""

    @property
    def nodeid(self) -> str: ...


T = TypeVar("T", bound=Test)


def estimate_seconds(test: Test) -> float:
    """How long the test takes, about."""
    return UNIT if is_unit_test(test) else SECONDS.get(test.nodeid.partition("::")[0], USUAL)


def is_unit_test(test: Test) -> bool:
    return test.nodeid.startswith("tests/unit/")


def order_for_workers(groups: Sequence[Sequence[T]], workers: int) -> list[T]:
    """The tests of all groups, the parts of all workers one behind the other.

    Args:
        groups: tests that one worker should run, since they share what is dear to make.
    """
    small = [test for group in groups for test in group if is_unit_test(test)]
    large = [group for group in groups if not any(map(is_unit_test, group))]
    parts: list[list[T]] = [[] for _ in range(workers)]
    taken = [0.0] * workers
    for group in sorted(large, key=lambda group: -sum(map(estimate_seconds, group))):
        least = taken.index(min(taken))
        parts[least] += group
        taken[least] += sum(map(estimate_seconds, group))
    rest = sum(map(len, groups))
    found: list[T] = []
    for number, part in enumerate(parts):
        size = rest // (workers - number)
        missing = max(0, size - len(part))
        found += [*part, *small[:missing]]
        small, rest = small[missing:], rest - size
    return found + small
