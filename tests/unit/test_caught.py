"""The judge of sabotages: what it takes for one to count as caught."""

import pytest

from tests.sabotage.harness import Outcome, Sabotage, caught, raid

CHECK, OTHER = "suites/client/test_a.py::test_a", "suites/client/test_a.py::test_b"
RAID = raid(
    "lost", Sabotage("lost", {"client/test_a.py::test_a": "metric loss of run"}), beside="client/test_a.py::test_b"
)
EMPTY = dict.fromkeys(("reason", "what", "expected", "seen", "remedy", "phase"), "") | {"notes": []}
FOUND = EMPTY | {"id": CHECK, "status": "fail", "phase": "call", "what": "metric loss of run 3", "expected": "1"}
GREEN = EMPTY | {"id": OTHER, "status": "pass"}


def outcome(*checks, code=1, word="NOT READY", untold=()):
    return Outcome(code, {"checks": list(checks), "verdict": {"word": word}}, "its last lines", list(untold))


def test_the_right_finding_in_the_call_phase_counts():
    """And whatever lies beside is green."""
    caught(RAID, outcome(FOUND, GREEN))


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (outcome(FOUND | {"status": "pass"}, GREEN, code=0, word="READY"), "missed"),
        (outcome(FOUND | {"phase": "setup"}, GREEN), "missed"),
        (outcome(FOUND | {"status": "not-checked"}, GREEN), "missed"),
        (outcome(FOUND | {"what": "something"}, GREEN), "missed"),
        (outcome(GREEN), "was not run"),
        (outcome(FOUND, GREEN | {"status": "fail"}), "false alarm"),
        (outcome(FOUND, GREEN | {"status": "not-checked"}), "false alarm"),
        (outcome(FOUND, GREEN, untold=["lie"]), "never told: lie"),
        (outcome(FOUND, GREEN, code=6), "its last lines"),
        (outcome(FOUND, GREEN, word="READY"), "its last lines"),
    ],
)
def test_anything_less_does_not(seen, why):
    """A pass, another phase, other words, a false alarm, a lie that nobody heard, another verdict."""
    with pytest.raises(AssertionError, match=why):
        caught(RAID, seen)
