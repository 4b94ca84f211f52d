"""The watch: what a scheduler's run writes for Prometheus, whatever became of it."""

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fixtures.core.files import ROOT
from tests.lifecycle.support import both_ways, refused

ANSWERS = "suites/health/test_answers.py"
FINDS = "suites/health/test_finds.py"
ALERTS = ROOT / "docs" / "prometheus-alerts.yml"
promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed (.ci/run gets it)")


def samples(file):
    """Every sample of the file: (name without our prefix, labels) -> value."""
    families = text_string_to_metric_families(file.read_text())
    found = [sample for family in families for sample in family.samples]
    return {(s.name.removeprefix("mlflow_readiness_"), *sorted(s.labels.values())): s.value for s in found}


@both_ways
@pytest.mark.parametrize(("suite", "word", "code"), [(ANSWERS, "READY", 0), (FINDS, "NOT READY", 1)])
def test_metrics_say_what_the_report_says(examples, scratch, stub, workers, suite, word, code):
    file = scratch / "readiness.prom"
    done = examples.run(scratch, *stub.target, suite, f"--metrics={file}", workers=workers)
    found, report = samples(file), done.document()
    assert (done.code, found["exit_code",], found["verdict", word]) == (code, code, 1), done.out
    assert sum(value for (name, *_), value in found.items() if name == "verdict") == 1
    for check in report["checks"]:
        assert found["check", *sorted([check["id"].removeprefix("suites/"), check["area"], check["status"]])] == 1
    assert found["checks", "fail"] == report["counts"]["fail"]
    assert found["canary_seconds",] >= 0
    assert found["duration_seconds",] == report["timings"]["total"]
    assert [path.name for path in scratch.iterdir() if path.name.startswith("readiness.prom")] == ["readiness.prom"]


def test_metrics_of_a_server_that_is_gone(examples, scratch):
    file = scratch / "readiness.prom"
    file.write_text('mlflow_readiness_verdict{verdict="READY"} 1.0\n')
    done = examples.run(scratch, "--stack", "external", "--mlflow-uri", "http://127.0.0.1:9", f"--metrics={file}")
    found = samples(file)
    assert (done.code, found["exit_code",], found["verdict", "READY"], found["verdict", "NOT PROVEN"]) == (7, 7, 0, 1)
    assert ("canary_seconds",) not in found


@both_ways
def test_a_place_that_cannot_be_written_is_refused(examples, scratch, stub, workers):
    (scratch / "file").write_text("")
    done = examples.run(scratch, *stub.target, ANSWERS, f"--metrics={scratch}/file/m.prom", workers=workers)
    refused(done, 4, "--metrics", "file: is a file")


@promtool
def test_metrics_and_alert_rules_are_what_prometheus_takes(examples, scratch, stub):
    file = scratch / "readiness.prom"
    examples.run(scratch, *stub.target, FINDS, f"--metrics={file}")
    checked = subprocess.run(["promtool", "check", "metrics"], input=file.read_text(), capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    rules = subprocess.run(["promtool", "check", "rules", ALERTS], capture_output=True, text=True)
    assert rules.returncode == 0, rules.stdout + rules.stderr
    assert "4 rules found" in rules.stdout
