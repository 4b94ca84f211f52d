"""Workflow commands in processes of their own: how each ended is told, and none is left."""

import psutil
import pytest

from fixtures.core.outcomes import NotProven
from fixtures.workflow.processes import run_pipelines

pytestmark = pytest.mark.timeout(300)


def test_each_pipeline_has_a_process_and_its_own_end(tmp_path):
    """Code and messages are those of the step; one that fails ends its pipeline and does not touch the others."""
    dead, none = "http://127.0.0.1:1", ["verify", "--out", str(tmp_path / "none")]
    first, second, third = run_pipelines(dead, [[["check"], none], [["promote"]], [none, ["check"]]], tmp_path)
    assert [[one.code for one in steps] for steps in (first, second, third)] == [[7], [4], [4]]
    assert first[0].record is None
    assert dead in first[0].messages and "not reached" in str(first[0])
    assert "--model" in second[0].messages
    assert str(third[0]).startswith("verify ended with 4: python -m fixtures.workflow: ")


def test_a_late_one_is_ended(stub, tmp_path):
    """With its sisters."""
    with pytest.raises(NotProven, match=r"one of 2 workflow processes did not end within 0\.3 s"):
        run_pipelines(stub.url, [[["check"]], [["check"]]], tmp_path, seconds=0.3)
    left = [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(tmp_path)]
    assert left == []


def test_a_process_that_fails_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("fixtures.guardrails.child_client.ROOT", tmp_path)
    ((one,),) = run_pipelines("http://127.0.0.1:1", [[["check"]]], tmp_path)
    assert (one.code, one.record) == (-1, None)
    assert "fixtures" in one.messages
