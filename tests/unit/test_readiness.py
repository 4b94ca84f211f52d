"""The rules of the verdict, with plain data."""

import pytest

from fixtures.verdict.records import CheckRecord, Phase, Raised, Status
from fixtures.verdict.verdict import (
    area_of_check,
    classify_phase,
    merge_cases,
    reach_verdict,
    record_case,
    strip_parameters,
)


def record(status, name="a", **more):
    return CheckRecord(id=f"suites/health/test_x.py::test_{name}", area="health", status=Status(status), **more)


def judged(*records, **more):
    given = {"total_default": len(records), "selected": len(records), "doors": ("sql", "s3")} | more
    return reach_verdict(records, **given)


def phase(when, status=None, **more):
    proven = ("api",) if when == "call" else ()
    return Phase(when, status and Status(status), proven=proven, seconds=1.0, **more)


@pytest.mark.parametrize(
    ("when", "raised", "status"),
    [
        ("call", Raised.FINDING, "fail"),
        ("call", Raised.REFUSAL, "fail"),
        ("setup", Raised.REFUSAL, "fail"),
        ("call", Raised.LATE, "not-checked"),
        ("call", Raised.DEADLINE, "not-checked"),
        ("call", Raised.NOT_PROVEN, "not-checked"),
        ("call", Raised.BROKEN, "not-checked"),
        ("call", Raised.UNEXPECTED, "not-checked"),
        ("setup", Raised.OUT_OF_SCOPE, "out-of-scope"),
        ("setup", Raised.LOST_CAPABILITY, "not-checked"),
        ("call", Raised.UNTYPED_SKIP, "not-checked"),
        ("teardown", Raised.REFUSAL, "not-checked"),
        ("teardown", Raised.LATE, "not-checked"),
        ("teardown", Raised.FINDING, "fail"),
    ],
)
def test_what_was_raised_becomes_a_status(when, raised, status):
    """Only what the server did is a finding; what we could not find out is not checked."""
    found, reason = classify_phase(when, raised, "Error", "why")
    assert found == status
    assert ("why" in reason) is (status != "fail")


def test_setup_and_teardown_that_go_well_say_nothing():
    """Only a call that passed proves the claim."""
    assert classify_phase("setup", None) == (None, "")
    assert classify_phase("call", None) == (Status.PASS, "")
    assert classify_phase("call", Raised.UNEXPECTED, "OSError") == (
        Status.NOT_CHECKED,
        "unexpected OSError: no message",
    )


def test_teardown_never_hides_the_call():
    """A finding stays a finding when its tear-down fails too."""
    after = phase("teardown", "not-checked", reason="tear-down failed: X")
    found = record_case("suites/a/t.py::t", "", [phase("setup"), phase("call", "fail", what="w"), after])
    assert (found.status, found.what, found.notes) == (Status.FAIL, "w", ("tear-down failed: X",))


def test_teardown_failure_after_a_pass_is_owed():
    """A check that could not clean up may have disturbed others."""
    after = phase("teardown", "not-checked", reason="tear-down failed: X")
    found = record_case("suites/a/t.py::t", "", [phase("setup"), phase("call", "pass"), after])
    assert (found.status, found.reason, found.proven) == (Status.NOT_CHECKED, "tear-down failed: X", "")


def test_time_is_setup_and_call():
    """The clean-up is not the server's time."""
    found = record_case("suites/a/t.py::t", "", [phase("setup"), phase("call", "pass"), phase("teardown")])
    assert (found.seconds, found.proven, found.phase) == (2.0, "api", "")


def test_a_case_without_its_call_has_no_end():
    """A set-up alone says nothing."""
    assert record_case("suites/a/t.py::t", "", [phase("setup")]) is None


@pytest.mark.parametrize(
    ("statuses", "merged"),
    [
        (("pass", "out-of-scope"), "pass"),
        (("pass", "known-issue"), "known-issue"),
        (("known-issue", "not-checked"), "not-checked"),
        (("not-checked", "fail", "pass"), "fail"),
        (("out-of-scope", "out-of-scope"), "out-of-scope"),
    ],
)
def test_the_worst_case_counts(statuses, merged):
    """Parametrised cases are one check."""
    assert merge_cases([record(s) for s in statuses]).status == merged


def test_merging_keeps_what_the_other_cases_said():
    """The first of the worst speaks; its fellows are named, with their facts."""
    first = record("fail", what="n 2", expected="1", seen="2", cases=("2",), seconds=1, proven="api")
    second = record("fail", what="n 3", expected="1", seen="3", cases=("3",), seconds=2, proven="api+sql")
    found = merge_cases([record("pass", proven="api+sql", seconds=1), first, second])
    assert (found.seen, found.cases, found.seconds, found.proven) == ("2", ("2", "3"), 4, "api")
    assert found.notes == ("fail [3]: n 3: expected 1, seen 3",)


