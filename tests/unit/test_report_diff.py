"""What changed between two reports, and what is no change though it reads differently."""

import json
from dataclasses import replace

import pytest

from fixtures.core.cause_ids import CauseId
from fixtures.core.figures import Figure, Series
from fixtures.report import __main__ as program
from fixtures.report.diff import compare_reports
from fixtures.report.report import Report, Scope, StackFacts, Timings, to_json
from fixtures.verdict.causes import Cause
from fixtures.verdict.records import CheckRecord, Status
from fixtures.verdict.verdict import Verdict

CHECK = "suites/client/test_a.py::test_x"
STACK = StackFacts(
    "external", False, "http://h", None, None, (), {"mlflow": "3.16.0"}, ("sql",), {"speed": "12 ms"}, (), 2, None, {}
)


def make_report(run="r1", status=Status.PASS, causes=(), seen="", stack=STACK, figures=(), canary=1.0):
    check = CheckRecord(CHECK, "client", status, expected="2", seen=seen)
    return Report(
        verdict=Verdict("READY", f"READY of {run}", 0),
        run=run,
        started="2026-11-27T10:00:00+00:00",
        finished="2026-11-27T10:05:00+00:00",
        stack=stack,
        header=(),
        failure=None,
        scope=Scope(1, 1, (), {}),
        counts={one: int(one is status) for one in Status},
        timings=Timings(canary=canary),
        checks=(check,),
        figures=figures,
        deselected={},
        residue=None,
        spent=None,
        requests=100,
        causes=causes,
    )


def make_cause(seen="", id=None, subjects=()):
    return Cause(id, CHECK, "the metric", "mend it", subjects, (), (CHECK,))


def make_failed(run, seen, **more):
    return make_report(run, Status.FAIL, (make_cause(**more),), seen)


def list_kinds(changes):
    return [(change.kind, change.what) for change in changes]


def test_a_report_is_the_same_as_itself():
    found = compare_reports(make_failed("r1", "3"), make_failed("r1", "3"))
    assert not any([found.findings, found.statuses, found.facts, found.figures])


def test_what_each_run_has_anew_is_no_change():
    one = make_failed("r1", f"rdy-r1-x of run {'a' * 32} after 3.1 s")
    two = make_failed("r2", f"rdy-r2-x of run {'b' * 32} after 4 s")
    assert compare_reports(one, two).findings == ()


def test_a_finding_is_new_gone_or_changed():
    healthy, one, other = make_report("r1"), make_failed("r2", "nothing"), make_failed("r3", "another")
    assert [change.kind for change in compare_reports(healthy, one).findings] == ["new"]
    assert [change.kind for change in compare_reports(one, healthy).findings] == ["gone"]
    (changed,) = compare_reports(one, other).findings
    assert changed.kind == "changed" and "was expected N, seen nothing; is expected N, seen another" in changed.what


def test_a_cause_is_the_same_whatever_check_shows_it():
    cause = CauseId.READ_ONLY_DATABASE if hasattr(CauseId, "READ_ONLY_DATABASE") else next(iter(CauseId))
    one, other = make_failed("r1", "3", id=cause), make_failed("r2", "4", id=cause)
    assert compare_reports(one, other).findings == ()
    more = make_failed("r2", "4", id=cause, subjects=("table metrics",))
    assert [change.kind for change in compare_reports(one, more).findings] == ["changed"]


def test_what_was_not_looked_at_is_neither_new_nor_mended_for_sure():
    unseen = make_report("r1", Status.NOT_CHECKED)
    assert "(the old run did not look at it)" in compare_reports(unseen, make_failed("r2", "3")).findings[0].what
    assert "(the new run did not look at it)" in compare_reports(make_failed("r2", "3"), unseen).findings[0].what


def test_a_check_that_is_made_no_more_is_named():
    found = compare_reports(make_report(), make_report(status=Status.OUT_OF_SCOPE))
    assert list_kinds(found.statuses) == [("changed", f"{CHECK}: pass -> out-of-scope")]


def test_facts_of_the_target():
    new = replace(STACK, versions={"mlflow": "3.17.2"}, pool=55, workers=None, facts={"speed": "99 ms"})
    found = compare_reports(make_report(), make_report(stack=new))
    assert list_kinds(found.facts) == [
        ("changed", "version of mlflow: 3.16.0 -> 3.17.2"),
        ("gone", "workers: 2"),
        ("new", "pool: 55"),
    ]


def test_an_own_stack_has_other_ports_each_time():
    one, other = (replace(STACK, ours=True, mlflow=f"http://127.0.0.1:{port}") for port in (5000, 5001))
    assert compare_reports(make_report(stack=one), make_report(stack=other)).facts == ()


@pytest.mark.parametrize(("factor", "told"), [(1.1, 0), (1.5, 1), (0.5, 1)])
def test_figures_are_compared_by_ratio(factor, told):
    def make_figure(times):
        points = tuple((float(n), n * times) for n in (1, 10, 100))
        return Figure("growth", "growth", "Search", "runs", "seconds", (Series("mlflow", points),))

    one, other = make_report(figures=(make_figure(1),)), make_report(figures=(make_figure(factor),))
    changes = compare_reports(one, other).figures
    assert len(changes) == told
    assert all(change.what == f"Search: mlflow: {factor:.2f} times" for change in changes)


@pytest.fixture
def folders(tmp_path):
    """Two report folders: a healthy run, and one with a finding."""
    for name, report in (("old", make_report("r1")), ("new", make_failed("r2", "3"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "readiness.json").write_text(json.dumps(to_json(report)))
    return str(tmp_path / "old"), str(tmp_path / "new")


@pytest.mark.parametrize(("more", "code"), [((), 0), (("--fail-on", "new"), 1), (("--fail-on=new",), 1)])
def test_the_program_for_a_gate(folders, capsys, more, code):
    assert program.main(["diff", *folders, *more]) == code
    out = capsys.readouterr().out
    assert "findings: 1 new\n  new     suites/client/test_a.py::test_x: the metric (1 check)" in out
    assert program.main(["diff", *reversed(folders), *more]) == 0


def test_bad_input_is_one_line(folders, tmp_path, capsys):
    other = tmp_path / "other.json"
    other.write_text('{"schema_version": 2}')
    for argv, words in (
        (["diff", folders[0]], "OLD NEW"),
        (["diff", *folders, "--fail-on", "gone"], "--fail-on new"),
        (["diff", *folders, "--verbose"], "OLD NEW"),
        (["diff", folders[0], str(other)], "schema_version is 2, not 1"),
        (["diff", folders[0], str(tmp_path / "none")], "No such file"),
    ):
        assert program.main(argv) == 4
        said = capsys.readouterr()
        assert words in said.err and said.out == "" and len(said.err.splitlines()) == 1
