"""Traces: what a client records of a call is found again with its spans."""

import mlflow
import pytest
from packaging.version import Version

from fixtures.core.outcomes import Lack, OutOfScope, expect, expect_that

FIRST = Version("3.2.0")  # older servers have no /api/3.0/mlflow/traces, which the client here speaks


@pytest.fixture
def trace_id(api, make_experiment, monkeypatch):
    """A trace of two spans in an experiment of ours, sent and flushed."""
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")  # no thread is left to talk at the end of the run
    if api.version < FIRST:
        raise OutOfScope(Lack.TRACES, f"MLflow {api.version} has not the trace API of this client")
    parent = mlflow.start_span_no_context("answer ü", inputs={"question": "why?"}, experiment_id=make_experiment())
    child = mlflow.start_span_no_context("look up", parent_span=parent, span_type="RETRIEVER", inputs={"k": 3})
    child.end(outputs=["日本", 0.1])
    parent.end(outputs={"answer": "because"}, attributes={"model": "m-1"})
    mlflow.flush_trace_async_logging()
    return parent.trace_id


def test_a_trace_is_found_with_its_spans(mlflow_client, trace_id, doors):
    """What an application recorded of a call (inputs, outputs, the order of steps) is there when someone looks into it.

    Remedy: see the server log for /v1/traces and traces/..., and the client's warnings; compare the versions of client
    and server in the header; with a proxy, let /v1/traces pass.
    """
    trace = mlflow_client.get_trace(trace_id)
    spans = {span.name: span for span in trace.data.spans}
    expect(f"spans of trace {trace_id}", sorted(spans), ["answer ü", "look up"])
    root, child = spans["answer ü"], spans["look up"]
    seen = (root.inputs, root.outputs, root.attributes.get("model"), child.inputs, child.outputs, child.span_type)
    wanted = ({"question": "why?"}, {"answer": "because"}, "m-1", {"k": 3}, ["日本", 0.1], "RETRIEVER")
    expect(f"inputs, outputs, attribute and type in the spans of trace {trace_id}", seen, wanted)
    expect(f"parents of the spans of trace {trace_id}", (root.parent_id, child.parent_id), (None, root.span_id))
    experiment = trace.info.experiment_id
    found = [t.info.trace_id for t in mlflow_client.search_traces(locations=[experiment])]
    expect(f"traces found in experiment {experiment}", found, [trace_id])
    expect_that(str(trace.info.state.value) == "OK", f"state of trace {trace_id}", "OK", trace.info.state)
    query = "SELECT request_id, status FROM trace_info WHERE experiment_id = %s"
    doors.rows_agree(f"traces of experiment {experiment}", [(trace_id, "OK")], query, int(experiment))
