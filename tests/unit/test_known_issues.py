"""The table of known issues: what it excuses, and what it never does."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.version import Version

from fixtures.checks.catalog import list_checks
from fixtures.clients.mlflow_errors import SYMPTOM_PATTERNS, find_common_symptom, find_symptom
from fixtures.core.reasons import Symptom
from fixtures.verdict.issue_rules import UnknownIssue, advise_upgrade, find_issue, judge_known_issue
from fixtures.verdict.known_issues import ISSUES, KnownIssue
from fixtures.verdict.records import CheckRecord, Status

ROOT = Path(__file__).resolve().parents[2]
RACE = KnownIssue(
    id="F07",
    check="suites/client/test_race.py::test_race",
    first="3.9.0",
    last="3.17.2",
    link="https://example.org/1",
    reason="The loser of a race logs to Default.",
    symptom=Symptom.RUN_LANDS_IN_DEFAULT,
    since="3.5.0",
)
SEEN = RACE.symptom
SOURCES = [path.read_text() for room in ("suites", "fixtures") for path in (ROOT / room).rglob("*.py")]


def test_the_symptom_in_range_is_excused():
    """Listed with its link, no finding."""
    reason = "F07: The loser of a race logs to Default. https://example.org/1"
    assert judge_known_issue(RACE, True, SEEN, "3.10.1") == ("known-issue", reason)


@pytest.mark.parametrize("version", ["3.8.9", "3.18.0", "3.18.0rc1", "", "unknown"])
def test_outside_of_the_range_either_outcome_is_unsure(version):
    """A newer MLflow may have mended it; the operator's verdict does not depend on our table."""
    entry = replace(RACE, since=None)
    for found, symptom, status in ((True, SEEN, "known-issue"), (False, None, "pass")):
        became, reason = judge_known_issue(entry, found, symptom, version)
        assert (became, "not yet verified for MLflow" in reason) == (status, True)


def test_another_finding_counts():
    """Only the symptom is excused, not the check."""
    assert judge_known_issue(RACE, True, None, "3.17.2") == ("fail", "not the symptom of known issue F07")


@pytest.mark.parametrize("entry", ISSUES, ids=lambda entry: entry.id)
def test_an_entry_excuses_its_own_symptom_only(entry):
    """On a version on which it was verified; one with another symptom excuses nothing of this check."""
    status = "fail" if entry.harms_data and entry.fixed else "known-issue"
    assert judge_known_issue(entry, True, entry.symptom, entry.last)[0] == status
    other = next(symptom for symptom in Symptom if symptom is not entry.symptom)
    assert judge_known_issue(replace(entry, symptom=other), True, entry.symptom, entry.last)[0] == "fail"


@pytest.mark.parametrize(("version", "status"), [("3.4.2", "fail"), ("3.5.0", "known-issue"), ("3.20.0", "fail")])
def test_before_and_after_the_versions_that_have_it_the_symptom_is_a_finding(version, status):
    """An upgrade is the remedy there."""
    assert judge_known_issue(replace(RACE, fixed="3.20.0"), True, SEEN, version)[0] == status


def test_what_harms_stored_data_and_is_mended_is_a_finding():
    """An operator can mend it; without a version that mends it, it stays known; otherwise it is an advice."""
    harmful = replace(RACE, harms_data=True)
    assert judge_known_issue(harmful, True, SEEN, "3.10.1")[0] == "known-issue"
    status, reason = judge_known_issue(replace(harmful, fixed="3.16.0"), True, SEEN, "3.10.1")
    assert (status, "MLflow 3.16.0 mends it: upgrade" in reason) == ("fail", True)
    assert judge_known_issue(replace(harmful, fixed="3.16.0"), False, None, "3.10.1")[0] == "pass"
    assert judge_known_issue(replace(RACE, fixed="3.16.0"), True, SEEN, "3.10.1")[0] == "known-issue"


def test_every_symptom_is_raised_somewhere_and_stands_in_one_entry():
    """One that nothing carries would excuse nothing."""
    carried = {s for s in Symptom if any(f"Symptom.{s.name}" in text for text in SOURCES if "ISSUES:" not in text)}
    assert sorted(set(Symptom) - carried) == []
    assert sorted(entry.symptom for entry in ISSUES) == sorted(Symptom)


