"""The server and its parts answer: steps 1, 2, 4 and 5 of the guide's pre-deployment checklist."""

import mlflow
import pytest
from packaging.version import InvalidVersion, Version

from fixtures.clients.rest import read_acknowledged
from fixtures.clients.routes import describe_answer
from fixtures.core.outcomes import Finding, Symptom, expect, expect_that, shorten_text
from fixtures.preflight.canary import must_answer, require_field


@pytest.mark.read_only
@pytest.mark.survey
def test_health_answers_ok(probe):
    """Load balancers and orchestrators take a server whose /health is not 200 OK out of service.

    Remedy: look at the server's log for why it does not come up; a proxy in front must let /health through.
    """
    with must_answer("GET /health"):
        answer = probe.get("/health")
    expect("GET /health", (answer.status_code, shorten_text(answer.text, 200)), (200, "OK"))


@pytest.mark.read_only
@pytest.mark.survey
def test_version_is_one_and_the_same_on_every_answer(stack, probe):
    """Replicas of different versions behind one address disagree about the database's schema.

    Remedy: finish the roll-out: every replica behind this address must run the same MLflow image.
    """
    with must_answer("GET /version"):
        answers = [probe.get("/version") for _ in range(8)]
    seen = sorted({f"{answer.status_code} {shorten_text(answer.text, 60)}" for answer in answers})
    expect("GET /version, eight times", seen, [f"200 {stack.versions['mlflow']}"])
    try:
        Version(stack.versions["mlflow"])
    except InvalidVersion:
        raise Finding("GET /version", "a version such as 3.1.4", stack.versions["mlflow"]) from None


@pytest.mark.read_only
@pytest.mark.known_issue("F11-first")
def test_the_first_requests_of_a_run_are_answered(stack, probe):
    """The first users of a new deployment come at once: none may get a 500 because the server prepares its tables.

    Remedy: upgrade MLflow; until then send one request of each kind after a start, before clients are let in. For a
    502, 503 or 504 look at the limits of the proxy in front.
    """
    first = stack.first_reads
    if first.failed:  # what still fails is another finding
        for call in ("experiments/search", "registered-models/search"):
            probe.ask(call, {"max_results": 1})
    what, seen = (
        f"{first.sent} small reads at once, before any other",
        f"{len(first.failed)} failed: {first.failed[:1]}",
    )
    symptom = Symptom.FIRST_READS_FAIL if first.by_server else None
    expect_that(not first.failed, what, "none failed", seen, symptom=symptom)


def test_client_lists_experiments(mlflow_client, new_experiment, unique):
    """Step 4 of the checklist: a Python client that cannot list experiments can do nothing.

    Remedy: run mlflow.search_experiments() by hand against this URI; a 403 names the host or the login that it wants.
    """
    name = unique("listed")
    experiment = new_experiment(name)
    expect_that(mlflow.search_experiments(max_results=1) != [], "mlflow.search_experiments()", "one at least", "none")
    found = mlflow_client.search_experiments(filter_string=f"name = '{name}'")
    expect(f"experiments named {name}", [(e.experiment_id, e.name) for e in found], [(experiment, name)])


def test_client_logs_the_guides_test_run(mlflow_client, unique, doors):
    """Step 5 of the checklist: an experiment is made and a param, a metric and a tag are logged to it.

    Remedy: look at the server's log for the request that failed; it names the table or the setting.
    """
    experiment = mlflow.create_experiment(unique("guide"))
    with mlflow.start_run(experiment_id=experiment) as active:
        mlflow.log_param("test_param", "test_value")
        mlflow.log_metric("test_metric", 0.95)
        mlflow.set_tag("test_tag", "automated_test")
    run_id = active.info.run_id
    run = mlflow_client.get_run(run_id)
    expect(f"experiment of run {run_id}", run.info.experiment_id, experiment)
    expect(f"status of run {run_id}", run.info.status, "FINISHED")
    expect(f"params of run {run_id}", run.data.params, {"test_param": "test_value"})
    expect(f"metrics of run {run_id}", run.data.metrics, {"test_metric": 0.95})
    expect(f"test_tag of run {run_id}", run.data.tags.get("test_tag"), "automated_test")
    rows = [("test_metric", 0.95)]
    doors.rows_agree(f"metrics of run {run_id}", rows, "SELECT key, value FROM metrics WHERE run_uuid = %s", run_id)


def test_registry_answers(probe, unique, doors):
    """Deployments read the registry: a model can be registered, found and deleted again.

    Remedy: look at the server's log; a registry elsewhere is set with --registry-store-uri.
    """
    name, described = unique("registry"), unique("description")
    with must_answer("the model registry"):
        probe.call("registered-models/create", {"name": name, "description": described})
        found = require_field(probe.ask("registered-models/get", {"name": name}), "registered_model")
        expect(f"model {name}", (found.get("name"), found.get("description")), (name, described))
        query = "SELECT description FROM registered_models WHERE name = %s"
        doors.rows_agree(f"model {name}", [(described,)], query, name)
        answer = probe.delete("/api/2.0/mlflow/registered-models/delete", json={"name": name})
        read_acknowledged(answer, f"DELETE of model {name}")
        gone = probe.get("/api/2.0/mlflow/registered-models/get", params={"name": name})
    seen = f"{gone.status_code} {shorten_text(gone.text, 200)}"
    refused = probe.denies(gone) or (gone.status_code == 404 and "RESOURCE_DOES_NOT_EXIST" in seen)
    expect_that(refused, f"model {name} after its deletion", "404 RESOURCE_DOES_NOT_EXIST", seen)
    doors.rows_agree(f"model {name} after its deletion", [], query, name)


def test_registry_and_tracking_share_one_server(probe, new_run, unique, doors):
    """A version's link to its run only holds if registry and tracking are one server on one database.

    Remedy: leave --registry-store-uri out, or give it the value of --backend-store-uri.
    """
    name = unique("linked")
    run_id, root = new_run()
    source = f"{root}/linked"
    probe.call("registered-models/create", {"name": name})
    version = probe.call("model-versions/create", {"name": name, "source": source, "run_id": run_id})
    number = require_field(version, "model_version", "version")
    found = require_field(probe.ask("model-versions/get", {"name": name, "version": number}), "model_version")
    expect(f"run of {name} version {number}", (found.get("run_id"), found.get("source")), (run_id, source))
    joined = "SELECT r.run_uuid FROM model_versions v JOIN runs r ON r.run_uuid = v.run_id WHERE v.name = %s"
    doors.rows_agree(f"run of {name} in the tracking tables", [(run_id,)], joined, name)


@pytest.mark.read_only
def test_webhooks_are_listed_by_every_worker(probe):
    """Without a key of their own, webhooks' secrets are read by the one worker that stored them: the list is a 500.

    Remedy: set MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY, the same for every worker and replica, and make the webhooks anew.
    """
    answers = [probe.get("/api/2.0/mlflow/webhooks", params={"max_results": 100}) for _ in range(8)]
    failed = [answer for answer in answers if answer.status_code >= 500]
    seen = f"{len(failed)} of {len(answers)} failed, such as {''.join(map(describe_answer, failed[:1]))}"
    expect_that(not failed, "GET webhooks", "the list, or that it is not to be seen", seen)
