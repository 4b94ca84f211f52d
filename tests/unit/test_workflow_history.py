"""The history of a model: all versions and moves in order, and what no record explains."""

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fixtures.workflow.degradation import write_degradation
from fixtures.workflow.errors import WorkflowError
from fixtures.workflow.gates import GateOutcome
from fixtures.workflow.history import describe_event, list_history
from fixtures.workflow.moves import MOVE_TAG, name_actor, note_move
from fixtures.workflow.versions import ModelVersion


def move(minute, to, kind="alias", by="ann", gates="gates: 5 passed"):
    at = f"2026-11-27T10:{minute:02}:00.000+00:00"
    return {f"{MOVE_TAG}{minute}": json.dumps({"kind": kind, "to": to, "at": at, "by": by, "gates": gates})}


def version(number, *moves, stage="None", aliases=(), **tags):
    tags |= {name: text for one in moves for name, text in one.items()}
    created = 1_700_000_000_000 + int(number)
    return ModelVersion("m", number, f"run{number}", stage, aliases, created, tags, "")


def history(*versions):
    events = list_history(versions, {"run1": "ann"}, {v.number: "2026-11-28T00:00:00+00:00" for v in versions})
    return [(e["version"], e["event"], e["to"]) for e in events], events


def test_versions_and_moves_in_order_with_who_and_gates():
    told, events = history(
        version("2", move(2, "champion", by="bob"), aliases=("champion",)), version("1", move(1, "champion"))
    )
    assert told == [
        ("1", "registered", ""),
        ("2", "registered", ""),
        ("1", "moved", "@champion"),
        ("2", "moved", "@champion"),
        ("1", "left", "@champion"),
    ]
    assert [(e["by"], e["run_id"]) for e in events] == [
        ("ann", "run1"),
        ("", "run2"),
        ("ann", "run1"),
        ("bob", "run2"),
        ("bob", "run1"),
    ]
    line = describe_event(events[3])
    assert line == "2026-11-27T10:02:00.000+00:00 version 2 moved @champion by bob run run2 (gates: 5 passed)"


def test_a_stage_that_another_version_took_is_explained():
    first, second = move(1, "Production", "stage"), move(2, "Production", "stage")
    told, _ = history(version("1", first, stage="Archived"), version("2", second, stage="Production"))
    assert told[2:] == [("1", "moved", "Production"), ("2", "moved", "Production"), ("1", "left", "Production")]


def test_a_way_through_the_stages_and_back():
    moves = [move(n, to, "stage") for n, to in enumerate(("Staging", "Production", "Archived"))]
    told, _ = history(
        version("1", *moves, stage="Archived"), version("2", move(9, "Production", "stage"), stage="Production")
    )
    assert [event for event in told if event[1] in ("left", "unrecorded")] == []


def test_what_no_record_explains_is_said():
    told, events = history(
        version("1", stage="Production", aliases=("prod",)),
        version("2", {f"{MOVE_TAG}x": "no json"}, move(1, "champion")),
    )
    assert told[-2:] == [("1", "unrecorded", "Production"), ("1", "unrecorded", "@prod")]
    assert [event["at"] for event in events[-2:]] == ["2026-11-28T00:00:00+00:00", ""]
    assert describe_event(events[-1]) == "at a time that is not known, version 1 unrecorded @prod run run1"


def test_a_promotion_leaves_its_record():
    kept = {}

    class Client:
        def set_model_version_tag(self, model, number, name, text):
            kept[name] = json.loads(text)

    note_move(Client(), "m", "1", "alias", "champion", [GateOutcome("auc_roc", True, 0.9, "at least 0.8")])
    ((name, record),) = kept.items()
    assert name.startswith(MOVE_TAG)
    assert (record["kind"], record["to"], record["gates"]) == ("alias", "champion", "gates: 1 passed")
    told, _ = history(version("1", {name: json.dumps(record)}, aliases=("champion",)))
    assert told == [("1", "registered", ""), ("1", "moved", "@champion")]


def test_who_acts():
    assert name_actor({"MLFLOW_TRACKING_USERNAME": "svc"}) == "svc"
    assert name_actor({"MLFLOW_TRACKING_USERNAME": "svc", "GITHUB_ACTOR": "ann"}) == "ann"
    assert name_actor({}) != ""


@pytest.mark.parametrize(("passed", "degraded"), [(True, 0), (False, 1), (None, 1)])
def test_degradation_as_prometheus_text(tmp_path, passed, degraded):
    file = tmp_path / "model.prom"
    write_degradation(file, "fraud", "3", [GateOutcome("auc_roc", passed, 0.7, "at least 0.8")])
    families = text_string_to_metric_families(file.read_text())
    found = {s.name: (s.labels, s.value) for family in families for s in family.samples}
    assert found["mlflow_workflow_model_degraded"] == ({"model": "fraud", "version": "3"}, degraded)
    assert found["mlflow_workflow_gate_value"] == ({"model": "fraud", "gate": "auc_roc"}, 0.7)
    assert ("mlflow_workflow_gate_passed" in found) == (passed is not None)
    assert found["mlflow_workflow_watch_timestamp_seconds"][1] > 1e9


def test_metrics_that_cannot_be_written(tmp_path):
    with pytest.raises(WorkflowError, match=r"--metrics .*cannot be written"):
        write_degradation(tmp_path / "none" / "x.prom", "fraud", "3", [])