WORDS = {
    Symptom.RUN_LANDS_IN_DEFAULT: "INVALID_PARAMETER_VALUE: The experiment 0 must be in the 'active' state.",
    Symptom.DEADLOCK: "TEMPORARILY_UNAVAILABLE: (psycopg2.errors.DeadlockDetected) deadlock detected",
    Symptom.NAN_NOT_REPEATED: "(raised as a result of Query-invoked autoflush)\n(...UniqueViolation) ... metric_pk",
    Symptom.NUL_IS_500: "INTERNAL_ERROR: A string literal cannot contain NUL (0x00) characters.",
    Symptom.NAN_CLOSES_PAGE: '{"data": {}, "errors": ["Float cannot represent non numeric value: nan"]}',
    Symptom.REGISTRATIONS_COLLIDE: "Model Version creation error (name=m). Giving up after 3 attempts.",
    Symptom.WIDE_NAME_NOT_DOWNLOADED: "Failed to download artifacts from path '日本語.txt', please ensure that it is",
    Symptom.UNTRUSTED_TYPES: "The saved sklearn model references untrusted types ['sklearn.tree._tree.Tree']",
    Symptom.TAGS_COLLIDE: '{"error_code": "BAD_REQUEST", "message": "... UniqueViolation) ... constraint tag_pk',
    Symptom.DATA_SETS_COLLIDE: '{"error_code": "BAD_REQUEST", "message": "... UniqueViolation) ... dataset_pk',
}


@pytest.mark.parametrize("symptom", SYMPTOM_PATTERNS)
def test_what_mlflow_itself_says_is_read_in_one_place(symptom):
    """Each pattern knows its own words, and one other line makes a finding of all."""
    assert find_symptom(WORDS[symptom]) is symptom
    assert find_common_symptom([WORDS[symptom]] * 2) is symptom
    assert find_common_symptom([WORDS[symptom], "no such run"]) is None
    assert find_common_symptom([]) is None


def test_a_pass_is_noted():
    """Somebody may strike the entry."""
    assert judge_known_issue(RACE, False, None, "3.17.2") == ("pass", "known issue F07 not seen")


def test_unknown_ids_are_refused_with_the_known_ones():
    """A typing error would excuse nothing, silently."""
    assert find_issue("F07", [RACE]) is RACE
    with pytest.raises(UnknownIssue, match=r"known_issue\('F99'\): .*known_issues.py; it has F07"):
        find_issue("F99", [RACE])


def test_every_entry_has_its_check_and_its_mark():
    """An entry that matches nothing is an error, and so is a mark without an entry."""
    marked = {c.known_issue: c.id for c in list_checks(ROOT) if c.known_issue is not None}
    assert {e.id: e.check for e in ISSUES} == marked


def test_registrations_that_collide_are_known_by_the_servers_older_words_too():
    """As MLflow 3.1.4 says it; an ASCII name that cannot be downloaded is another matter."""
    words = (
        "This Session's transaction has been rolled back due to a previous exception during flush. Original exception"
    )
    assert (
        find_symptom(f"{words} was: (psycopg2.errors.UniqueViolation) duplicate key") is Symptom.REGISTRATIONS_COLLIDE
    )
    assert find_symptom("Failed to download artifacts from path 'a b.txt', please ensure that the path is") is None


def test_every_id_is_there_once():
    """The first of two would win."""
    assert [i for i, n in Counter(e.id for e in ISSUES).items() if n > 1] == []


def known(issue):
    entry = find_issue(issue)
    return CheckRecord(id=entry.check, area="x", status=Status.KNOWN_ISSUE, symptom=entry.symptom)


def test_what_a_later_version_mends_is_one_advice():
    mended = sorted((e for e in ISSUES if e.fixed), key=lambda e: Version(e.fixed))
    old, new = mended[0], mended[-1]
    advice = advise_upgrade([known(new.id), known(old.id), known("F19")])
    assert advice is not None
    assert advice.what == f"MLflow {new.fixed} mends 2 defects seen here."
    assert all(word in advice.seen for word in (old.id, old.reason, new.id, new.reason))
    assert "F19" not in advice.seen
    assert f"MLflow {new.fixed}" in advice.remedy


def test_without_such_an_issue_there_is_no_advice_to_upgrade():
    entry = next(e for e in ISSUES if e.fixed)
    passed = CheckRecord(id=entry.check, area="x", status=Status.PASS)
    assert advise_upgrade([known("F19"), passed]) is None
