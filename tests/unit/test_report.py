"""The report's plugin on a tiny suite, in runs of their own, alone and with two workers."""

import gzip
import json

import pytest

from fixtures.core.figures import Figure, Series
from fixtures.report.markdown import render_markdown
from fixtures.report.report import Leftover, Report, Scope, Spent, Timings, read_report, to_json
from fixtures.report.sections import group_by_reason, make_page
from fixtures.report.terminal import TERMINAL_WIDTH, render_terminal
from fixtures.report.writers import WRITERS, clear_files, write_files
from fixtures.verdict.records import CheckRecord, Status
from fixtures.verdict.verdict import Verdict
from tests.unit.report_project import DEMAND, SUITE, Project

EXPECTED = {
    "passes": "pass",
    "finding": "fail",
    "refused_in_setup": "fail",
    "not_proven": "not-checked",
    "broken": "not-checked",
    "bare_skip": "not-checked",
    "xfail": "fail",
    "no_door": "out-of-scope",
    "lost": "not-checked",
    "many": "fail",
    "tear_down": "not-checked",
    "race": "known-issue",
    "no_race": "pass",
    "no_such_issue": "not-checked",
}
ALONE, WORKERS = (), ("-n", "2")
both = pytest.mark.parametrize("way", [ALONE, WORKERS], ids=["alone", "n2"])


@pytest.fixture
def project(tmp_path):
    return lambda suite: Project(tmp_path, suite)


@pytest.fixture(scope="module", params=[ALONE, WORKERS], ids=["alone", "n2"])
def whole(request, tmp_path_factory):
    """One run of the whole sample: project, exit code, output."""
    made = Project(tmp_path_factory.mktemp("whole"), SUITE)
    return made, *made.run("suites/client", *request.param)


def checks_of(whole):
    return {c["id"].rpartition("::test_")[2]: c for c in whole[0].report()["checks"]}


def test_every_kind_of_end_has_its_status(whole):
    """Skips without a type and xfail marks excuse nothing; the code is that of NOT READY."""
    assert whole[0].statuses() == EXPECTED
    assert whole[1] == whole[0].report()["verdict"]["code"] == 1


def test_a_finding_carries_what_a_reader_needs(whole):
    """Object, expected, seen, what to do, why."""
    found = checks_of(whole)["finding"]
    words = ("what", "expected", "seen", "remedy", "sentence", "proven", "phase")
    assert [found[w] for w in words] == [
        "metric loss of run 3f2a", "2", "***", "read the server's log.", "A metric is stored as sent.", "api", "call",
    ]  # fmt: skip
    assert checks_of(whole)["refused_in_setup"]["phase"] == "setup"


def test_proof_notes_and_cases_reach_the_record(whole):
    """Also from a worker."""
    found = checks_of(whole)
    assert (found["passes"]["proven"], found["passes"]["notes"]) == ("api+sql", ["took 3 tries, ***"])
    assert found["many"]["cases"] == ["2", "3"]


def test_known_issues_are_listed_not_counted(whole):
    """With reason and link; an entry that is not there is a broken check."""
    found = checks_of(whole)
    assert found["race"]["reason"] == "F07: A race. https://example.org/1"
    assert found["no_race"]["notes"] == ["known issue F08 not seen"]
    assert "it has F07, F08" in found["no_such_issue"]["reason"]


def test_the_run_is_described(whole):
    """Tear-down is timed before the report is written; what was not selected is named."""
    report = whole[0].report()
    assert (report["schema_version"], report["timings"]["tear-down"]) == (1, 1.5)
    assert report["deselected"] == {
        "suites/benchmark/test_benchmark.py::test_fast": "only on demand: pytest suites/benchmark"
    }
    assert report["scope"] == {"selected": 14, "total": 14, "doors": ["sql", "s3"], "out_of_scope": {"sql": 1}}


def test_no_secret_is_written_or_shown(whole):
    """Known ones and those in URIs; statuses survive a password "pass"."""
    files = {p.name: p.read_bytes() for p in (whole[0].path / "reports").iterdir()}
    files["support.tar.gz"] = gzip.decompress(files["support.tar.gz"])
    texts = [whole[2], *(content.decode() for content in files.values())]
    assert len(texts) == 8, "terminal, JSON, Markdown, HTML, JUnit, SARIF, badge, support and nothing left aside"
    assert not [t for t in texts if "hunter2" in t or "unheard" in t]


