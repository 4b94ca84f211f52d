"""Target files, several of them, and a plan: runs of pytest against something that says it is MLflow."""

import os
import subprocess
import sys

import pytest

from fixtures.core.files import ROOT
from fixtures.tools.targets import choose_heaviest_code
from tests.lifecycle.support import both_ways, refused


def write_target(folder, name, uri, *lines):
    (file := folder / f"{name}.toml").write_text("\n".join(['stack = "external"', f'mlflow-uri = "{uri}"', *lines]))
    return file


def run_program(checkout, scratch, *words):
    """(code, output) of the program behind `make targets`."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(scratch), "TMPDIR": str(scratch)}
    argv = [sys.executable, "-m", "fixtures.tools.targets", "--reports", str(scratch / "reports"), *map(str, words)]
    done = subprocess.run(argv, cwd=checkout.root, env=environ, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


@both_ways
def test_a_run_takes_all_that_its_target_file_says(examples, scratch, stub, workers):
    file = write_target(scratch, "a", stub.url, "[environment]", 'MLFLOW_TRACKING_TOKEN = "env:TOKEN"')
    words = (f"--target={file}", "suites/health/test_answers.py")
    done = examples.run(scratch, *words, workers=workers, env={"TOKEN": "a-secret-token"})
    assert done.code == 0, done.out
    assert done.document()["stack"]["mlflow"] == stub.url
    assert "a-secret-token" not in done.out + (done.report / "readiness.json").read_text()


def test_a_wrong_target_file_is_one_line(examples, scratch):
    file = write_target(scratch, "a", "http://h", 'db-uri = "postgresql://u:clear@h/d"')
    refused(examples.run(scratch, f"--target={file}"), 4, f"{file}: db-uri", "password in clear")


@pytest.mark.slow
def test_several_targets_have_a_report_each_and_one_table(examples, scratch, stub):
    """The one in the middle is not there, which does not stop the third."""
    targets = [("a", stub.url), ("b", "http://127.0.0.1:9"), ("c", stub.url)]
    files = [write_target(scratch, name, uri) for name, uri in targets]
    code, out = run_program(examples, scratch, *files, "--", "suites/health/test_answers.py")
    assert code == 7, out
    assert (scratch / "reports" / "a" / "readiness.json").exists()
    assert (scratch / "reports" / "c" / "readiness.json").exists()
    rows = [line.split() for line in out.partition("\ntarget ")[2].splitlines()]
    table = out[out.rindex("code  seconds  verdict") :].splitlines()[1:4]
    assert [row.split()[1] for row in table] == ["0", "7", "0"], rows
    assert ["READY" in table[0], "NOT PROVEN" in table[1], "READY" in table[2]] == [True] * 3


@pytest.mark.parametrize(
    ("names", "words"),
    [([], "no target file"), (["none.toml"], "is not a file"), (["a.toml", "d/a.toml"], "rename one")],
)
def test_target_files_that_cannot_be_told_apart(scratch, examples, names, words):
    (scratch / "d").mkdir()
    for name in names:
        if "none" not in name:
            (scratch / name).write_text("")
    code, out = run_program(examples, scratch, *(scratch / name for name in names))
    assert code == 4
    assert [words in line for line in out.splitlines()] == [True], out


def test_the_first_code_wins():
    order = [3, 4, 2, 7, 1, 6, 5, 0]
    assert [choose_heaviest_code(order[place:][::-1]) for place in range(8)] == order


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], ["a stack of its own (--stack auto)", "makes: about", "goes with the stack", "requests: about"]),
        (["-m", "registry"], ["(registry ", "not part of this selection"]),
        (["-n", "2", "suites/benchmark"], ["benchmark "]),
    ],
    ids=["default", "mark", "demand"],
)
def test_a_plan_needs_no_server(scratch, words, told):
    code, out = make_plan(scratch, *words)
    assert code == 0, out
    assert [word for word in told if word not in out] == [], out
    assert len(out.splitlines()) < 12


def test_a_plan_of_a_live_target_says_what_it_lacks_and_may(scratch):
    file = write_target(scratch, "a", "http://127.0.0.1:9", 'max-bytes = "200MB"', 'profile = "read-only"')
    code, out = make_plan(scratch, f"--target={file}")
    assert code == 0, out
    told = ["plan for http://127.0.0.1:9;", "not configured: MLflow's database", "makes: nothing", "--max-bytes 200 MB"]
    assert [word for word in told if word not in out] == [], out


def test_a_plan_refuses_what_a_run_refuses(scratch):
    code, out = make_plan(scratch, "-m", "nonsense")
    assert code == 4 and "unknown mark" in out and "Traceback" not in out


def make_plan(scratch, *words):
    environ = {"PATH": os.environ["PATH"], "HOME": str(scratch), "TMPDIR": str(scratch)}
    argv = [sys.executable, "-m", "pytest", "-c", "pytest.ini", "-p", "fixtures.config.settings", "--plan", *words]
    done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr
