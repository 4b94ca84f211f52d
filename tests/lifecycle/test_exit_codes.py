"""Every exit code, alone and with two workers (docs/report.md, "Exit codes")."""

import json
import os
import signal

import pytest

from tests.lifecycle.support import Checkout, Trace, always_both_ways, both_ways, refused

ANSWERS = "suites/health/test_answers.py"
FINDS = "suites/health/test_finds.py"
CANNOT = "suites/client/test_cannot.py"
HANGS = "suites/registry/test_hangs.py"


@always_both_ways
def test_0_ready(examples, scratch, stub, workers):
    done = examples.run(scratch, *stub.target, ANSWERS, workers=workers)
    assert (done.code, done.document()["verdict"]["word"]) == (0, "READY"), done.out
    assert Trace(scratch).left() == []


@both_ways
@pytest.mark.parametrize("first_only", [False, True], ids=["all", "x"])
def test_1_not_ready_also_with_x(examples, scratch, stub, workers, first_only):
    done = examples.run(scratch, *stub.target, FINDS, *(["-x"] if first_only else []), workers=workers)
    assert (done.code, done.status("test_first_finding")) == (1, "fail"), done.out
    if not first_only or not workers:  # with two workers the second may be in flight already
        assert done.status("test_second_finding") == ("not-checked" if first_only else "fail")


@both_ways
def test_called_from_another_folder_a_run_is_the_same(scratch, stub, workers):
    """The same checks, verdict and code, and the report lies in the checkout all the same."""
    (elsewhere := scratch / "elsewhere").mkdir()
    checkout = Checkout.make(scratch / "checkout")
    done = checkout.run(
        scratch, *stub.target, "--report-dir=", str(checkout.root / "suites/health"), workers=workers, where=elsewhere
    )
    assert done.code == 1, done.out
    document = json.loads((checkout.root / "reports" / "readiness.json").read_text())
    assert document["verdict"]["word"] == "NOT READY" and document["verdict"]["line"] in done.out
    assert {check["id"]: check["status"] for check in document["checks"]} == {
        f"{ANSWERS}::test_it_answers": "pass",
        f"{ANSWERS}::test_it_answers_twice": "pass",
        f"{FINDS}::test_first_finding": "fail",
        f"{FINDS}::test_second_finding": "fail",
    }
    assert list(elsewhere.iterdir()) == [] and Trace(scratch).left() == []


@both_ways
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_2_interrupted_and_still_reported(examples, scratch, stub, workers, number):
    begun = examples.begin(scratch, *stub.target, HANGS, "suites/registry/test_hangs_too.py", workers=workers)
    begun.wait_for_file("first.hangs")
    os.killpg(begun.popen.pid, number) if number == signal.SIGINT else begun.popen.send_signal(number)
    done = begun.finish(30)
    assert done.code == 2, done.out
    assert "interrupted" in done.document()["verdict"]["line"]
    assert done.status("test_after_the_hang") == "not-checked"
    assert Trace(scratch).left() == []


@both_ways
def test_3_internal_error(examples, scratch, stub, workers, tmp_path):
    (tmp_path / "broken_plugin.py").write_text(
        "def pytest_runtest_logreport(report):\n    raise RuntimeError('broken')\n"
    )
    env = {"PYTHONPATH": str(tmp_path)}
    done = examples.run(scratch, *stub.target, "-p", "broken_plugin", ANSWERS, workers=workers, env=env)
    assert done.code == 3, done.out
    assert "internal error" in done.document()["verdict"]["line"]


@both_ways
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["suites/nope"], ("suites/nope", "no such file", "health")),
        (["suites/health/test_answers.py::test_nope"], ("test_nope", "no test")),
        (["-m", "healthy"], ("-m healthy", "unknown mark", "health")),
        (["-m", "health and"], ("-m 'health and'",)),
        (["-k", "a and"], ("-k 'a and'",)),
        (["--nonsense"], ("--nonsense",)),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_4_usage(examples, scratch, workers, args, words):
    refused(examples.run(scratch, *args, workers=workers), 4, *words)
    assert Trace(scratch).left() == []


@both_ways
def test_4_an_unknown_suite_folder(examples, scratch, workers):
    checkout = Checkout.make(scratch / "checkout")
    (checkout.root / "suites" / "typo").mkdir()
    refused(checkout.run(scratch, workers=workers), 4, "suites/typo", "unknown suite", "health")


@both_ways
def test_5_nothing_selected(examples, scratch, stub, workers):
    done = examples.run(scratch, *stub.target, "-k", "no_such_check", workers=workers)
    assert done.code == 5, done.out
    assert Trace(scratch).left() == []


@always_both_ways
def test_6_not_proven(examples, scratch, stub, workers):
    done = examples.run(scratch, *stub.target, CANNOT, "-k", "test_not_proven", workers=workers)
    assert (done.code, done.status("test_not_proven")) == (6, "not-checked"), done.out


@both_ways
def test_6_everything_out_of_scope(examples, scratch, stub, workers):
    done = examples.run(scratch, *stub.target, CANNOT, "-k", "test_needs_sql", workers=workers)
    assert (done.code, done.status("test_needs_sql")) == (6, "out-of-scope"), done.out


@both_ways
def test_7_not_reached_comes_before_everything_else(examples, scratch, workers):
    args = ("--stack", "external", "--mlflow-uri", "http://127.0.0.1:9", ANSWERS)
    done = examples.run(scratch, *args, workers=workers)
    refused(done, 7, "NOT PROVEN: --mlflow-uri http://127.0.0.1:9", "Connection refused")
    assert done.document()["verdict"]["code"] == 7
    assert Trace(scratch).left() == []


@both_ways
def test_a_report_folder_as_a_word_of_its_own(examples, scratch, stub, workers):
    """pytest takes such a word for a path to collect as soon as the folder is there; workers must not."""
    args = ("--report-dir", str(scratch / "new"), "-k", "test_it_answers")
    done = examples.run(scratch, *stub.target, *args, workers=workers)
    assert done.code == 0, done.out
    assert (scratch / "new" / "readiness.json").exists()