def test_ids_and_areas_come_from_node_ids():
    """Parameters may hold any character; xdist may add a group."""
    assert strip_parameters("suites/ui/test_x.py::test_y[a::b[c]]@g") == "suites/ui/test_x.py::test_y"
    assert strip_parameters("suites/ui/test_x.py::test_y@g") == "suites/ui/test_x.py::test_y"
    assert (area_of_check("suites/ui/test_x.py::test_y"), area_of_check("suites/test_x.py::test_y")) == ("ui", "")


LADDER = [
    ("internal_error", 3),
    ("usage", 4),
    ("interrupted", 2),
    ("start_failure", 7),
]


@pytest.mark.parametrize("place", range(len(LADDER)))
def test_of_several_endings_the_first_wins(place):
    """3, 4, 2, 7 before anything that the records say."""
    given = {name: "why" for name, _ in LADDER[place:]}
    assert judged(record("fail"), **given).code == LADDER[place][1]


def test_a_finding_outweighs_what_is_owed():
    """1 before 6, and the line says both."""
    found = judged(record("fail"), record("not-checked", "b"), record("pass", "c"))
    assert found.code == 1
    assert found.line.startswith("NOT READY: 1 cause, 1 check; 1 of 3 required checks could not be made (")


def test_one_owed_check_is_not_proven():
    """The line says how many, and the first reason."""
    found = judged(record("pass"), record("not-checked", "b", reason="no answer\nlog"))
    assert (found.code, found.word) == (6, "NOT PROVEN")
    assert found.line.startswith("NOT PROVEN: 1 of 2 required checks could not be made: no answer (all 2 checks")


@pytest.mark.parametrize(
    ("records", "more", "code"),
    [
        ((), {}, 5),
        ((), {"hindrance": "suites/x: no import"}, 6),
        ((record("out-of-scope", lacks=("sql",)),), {}, 6),
        ((record("pass"), record("out-of-scope", "b", lacks=("sql",))), {}, 0),
        ((record("pass"), record("known-issue", "b")), {}, 0),
        ((record("known-issue"),), {}, 0),
    ],
)
def test_what_the_records_say(records, more, code):
    """Known issues and closed doors never change the verdict; nothing made is nothing proven."""
    assert judged(*records, **more).code == code


def test_scope_of_a_black_box():
    """What was never declared is said, not held against the server."""
    closed = [record("out-of-scope", str(n), lacks=(("sql", "s3")[n % 2],)) for n in range(19)]
    found = judged(record("pass"), *closed, doors=())
    assert found.line == "READY (black box; 19 checks left out: no access to s3, sql was configured)"


def test_what_is_no_door_is_named_apart():
    """A schema revision that we do not know is nothing that somebody could configure."""
    closed = [record("out-of-scope", "s", lacks=("schema-head",)), record("out-of-scope", "d", lacks=("sql",))]
    doors = "1 check left out: no access to sql was configured"
    found = judged(record("pass"), *closed, doors=("s3",))
    assert found.line == f"READY ({doors}; 1 check left out for other reasons: schema-head)"


def test_scope_of_a_subset():
    """A selection never reads like the whole."""
    assert judged(record("pass"), selected=9, total_default=58).line == "READY (subset: 9 of 58)"


def test_scope_of_a_rehearsal():
    """A stack of ours says nothing about the operator's deployment; scopes combine."""
    found = judged(record("pass"), total_default=3, selected=1, ours=True, backend="embedded", mlflow_version="3.17.2")
    rehearsal = "rehearsal of MLflow 3.17.2 on the embedded stack, not your deployment"
    assert found.line == f"READY (subset: 1 of 3; {rehearsal})"


def test_scope_of_the_whole():
    """A verdict always has its scope."""
    assert judged(record("pass")).line == "READY (all 1 check, through api, s3, sql)"


def test_interruption_says_how_far_it_came():
    """A half-made run is no verdict, but what it found is not lost."""
    found = judged(record("fail"), record("not-checked", "b"), interrupted="SIGTERM")
    assert found.line == "NOT PROVEN: interrupted (SIGTERM): 1 of 2 checks made, 1 finding"


def test_a_failed_start_is_one_line():
    """The log's tail stands elsewhere."""
    assert judged(start_failure="no answer from X\nlog line").line == "NOT PROVEN: no answer from X"
