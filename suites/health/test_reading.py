"""What is there already can be read: all that is tried where nothing may be made (--profile read-only)."""

from collections import Counter

import pytest

from fixtures.clients.rest import ARTIFACT_API
from fixtures.core.outcomes import Lack, OutOfScope, expect, expect_that
from fixtures.preflight.canary import must_answer, read_experiment_name, require_field

pytestmark = pytest.mark.read_only

LOOKS = 12
LARGEST = 5_000_000  # a file of somebody else is fetched for the proof only
# The column came with 3.10.
ACTIVE = """SELECT count(*) FROM experiments e WHERE lifecycle_stage = 'active'
    AND coalesce(to_jsonb(e) ->> 'workspace', %s) = %s"""
MODEL = "SELECT count(*) FROM registered_models m WHERE name = %s AND coalesce(to_jsonb(m) ->> 'workspace', %s) = %s"
OLDER = "SELECT lifecycle_stage, key, value FROM runs JOIN params USING (run_uuid) WHERE run_uuid = %s ORDER BY key"


def workspace_of(stack):
    """The workspace that the server takes us to be in."""
    return stack.access.workspace or "default"


def test_experiments_are_found_as_they_are_stored(stack, probe, newest, doors):
    """Everything begins with a search for the experiment: one that is found must be the one that is stored.

    Remedy: compare the answers of experiments/search and experiments/get with table experiments, and look for a cache
    or a lagging read replica between.
    """
    if stack.read_only and not newest.experiments:
        doors.rows_agree("active experiments", [(0,)], ACTIVE, workspace_of(stack), workspace_of(stack))
        raise OutOfScope(Lack.RUNS, "no experiment is active, Default included")
    expect_that(newest.experiments, "experiments/search", "the one of this run at least", "none")
    for number, name in newest.experiments[:5]:
        found = require_field(probe.ask("experiments/get", {"experiment_id": number}), "experiment", "name")
        expect(f"name of experiment {number}, in experiments/get and experiments/search", found, name)
        row = "SELECT name, lifecycle_stage FROM experiments WHERE experiment_id = %s"
        doors.rows_agree(f"experiment {number}", [(name, "active")], row, int(number))


def test_newest_run_reads_back_as_it_is_stored(probe, newest, doors):
    """A run that somebody logged must be readable with its params: this is what the server is kept for.

    Remedy: look in the server's log for runs/get; compare table params with the answer.
    """
    if not newest.run:
        raise OutOfScope(Lack.RUNS, "its newest experiments hold no run")
    run = require_field(probe.ask("runs/get", {"run_id": newest.run}), "run")
    seen = sorted((p["key"], p["value"]) for p in require_field(run, "data").get("params", []))
    stage = require_field(run, "info", "lifecycle_stage")
    expect(f"id of run {newest.run}, in runs/get", require_field(run, "info", "run_id"), newest.run)
    doors.rows_agree(f"params of run {newest.run}", [(stage, *pair) for pair in seen], OLDER, newest.run)


def test_newest_artifact_can_be_fetched(probe, newest, doors):
    """A deploy fetches files that were logged before: without the bucket behind it the server lists and gives none.

    Remedy: look in the server's log for mlflow-artifacts: the bucket, its keys and its address are those of the
    server's MLFLOW_ARTIFACTS_DESTINATION, AWS_* and MLFLOW_S3_ENDPOINT_URL.
    """
    small = sorted((size, path) for path, size in newest.files if size <= LARGEST)
    if not small or not newest.proxied:
        raise OutOfScope(Lack.FILES, "the newest runs hold no file that the server serves and that is small enough")
    size, path = small[0]
    at = f"{newest.proxied[0].rpartition('/artifacts/')[0]}/artifacts/{path}"
    answer = probe.get(f"{ARTIFACT_API}/{at}")
    expect(f"GET of {path} of run {newest.run}", (answer.status_code, len(answer.content)), (200, size))
    doors.object_agrees(f"{path} of run {newest.run}", newest.root, path, answer.content)


@pytest.mark.survey
def test_oldest_experiment_is_the_same_at_every_look(stack, probe):
    """Replicas on different databases show a user other experiments at each click, and lose what is logged.

    Remedy: give every replica behind this address the same MLFLOW_BACKEND_STORE_URI.
    """
    body = {"max_results": 1, "order_by": ["creation_time ASC"], "view_type": "ALL"}
    with must_answer("experiments/search"):
        found = probe.call("experiments/search", body)
        if stack.read_only and not found.get("experiments"):
            raise OutOfScope(Lack.RUNS, "no experiment is there, deleted ones included")
        oldest = require_field(require_field(found, "experiments")[0], "experiment_id")
    seen = Counter()
    for _ in range(LOOKS):
        with must_answer("experiments/get"):
            answer = probe.fresh().get("/api/2.0/mlflow/experiments/get", params={"experiment_id": oldest})
        found = answer.json().get("experiment", {}) if answer.status_code == 200 else {}
        seen[read_experiment_name(answer), found.get("creation_time")] += 1
    expect_that(len(seen) == 1, f"experiment {oldest} in {LOOKS} looks", "one name and time of creation", dict(seen))


def test_models_are_found_as_they_are_stored(stack, probe, models, doors):
    """A deploy begins with a search of the registry: it must answer, and with the models that are stored.

    Remedy: look in the server's log for registered-models/search; compare its answer with table registered_models.
    """
    workspace = workspace_of(stack)
    for name in models:
        found = require_field(probe.ask("registered-models/get", {"name": name}), "registered_model", "name")
        expect(f"name of model {name}, in registered-models/get", found, name)
        doors.rows_agree(f"rows of model {name} in workspace {workspace}", [(1,)], MODEL, name, workspace, workspace)
