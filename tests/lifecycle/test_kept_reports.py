"""What a whole run leaves beside its report: a support archive, kept reports with their trend; and a diff of two."""

import json
import socket
import tarfile

from fixtures.report import __main__ as program
from tests.lifecycle.support import both_ways, refused

FINDS, ANSWERS = "suites/health/test_finds.py", "suites/health/test_answers.py"


@both_ways
def test_runs_are_kept_and_compared(examples, scratch, stub, workers, capsys):
    past = scratch / "past"
    first = examples.run(scratch, *stub.target, ANSWERS, f"--past={past}", workers=workers)
    assert first.code == 0, first.out
    assert not (first.report / "support.tar.gz").exists()
    (past / "readiness-broken.json").write_text("{")
    second = examples.run(scratch, *stub.target, ANSWERS, FINDS, f"--past={past}", workers=workers)
    assert second.code == 1, second.out
    assert "warning: readiness-broken.json is left out" in second.out
    kept = sorted(file for file in past.glob("readiness-2*.json"))
    assert [json.loads(file.read_text())["verdict"]["word"] for file in kept] == ["READY", "NOT READY"]
    page = (second.report / "trend.html").read_text()
    assert page == (past / "trend.html").read_text() and "2 runs" in page and "colour of the sky" in page
    assert program.main(["diff", *map(str, kept), "--fail-on", "new"]) == 1
    assert "findings: 2 new" in capsys.readouterr().out


def test_a_run_with_findings_leaves_an_archive_and_says_so(examples, scratch, stub):
    env = {"READINESS_WEBHOOK": "http://127.0.0.1:9/services/s3cr3t", "MLFLOW_TRACKING_TOKEN": "t0ken-of-ours"}
    done = examples.run(scratch, *stub.target, FINDS, env=env)
    assert done.code == 1, done.out
    assert "warning: READINESS_WEBHOOK: the message was not sent" in done.out and "support.tar.gz" in done.out
    with tarfile.open(done.report / "support.tar.gz") as archive:
        files = {one.name.partition("/")[2]: archive.extractfile(one).read().decode() for one in archive}
    assert {"readiness.json", "readiness.md", "readiness.sarif", "junit.xml", "settings.txt", "versions.txt"} == set(
        files
    )
    assert f"mlflow-uri = '{stub.url}'" in files["settings.txt"] and "webhook = ***" in files["settings.txt"]
    assert [name for name, text in files.items() if "s3cr3t" in text or "t0ken" in text] == []


def test_a_stack_that_does_not_start_leaves_why(examples, scratch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = examples.run(scratch, ANSWERS, "--stack", "embedded", "--mlflow-port", str(port))
    assert done.code == 7, done.out
    with tarfile.open(done.report / "support.tar.gz") as archive:
        names = {one.name.partition("/")[2] for one in archive}
    assert {"failure.txt", "settings.txt", "readiness.json"} <= names


def test_a_folder_of_past_reports_that_cannot_be_written(examples, scratch):
    refused(examples.run(scratch, "--past=/etc/passwd"), 4, "--past /etc/passwd: is a file")