def test_a_finding_is_shown_once_and_the_verdict_last(whole):
    """No FAILURES section beside ours; only pytest's own count follows the verdict."""
    output = whole[2]
    assert output.count("metric loss of run 3f2a") == 1
    assert "Traceback" not in output
    assert "FAILURES" not in output
    assert output.strip().splitlines()[-2].startswith("NOT READY: 4 causes, 4 checks; 6 of 13 required checks")


def test_junit_has_findings_in_a_few_lines(whole):
    """A CI page shows expected and seen, not our stack."""
    xml = (whole[0].path / "reports" / "junit.xml").read_text()
    assert "metric loss of run 3f2a\n  expected  2\n  seen      ***" in xml
    assert "fixtures/core/outcomes.py" not in xml


def test_a_clean_run_is_ready(project):
    """Code 0, and the scope says that it was a rehearsal."""
    made = project("def test_a():\n    pass\n")
    code, output = made.run()
    assert code == 0
    assert "READY (rehearsal of MLflow 3.17.2 on the embedded stack, not your deployment)" in output


@both
def test_x_is_not_an_interruption(project, way):
    """1 with and without workers; what did not run is owed, with the reason."""
    made = project("".join(f"def test_{n}():\n    assert {n}, 'claim {n}'\n" for n in range(8)))
    code, _ = made.run("suites/client", "-x", *way)
    assert code == 1
    reasons = {c["reason"] for c in made.report()["checks"] if c["status"] == "not-checked"}
    assert reasons == {"the run ended early (-x, --maxfail or an error)"}
    assert len(made.statuses()) == 8


@both
def test_a_failed_start_is_said_once(project, way):
    """Its first line is the verdict's, the log's tail stands above."""
    made = project(SUITE)
    code, output = made.run("suites/client", *way, FAILURE="mlflow: no answer after 30 s\nlast words")
    assert (code, output.count("no answer after 30 s"), output.count("last words")) == (7, 1, 1)
    assert made.report()["verdict"]["line"] == "NOT PROVEN: mlflow: no answer after 30 s"


@both
def test_a_suite_that_does_not_import_is_owed(project, way):
    """Not 2, which means a signal."""
    made = project("import nowhere_to_be_found\ndef test_a():\n    pass\n")
    code, _ = made.run("suites", *way)
    assert (code, made.statuses()["a"]) == (6, "not-checked")
    assert "No module named 'nowhere_to_be_found'" in made.report()["verdict"]["line"]


@both
def test_nothing_selected(project, way):
    """5, with a report all the same."""
    made = project(DEMAND)
    assert made.run("suites/client", "-k", "nothing", *way)[0] == 5
    assert made.report()["verdict"]["line"] == "NOT PROVEN: nothing was selected"


def test_a_signal(project):
    """2 although there is a finding; the verdict says how far it came."""
    made = project("def test_a():\n    assert 0, 'x'\ndef test_b():\n    raise KeyboardInterrupt('SIGTERM')\n")
    assert made.run()[0] == 2
    line = made.report()["verdict"]["line"]
    assert line == "NOT PROVEN: interrupted (SIGTERM): 1 of 2 checks made, 1 finding"


def test_a_worker_that_dies(project):
    """Its check is owed, the others are made."""
    made = project("import os\ndef test_a():\n    os._exit(9)\ndef test_b():\n    pass\n")
    code, _ = made.run("suites/client", *WORKERS)
    assert (code, made.statuses()) == (6, {"a": "not-checked", "b": "pass"})


def test_a_lost_server_is_charged_to_the_check_in_flight(project):
    """A time-out while the server died is a finding, not an unknown answer."""
    made = project("from fixtures.core.outcomes import NotProven\ndef test_a():\n    raise NotProven('late')\n")
    code, _ = made.run(LOST="refused connections after test_a")
    found = made.report()["checks"][0]
    assert (code, found["what"], found["seen"]) == (1, "the server", "refused connections after test_a")


def test_a_tear_down_that_breaks_is_an_internal_error(project):
    """Python's own exit code 1 would read as NOT READY."""
    made = project(DEMAND)
    code, output = made.run(BAD_END="1")
    assert code == 3
    assert "NOT PROVEN: internal error: tear-down: OSError: cannot stop ***" in output


def test_tracebacks_on_demand(project):
    """--tb brings pytest's FAILURES back, redacted."""
    _, output = project(SUITE).run("suites/client", "--tb=short", "-k", "finding")
    assert "FAILURES" in output
    assert "hunter2" not in output


