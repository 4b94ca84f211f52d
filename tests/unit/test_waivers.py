"""Waivers: what a file may say, and that a waiver hides no other finding."""

import datetime
import tomllib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.core.cause_ids import CauseId
from fixtures.report.ledger import Ledger
from fixtures.report.waiver_files import draft_entries
from fixtures.verdict.causes import Cause, assign_causes, collect_causes, group_waived, name_finding
from fixtures.verdict.records import CheckRecord, Phase, Status
from fixtures.verdict.verdict import reach_verdict
from fixtures.verdict.waivers import Waiver, WaiverBook, WaiverState, judge_waivers, read_waivers
from tests.unit.report_project import CHECK
from tests.unit.report_project import write_entry as entry

OTHER = "suites/client/test_client.py::test_finding"
TODAY = datetime.date(2026, 11, 27)
quick = settings(deadline=None, database=None, derandomize=True, max_examples=150)


def test_an_entry_is_read():
    (found,) = read_waivers(entry(case='"name DESC"', owner='"Ann"'), [CHECK])
    assert found == Waiver(1, datetime.date(2027, 1, 31), "known", "Ann", CHECK, "name DESC")
    assert read_waivers(entry(until='"2027-01-31"'), [CHECK])[0].until == found.until
    (found,) = read_waivers(entry(check=None, cause='"front.body-limit"'), [])
    assert (found.check, found.cause) == ("", CauseId.FRONT_BODY_LIMIT)
    assert read_waivers("", [CHECK]) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[waiver", ("is no TOML",)),
        (entry(until="2027-02-30"), ("is no TOML",)),
        ("[[waivers]]", ("'waivers'", "[[waiver]]")),
        ("waiver = 1", ("[[waiver]]",)),
        ("waiver = [1]", ("[[waiver]]",)),
        (entry(until=None), ("entry 1", CHECK, "no date", "until = 2027-01-31")),
        (entry(until='"soon"'), ("entry 1", "'soon'", "2027-01-31")),
        (entry(until='"2027-13-01"'), ("2027-13-01", "no date")),
        (entry(until="2027-01-31T10:00:00"), ("no date",)),
        (entry(until="20270131"), ("20270131", "no date")),
        (entry(untill="2027-01-31"), ("unknown key 'untill'", "until")),
        (entry(reason=None), ("no reason",)),
        (entry(reason='" "'), ("no reason",)),
        (entry(owner="7"), ("owner is 7", "quotes")),
        (entry(check=None), ("entry 1 names nothing", "check", "cause")),
        (entry(check=None, cause='"front.limit"'), ("entry 1", "unknown cause 'front.limit'", "front.")),
        (entry(check=None, cause='"front.filter"', case='"x"'), ("entry 1", "add check")),
        (entry() + entry(check=f'"{CHECK[:-1]}"'), ("entry 2", "unknown check", f"the nearest is {CHECK}")),
        (entry() + entry(), ("entry 2", "entry 1")),
    ],
)
def test_a_wrong_file_is_one_line(text, words):
    with pytest.raises(ValueError, match=r"\S") as caught:
        read_waivers(text, [CHECK, OTHER])
    assert [word for word in words if word not in str(caught.value)] == []
    assert "\n" not in str(caught.value)


CHECKS, CASES = st.sampled_from(["suites/a/t.py::test_a", "suites/a/t.py::test_b"]), st.sampled_from(["", "x", "y"])
NODES = st.tuples(CHECKS, CASES)
CAUSES = st.sampled_from([None, CauseId.FRONT_FILTER, CauseId.DATABASE_READ_ONLY])
LATE = st.just(Phase("?", Status.NOT_CHECKED, reason="late"))
PARTS = st.lists(st.sampled_from("pq"), unique=True).map(tuple)
FAILED = st.one_of(
    LATE, st.builds(Phase, st.just("?"), st.just(Status.FAIL), cause_id=CAUSES, lost=st.booleans(), cases=PARTS)
)
FINE = st.sampled_from([Phase("?", status) for status in (Status.PASS, Status.KNOWN_ISSUE, Status.OUT_OF_SCOPE)])


@st.composite
def phases_of_a_node(draw):
    """Set-up, call and tear-down, as a run may end."""
    setup = draw(st.one_of(st.just(Phase("setup")), FAILED))
    found = [setup] if setup.status is None else [replace(setup, when="setup")]
    if setup.status is None:
        found.append(replace(draw(st.one_of(FAILED, FINE)), when="call"))
    return [*found, replace(draw(st.one_of(st.just(Phase("teardown")), FAILED)), when="teardown")]


