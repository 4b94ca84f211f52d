"""What an audit asks of the registry, on a real stack: history, owner, exports that give way, degradation."""

import json
import os
import uuid

import mlflow
import pytest

from fixtures.workflow import cli
from fixtures.workflow.tracking_server import setup_mlflow_environment

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore:.*stage.*deprecated:FutureWarning")]


@pytest.fixture
def registry(real_stack):
    """The environment set up for the stack; put back at the end, since other tests share this process."""
    before = dict(os.environ)
    setup_mlflow_environment(real_stack.mlflow_uri)
    yield mlflow.MlflowClient()
    os.environ.clear()
    os.environ.update(before)
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


@pytest.fixture
def command(registry, capsys):
    """command("train", ...) -> exit code, the JSON line (None without one), standard error."""

    def run(*argv):
        capsys.readouterr()
        code = cli.main([*map(str, argv), "--experiment", "workflow-audit"])
        done = capsys.readouterr()
        assert "Traceback" not in done.err
        return code, json.loads(done.out) if done.out else None, done.err.strip()

    return run


def test_an_audit_finds_every_version_and_move(command, registry, tmp_path, monkeypatch):
    """Two versions through the stage Production, an alias that nobody recorded, and an export that gives way."""
    monkeypatch.setenv("GITHUB_ACTOR", "ann")
    model = f"fraud-{uuid.uuid4().hex[:8]}"
    out, metrics = tmp_path / "out", tmp_path / "model.prom"
    for number in ("1", "2"):
        code, _, said = command("train", "--model", model, "--stage", "Production", "--owner", "Fraud Team")
        assert code == 0, said
        code, record, said = command("export", "--model", model, "--stage", "Production", "--out", out, "--replace")
        assert (code, record["version"]) == (0, number), said
    registry.set_registered_model_alias(model, "mine", "1")
    code, record, _ = command("history", "--model", model)
    events = [(event["version"], event["event"], event["to"]) for event in record["events"]]
    assert code == 0
    assert events == [
        ("1", "registered", ""),
        ("1", "moved", "Production"),
        ("2", "registered", ""),
        ("2", "moved", "Production"),
        ("1", "left", "Production"),
        ("1", "unrecorded", "@mine"),
    ]
    assert {event["by"] for event in record["events"] if event["event"] == "moved"} == {"ann"}
    code, record, _ = command("card", "--model", model, "--version", "2", "--out", tmp_path / "card.md")
    assert code == 0 and "| Model owner | Fraud Team |" in (tmp_path / "card.md").read_text()
    code, _, _ = command("watch", "--model", model, "--metrics", metrics)
    assert code == 0 and f'mlflow_workflow_model_degraded{{model="{model}",version="2"}} 0.0' in metrics.read_text()
    code, _, _ = command("watch", "--model", model, "--drift", "0.8", "--metrics", metrics)
    assert code == 1 and f'mlflow_workflow_model_degraded{{model="{model}",version="2"}} 1.0' in metrics.read_text()
    code, record, said = command("history", "--model", f"{model}-x")
    assert (code, record, len(said.splitlines())) == (4, None, 1)
