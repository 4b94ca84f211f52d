"""The table of known issues: what it excuses, and what it never does."""

from collections import Counter
from pathlib import Path

import pytest

from fixtures.checks.catalog import checks
from fixtures.verdict.known_issues import ISSUES, KnownIssue, UnknownIssue, issue, judge

ROOT = Path(__file__).resolve().parents[2]
RACE = KnownIssue(
    id="F07",
    check="suites/client/test_race.py::test_race",
    first="3.9.0",
    last="3.17.2",
    link="https://example.org/1",
    reason="The loser of a race logs to Default.",
    symptom=r"run \w+ .*experiment 0",
)
SEEN = "run 3f of the loser: expected experiment 7, seen experiment 0"


def test_the_symptom_in_range_is_excused():
    """Listed with its link, no finding."""
    reason = "F07: The loser of a race logs to Default. https://example.org/1"
    assert judge(RACE, SEEN, "3.10.1") == ("known-issue", reason)


@pytest.mark.parametrize("version", ["3.8.9", "3.18.0", "3.18.0rc1", "", "unknown"])
def test_outside_of_the_range_either_outcome_is_unsure(version):
    """A newer MLflow may have mended it; the operator's verdict does not depend on our table."""
    for finding, status in ((SEEN, "known-issue"), (None, "pass")):
        found, reason = judge(RACE, finding, version)
        assert (found, "not yet verified for MLflow" in reason) == (status, True)


def test_another_finding_counts():
    """Only the symptom is excused, not the check."""
    assert judge(RACE, "connection refused", "3.17.2")[0] == "fail"


def test_a_pass_is_noted():
    """Somebody may strike the entry."""
    assert judge(RACE, None, "3.17.2") == ("pass", "known issue F07 not seen")


def test_unknown_ids_are_refused_with_the_known_ones():
    """A typing error would excuse nothing, silently."""
    assert issue("F07", [RACE]) is RACE
    with pytest.raises(UnknownIssue, match=r"known_issue\('F99'\): .*known_issues.py; it has F07"):
        issue("F99", [RACE])


def test_every_entry_has_its_check_and_its_mark():
    """An entry that matches nothing is an error, and so is a mark without an entry."""
    marked = {c.known_issue: c.id for c in checks(ROOT) if c.known_issue is not None}
    assert {e.id: e.check for e in ISSUES} == marked


def test_every_id_is_there_once():
    """The first of two would win."""
    assert [i for i, n in Counter(e.id for e in ISSUES).items() if n > 1] == []