RUNS = st.dictionaries(NODES, phases_of_a_node(), min_size=1)
# By a check with its case, by a cause, by both.
NAMED = st.tuples(CHECKS, st.sampled_from(["", "x", "y", "p", "q", "x/p", "x/q"]))
NAMES = st.one_of(st.tuples(NAMED, CAUSES), st.tuples(st.just(("", "")), CAUSES.filter(lambda cause: cause)))
WAIVERS = st.dictionaries(NAMES, st.integers(-3, 3)).map(
    lambda days: tuple(
        Waiver(number, TODAY + datetime.timedelta(left), "why", "", check, case, cause)
        for number, (((check, case), cause), left) in enumerate(days.items(), 1)
    )
)


def fill_ledger(run, waivers=()):
    """The ledger of such a run."""
    book = WaiverBook(tuple(waivers), TODAY)
    phases = {
        name_finding(*node): [book.waive_phase(phase, node, phase.cause_id) for phase in said]
        for node, said in run.items()
    }
    return Ledger(phases, dict.fromkeys(phases))


def is_accepted(waivers, node, phase):
    """The rule in other words: a cause wherever it shows, or a check's own finding with just this cause."""
    causes = [w.cause for w in waivers if w.until >= TODAY and not w.check]
    checks = [(w.check, w.case, w.cause) for w in waivers if w.until >= TODAY and w.check]
    if phase.lost:
        return False
    check, case = node
    cases = [f"{case}/{part}".removeprefix("/") for part in phase.cases] or [case]
    own = phase.when == "call" and all((check, one, phase.cause_id) in checks for one in cases)
    return phase.cause_id in causes or own


@quick
@given(RUNS, WAIVERS)
def test_a_waiver_hides_no_other_finding(run, waivers):
    """READY means: each finding has an entry of its own that holds, and all else was checked."""
    phases = [(node, phase) for node, said in run.items() for phase in said]
    counts = any(p.status is Status.FAIL and not is_accepted(waivers, node, p) for node, p in phases)
    unchecked = any(p.status is Status.NOT_CHECKED for _, p in phases)
    records = fill_ledger(run, waivers).records([])
    word = reach_verdict(records, total_default=9, selected=len(records)).word
    assert (word == "NOT READY") is counts
    assert word != "READY" or not unchecked
    if not counts and not unchecked:
        asked = any(p.status not in (None, Status.OUT_OF_SCOPE) for _, p in phases)
        assert word == ("READY" if asked else "NOT PROVEN")


@quick
@given(RUNS, WAIVERS)
def test_what_is_not_checked_stays_so(run, waivers):
    """Nor does an entry change anything that it does not name."""
    ledger = fill_ledger(run, waivers)
    for node, said in run.items():
        for before, after in zip(said, ledger.nodes()[node], strict=True):
            named = any(w.check in (node[0], "") and w.cause is before.cause_id for w in waivers)
            assert after == before or (named and before.status is Status.FAIL and not before.lost)


@quick
@given(RUNS, WAIVERS)
def test_an_expired_waiver_hides_nothing(run, waivers):
    expired = tuple(w for w in waivers if w.until < TODAY)
    before, after = fill_ledger(run), fill_ledger(run, expired)
    assert [r.status for r in after.records([])] == [r.status for r in before.records([])]
    uses = judge_waivers(WaiverBook(expired, TODAY), after.nodes(), True)
    assert {use.state for use in uses} <= {WaiverState.EXPIRED}
    holding = [w for w in waivers if w not in expired]
    with_both, alone = fill_ledger(run, waivers), fill_ledger(run, holding)
    assert [r.status for r in with_both.records([])] == [r.status for r in alone.records([])]


def test_what_follows_from_an_accepted_finding_is_accepted():
    """But for what follows from another, and on a server that was lost."""
    book = WaiverBook((Waiver(1, TODAY, "why", cause=CauseId.FRONT_FILTER),), TODAY)
    follower, node = Phase("call", Status.FAIL, follows="suites/a/t.py::test_a"), ("suites/a/t.py::test_b", "")
    waived = {"suites/a/t.py::test_a": (1,)}
    assert book.waive_phase(follower, node, None, waived).status is Status.WAIVED
    assert book.waive_phase(follower, node, None, {"suites/a/t.py::test_c": (1,)}) == follower
    assert book.waive_phase(replace(follower, lost=True), node, None, waived).status is Status.FAIL


def test_of_a_finding_with_several_cases_each_is_accepted_by_itself():
    """A new location is another finding."""
    old, new = (Waiver(n, TODAY, "why", "", CHECK, f"s3://{name}") for n, name in ((1, "old"), (2, "new")))
    phase, node = Phase("call", Status.FAIL, cases=("s3://old", "s3://new")), (CHECK, "")
    found = WaiverBook((old,), TODAY).waive_phase(phase, node)
    assert (found.status, found.cases, found.waivers) == (Status.FAIL, ("s3://new",), (1,))
    assert found.notes == (f"s3://old: accepted until {TODAY}: why",)
    found = WaiverBook((old, new), TODAY).waive_phase(phase, node)
    assert (found.status, found.waivers) == (Status.WAIVED, (1, 2))


