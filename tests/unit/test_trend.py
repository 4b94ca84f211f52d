"""Past reports: what is kept, what the trend shows, and what is not joined."""

import json
import time
from dataclasses import replace

import pytest

from fixtures.core.figures import Figure, Series
from fixtures.report.past import keep_report, read_past
from fixtures.report.trend import draw_charts, list_aged, render_trend, write_trend
from fixtures.verdict.records import Status
from tests.unit.test_report_diff import STACK, make_cause, make_report


def make_day(day, status=Status.PASS, machine="m", stack=STACK, points=((1.0, 2.0),), canary=1.0):
    causes = (make_cause(),) if status is Status.FAIL else ()
    figures = (Figure("growth", "growth", "Search", "runs", "seconds", (Series("mlflow", points),)),)
    report = make_report(f"r{day}", status, causes, stack=stack, figures=figures, canary=canary)
    return replace(report, finished=f"2026-11-{day:02}T10:00:00+00:00", machine=machine)


@pytest.fixture
def read_days(tmp_path):
    """read_days(*reports): what is read back of them once they are kept."""

    def keep(*reports):
        for report in reports:
            keep_report(report, tmp_path)
        runs, broken = read_past(tmp_path)
        assert broken == []
        return runs

    return keep


def test_the_age_of_a_finding(read_days):
    fail, ok, unseen = Status.FAIL, Status.PASS, Status.NOT_CHECKED
    days = [make_day(n, status) for n, status in enumerate((fail, ok, fail, unseen, fail), 1)]
    (one,) = list_aged(read_days(*reversed(days)))
    assert (one.since.day, one.runs, one.days) == (3, 2, 2)
    assert list(list_aged(read_days(make_day(6)))) == []


def test_each_target_has_its_own_newest_run(read_days):
    other = replace(STACK, mlflow="http://other")
    runs = read_days(make_day(1, Status.FAIL), make_day(2, Status.PASS, stack=other))
    assert [one.target for one in list_aged(runs)] == ["http://h"]


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({}, 1),
        ({"machine": "another"}, 2),
        ({"stack": replace(STACK, versions={"mlflow": "3.17.2"})}, 2),
        ({"points": ((1.0, 2.0), (2.0, 3.0))}, 2),
    ],
    ids=["alike", "machine", "versions", "points"],
)
def test_values_are_joined_only_if_they_can_be_compared(read_days, changed, lines):
    runs = read_days(make_day(1), make_day(2), make_day(3, **changed), make_day(4, **changed))
    charts = {chart.title: chart for chart in draw_charts(runs)}
    assert set(charts) == {"http://h: canary, seconds", "http://h: Search: mlflow (seconds)"}
    assert len(charts["http://h: Search: mlflow (seconds)"].lines) == lines
    assert all(len(chart.dots) == 4 for chart in charts.values())


def test_a_broken_file_is_named_and_left_out(tmp_path):
    keep_report(make_day(1, Status.FAIL), tmp_path)
    (tmp_path / "readiness-a.json").write_text("{")
    (tmp_path / "readiness-b.json").write_text('{"schema_version": 2}')
    (tmp_path / "readiness-c.json").write_text("[]")
    (tmp_path / "readiness-d.json").write_text('{"schema_version": 1, "stack": null}')
    broken = write_trend(tmp_path, (tmp_path,))
    assert [line.split(" is left out: ")[0] for line in broken] == [f"readiness-{n}.json" for n in "abcd"]
    page = (tmp_path / "trend.html").read_text()
    assert "1 runs" in page and "the metric" in page and "its schema_version is 2, not 1" in page


def test_the_page_escapes_what_others_wrote(read_days):
    evil = make_day(1, Status.FAIL)
    evil = replace(evil, causes=(replace(evil.causes[0], title="<script>x</script>"),))
    assert "<script>" not in render_trend(read_days(evil), ["<b>"])


def test_a_thousand_reports_take_less_than_five_seconds(tmp_path):
    report = make_day(1, Status.FAIL)
    check = report.checks[0]
    checks = tuple(replace(check, id=f"{check.id}_{n}", sentence="x" * 400) for n in range(200))
    keep_report(replace(report, checks=(check, *checks)), tmp_path)
    (kept,) = tmp_path.iterdir()
    text = kept.read_text()
    assert len(text) > 100_000
    for number in range(999):
        (tmp_path / f"readiness-{number}.json").write_text(text.replace('"r1"', f'"r{number}"'))
    started = time.process_time()
    assert write_trend(tmp_path, (tmp_path,)) == []
    assert time.process_time() - started < 5
    assert json.loads(text)["machine"] == "m"