def test_an_older_report_does_not_outlive_its_run(project):
    """A run that is killed must not leave an older READY."""
    made = project("import os\ndef test_a():\n    os._exit(9)\n")
    (made.path / "reports").mkdir()
    (made.path / "reports" / "readiness.json").write_text("{}")
    made.run()
    assert not (made.path / "reports" / "readiness.json").exists()


def test_other_runs_keep_their_codes(project):
    """Without a run there is no report and no verdict."""
    made = project(SUITE)
    code, output = made.run("suites/client", "-k", "bare_skip", NO_RUN="1")
    assert (code, " readiness ==" in output, (made.path / "reports").exists()) == (0, False, False)


def test_the_terminal_fits_its_width(whole):
    """Only the verdict's line may be longer."""
    shown = render_terminal(read_report(whole[0].text()), where="reports")
    lines = ["".join(piece for piece, _ in line) for line in shown]
    assert max(map(len, lines[:-1])) <= TERMINAL_WIDTH


def test_markdown_says_the_same(whole):
    """One row a check, every finding, and text that becomes no markup."""
    page = render_markdown(make_page(read_report(whole[0].text())))
    assert page.startswith("# NOT READY\n")
    assert page.count("\n| client |") == len(EXPECTED)
    assert page.count("\n- **Remedy:**") == 2
    assert page.count("\n- **What:**") == list(EXPECTED.values()).count("fail")


FIELDS = {
    "": "schema_version verdict run started finished stack header failure scope counts timings checks figures"
    " deselected residue spent advices requests causes waived waivers unmade machine",
    "verdict": "word line code",
    "stack": "backend ours mlflow database object_store public_urls versions capabilities facts differs workers"
    " pool logs",
    "scope": "selected total doors out_of_scope",
    "counts": "fail not-checked waived known-issue pass out-of-scope",
    "timings": "provision collect tear-down suites steps total",
    "checks": "id area status sentence proven what expected seen remedy seconds reason notes cases phase lacks symptom"
    " answer cause_id cause requests severity",
}


def test_programs_find_the_fields_that_they_know(whole):
    """The documented fields of schema 1, each with its type; a canary was not timed here."""
    report = whole[0].report()
    for place, names in FIELDS.items():
        part = report[place] if place else report
        for one in part if isinstance(part, list) else [part]:
            assert set(one) == set(names.split()), place
    types = [type(report[name]) for name in ("run", "header", "figures", "residue", "spent")]
    assert types == [str, list, list, type(None), type(None)]


def test_a_report_is_read_back_as_it_was():
    """Also what this sample lacks: a failed start, residue, what was spent, a figure."""
    figure = Figure("one", "growth", "A title", "x", "y", (Series("a", ((1, 2.5),)),))
    left = Leftover(("1",), ("r",), (), 2, 3, ("model m: 500",), None, "gc-abc.sh")
    record = CheckRecord("suites/client/test_a.py::test_a", "client", Status.OUT_OF_SCOPE, lacks=("sql",))
    made = Report(
        Verdict("NOT PROVEN", "NOT PROVEN: no answer", 7), "abc", "2026-01-01T00:00:00+00:00", "later", None, ("a",),
        "no answer", Scope(1, 2, ("sql",), {"s3": 1}), {Status.PASS: 0}, Timings(canary=0.5, tear_down=1.5, total=2.0),
        (record,), (figure,), {"suites/b": "why"}, left, Spent(3, 4),
    )  # fmt: skip
    plain = to_json(made)
    assert read_report(json.dumps(plain)) == made
    assert list(plain["timings"]) == ["canary", "tear-down", "suites", "steps", "total"]
    left_over = "experiments runs logged_models models objects left gc script"
    assert set(plain["residue"]) == set(left_over.split())


def test_the_same_reason_is_said_once():
    """Of a lost server: forty checks, one heading."""
    lost = {"reason": "the server was lost"}
    checks = [CheckRecord(f"suites/a/test_a.py::test_{n}", "a", Status.NOT_CHECKED, **lost) for n in range(6)]
    (card,) = group_by_reason(checks)
    assert (card.number, card.title) == ("NOT CHECKED (6)", "the server was lost")
    assert card.pairs == (("checks", "; ".join(f"a: {n}" for n in range(6))),)


def test_a_new_format_is_written_and_cleared(tmp_path, monkeypatch):
    """One line in the table is enough."""
    monkeypatch.setitem(WRITERS, "readiness.txt", lambda report, folder: (folder / "readiness.txt").write_text("x"))
    for name in WRITERS.keys() - {"readiness.txt"}:
        monkeypatch.setitem(WRITERS, name, lambda report, folder: None)
    write_files(None, tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["readiness.txt"]
    clear_files(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