def test_a_cause_is_one_waived_finding():
    """What follows is folded under it, apart from the causes that count."""
    cause, other = CauseId.FRONT_FILTER, CauseId.DATABASE_READ_ONLY
    said = [
        CheckRecord(f"suites/a/t.py::test_{name}", "a", Status(status), cause_id=cause_id)
        for name, status, cause_id in (
            *(("a", "waived", cause), ("b", "waived", cause), ("c", "waived", None)),
            *(("d", "fail", other), ("e", "fail", other)),
        )
    ]
    cases, waived = group_waived(assign_causes(said), said)
    assert [(c.id, len(c.checks)) for c in waived] == [(cause, 2), (None, 1)]
    assert [(c.id, len(c.checks)) for c in collect_causes(cases)] == [(other, 2)]
    assert [c.status for c in cases] == [r.status for r in said]
    assert cases[1].cause == cases[0].id


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"x": "fail", "y": "fail"}, "waives"),
        ({"x": "pass", "y": "fail"}, "matches-nothing"),
        ({"x": "not-checked", "y": "fail"}, "not-judged"),
        ({"y": "pass"}, "matches-nothing"),
        ({"y": "not-checked"}, "not-judged"),
        ({"x": None}, "not-judged"),
        ({}, "not-judged"),
    ],
)
def test_what_became_of_an_entry(said, state):
    """What was not looked at is no reason to remove an entry."""
    run = {(CHECK, case): [Phase("call", Status(s))] if s else [] for case, s in said.items()}
    waiver = Waiver(1, TODAY, "why", "", CHECK, "x")
    (use,) = judge_waivers(WaiverBook((waiver,), TODAY), fill_ledger(run, [waiver]).nodes(), False)
    assert use.state == state


@pytest.mark.parametrize(
    ("said", "whole", "state"),
    [
        (Phase("call", Status.FAIL, cause_id=CauseId.FRONT_FILTER), False, "waives"),
        (Phase("call", Status.FAIL), True, "matches-nothing"),
        (Phase("call", Status.PASS), True, "matches-nothing"),
        (Phase("call", Status.PASS), False, "not-judged"),
        (Phase("call", Status.NOT_CHECKED), True, "not-judged"),
    ],
)
def test_what_became_of_a_cause(said, whole, state):
    """A selection of checks may not meet it."""
    waiver = Waiver(1, TODAY, "why", cause=CauseId.FRONT_FILTER)
    ledger = fill_ledger({(CHECK, ""): [said]}, [waiver])
    (use,) = judge_waivers(WaiverBook((waiver,), TODAY), ledger.nodes(), whole)
    assert use.state == state


@pytest.mark.parametrize(("days", "soon"), [(-1, False), (0, True), (14, True), (15, False)])
def test_the_last_day_counts_and_is_announced(days, soon):
    waiver = Waiver(1, TODAY + datetime.timedelta(days), "why", "", CHECK)
    book = WaiverBook((waiver,), TODAY)
    phase = Phase("call", Status.FAIL)
    assert (book.waive_phase(phase, (CHECK, "")).status is Status.WAIVED) is (days >= 0)
    (use,) = judge_waivers(book, {(CHECK, ""): [phase]}, True)
    assert (use.days_left, use.ends_soon) == (days, soon)


@quick
@given(st.text(), st.text(), st.text())
def test_a_draft_needs_date_and_reason_only(case, seen, check):
    record = CheckRecord(check, "a", Status.FAIL, what="w", expected=seen, seen=seen, cases=(case,), phase="call")
    text = "\n".join(draft_entries(Cause(None, check, "", "", checks=(check,)), record))
    (table,) = tomllib.loads(text)["waiver"]
    assert (table["check"], table.get("case", "")) == (check, case)
    if check:
        with pytest.raises(ValueError, match="no reason"):
            read_waivers(text, [check])
        filled = text.replace('reason = ""', 'reason = "why"\nuntil = 2027-01-31')
        assert [(w.check, w.case) for w in read_waivers(filled, [check])] == [(check, case)]


def test_a_draft_names_the_cause_if_it_is_known():
    """One entry for all that fails for it, also in a set-up; a set-up that failed for another reason has none."""
    record = CheckRecord(CHECK, "a", Status.FAIL, what="w", seen="403", phase="setup")
    text = "\n".join(draft_entries(Cause(CauseId.FRONT_FILTER, CHECK, "", "", checks=(CHECK, OTHER)), record))
    assert [(t["cause"], "check" in t) for t in tomllib.loads(text)["waiver"]] == [("front.filter", False)]
    text = "\n".join(draft_entries(Cause(None, CHECK, "", "", checks=(CHECK,)), record))
    assert tomllib.loads(text) == {} and "its setup failed" in text
