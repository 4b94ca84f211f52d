"""Marks follow place and fixtures; run on the example suites against a stand-in server."""

import pytest

from tests.lifecycle.support import both_ways

CANNOT = "suites/client/test_cannot.py"


@pytest.mark.parametrize(
    ("mark", "expected"),
    [("health", {"health"}), ("load", {"load"}), ("health or load", {"health", "load"}), ("exclusive", {"load"})],
)
def test_a_folder_is_a_mark(examples, scratch, stub, mark, expected):
    done = examples.run(scratch, *stub.target, "-m", mark, "-k", "not finding")
    assert {c["area"] for c in done.document()["checks"]} == expected


@both_ways
def test_what_is_on_demand_waits_to_be_asked_for(examples, scratch, stub, workers):
    done = examples.run(scratch, *stub.target, "-k", "test_runs_last or figures", workers=workers)
    assert [c["area"] for c in done.document()["checks"]] == ["load"]
    left = {k.partition("::")[2]: v for k, v in done.document()["deselected"].items()}
    assert "benchmark" in left["test_figures"]


@pytest.mark.parametrize("asked", [["suites/benchmark"], ["-m", "benchmark"]])
def test_what_is_on_demand_comes_when_asked_for(examples, scratch, stub, asked):
    done = examples.run(scratch, *stub.target, *asked)
    assert [c["id"].partition("::")[2] for c in done.document()["checks"]] == ["test_figures"]
    assert done.code == 0, done.out


def test_full_depth(examples, scratch, stub):
    done = examples.run(scratch, *stub.target, "suites/benchmark", "--depth", "full")
    assert len(done.document()["checks"]) == 2


def test_a_door_that_was_never_declared_is_out_of_scope(examples, scratch, stub):
    done = examples.run(scratch, *stub.target, CANNOT, "-k", "needs_sql")
    (check,) = done.document()["checks"]
    assert (check["status"], check["lacks"]) == ("out-of-scope", ["sql"])
    assert "--db-uri" in check["reason"]


@both_ways
@pytest.mark.parametrize("check", ["test_skips_inside_its_body", "test_skips_by_mark"])
def test_a_skip_without_a_type_is_an_error(examples, scratch, stub, check, workers):
    done = examples.run(scratch, *stub.target, CANNOT, "-k", check, workers=workers)
    (record,) = done.document()["checks"]
    assert (done.code, record["status"]) == (6, "not-checked")
    assert "skip without a type" in record["reason"]
    assert "failed" in done.out or "not-checked" in done.out


def test_a_capability_that_nobody_knows_is_a_broken_check(examples, scratch, stub):
    done = examples.run(scratch, *stub.target, CANNOT, "-k", "needs_the_unknown")
    (record,) = done.document()["checks"]
    assert (done.code, record["status"]) == (6, "not-checked")
    assert "teleport" in record["reason"]


def test_exclusive_checks_come_last(examples, scratch, stub):
    done = examples.run(scratch, *stub.target, "-v", "suites/load", "suites/health", "-k", "not finding")
    shown = [line for line in done.out.splitlines() if line.startswith("suites/") and "::" in line]
    assert "test_runs_last" in shown[-1], done.out


@pytest.mark.parametrize(("quiet", "workers"), [("--collect-only", 2), ("--fixtures", 0), ("--markers", 0)])
def test_what_runs_nothing_starts_nothing(examples, scratch, quiet, workers):
    begun = examples.begin(scratch, quiet, workers=workers)
    done = begun.finish()
    assert done.code == 0, done.out
    assert "READY" not in done.out
    assert not done.report.exists()
    assert begun.folders() == []
