"""Errors: what is missing or wrong is said in JSON, with the right code, so that clients can tell and react."""

import pytest
from botocore.exceptions import ClientError
from mlflow.exceptions import MlflowException

from fixtures.clients.mlflow_errors import find_symptom, is_framework_page
from fixtures.core.outcomes import Finding, Lack, OutOfScope, Symptom, expect, expect_that

NOBODY = "0" * 32
MISSING = {
    "run": ("runs/get", {"run_id": NOBODY}),
    "experiment": ("experiments/get", {"experiment_id": "2147483646"}),
    "experiment name": ("experiments/get-by-name", {"experiment_name": "rdy-there-is-no-such-experiment"}),
    "artifacts of a run": ("artifacts/list", {"run_id": NOBODY}),
    "registered model": ("registered-models/get", {"name": "rdy-there-is-no-such-model"}),
}
WRONG = {
    "a field missing": ("runs/log-metric", {"key": "loss"}),
    "text for a number": ("runs/log-metric", {"key": "loss", "value": "high", "timestamp": 1}),
    "an illegal key": ("runs/log-parameter", {"key": "a\nb", "value": "1"}),
    "a filter cut short": ("runs/search", {"filter": "metrics.loss >"}),
    "a page of 50001": ("runs/search", {"max_results": 50001}),
    "a page token of garbage": ("runs/search", {"page_token": "garbage"}),
    "a page token of garbage for experiments": ("experiments/search", {"page_token": "garbage", "max_results": 5}),
    "a page of 50001 experiments": ("experiments/search", {"max_results": 50001}),
}


def said(answer):
    """Status and error code of an answer; if it is no JSON error, its content type."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    code = body.get("error_code") if isinstance(body, dict) and body.get("message") else None
    return answer.status_code, code or answer.headers.get("Content-Type", "no content type")


@pytest.mark.parametrize(("path", "query"), MISSING.values(), ids=MISSING)
def test_what_does_not_exist_is_said_to_be_missing(probe, path, query):
    """Scripts ask whether something exists: the answer is 404 RESOURCE_DOES_NOT_EXIST, not a crash or an empty 200.

    Remedy: see the server log for the call; a proxy that puts its own pages in place of errors (proxy_intercept_errors
    in nginx, an ingress with default error pages) must let MLflow's JSON through.
    """
    answer = probe.get(f"/api/2.0/mlflow/{path}", params=query)
    if not probe.denies(answer):
        expect(f"GET {path} of what does not exist", said(answer), (404, "RESOURCE_DOES_NOT_EXIST"))


@pytest.fixture(scope="module")
def bare_run(make_run):
    """A run that stays without metrics and params."""
    return make_run()


@pytest.mark.parametrize(("path", "body"), WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_refused_with_its_reason(probe, api, shared_experiment, bare_run, path, body):
    """A mistake in a script is answered with 400 and a reason in JSON, and changes nothing.

    Remedy: see the server log for the call; a 500 here hides the caller's mistake and is retried for minutes.
    """
    target = {"run_id": bare_run} if path.startswith("runs/log") else {"experiment_ids": [shared_experiment]}
    if path.startswith("experiments"):
        target = {}
    answer = probe.post(f"/api/2.0/mlflow/{path}", json=target | body)
    expect(f"POST {path} with {body}", said(answer), (400, "INVALID_PARAMETER_VALUE"))
    if "run_id" in target:
        shown = api.run(bare_run)
        left = (api.metrics(bare_run, shown), api.params(bare_run, shown))
        expect(f"metrics and params of run {bare_run} after the refusal", left, ([], []))


@pytest.mark.known_issue("R37")
def test_a_nul_byte_is_refused_and_nothing_stays(probe, api, make_run):
    """A NUL byte, which Postgres cannot store, is the client's error: after a 500 it tries again for minutes.

    Remedy: strip NUL bytes from names and values before they are logged. If later writes fail too, restart the server:
    a worker keeps a broken session.
    """
    run = make_run()
    answer = probe.post("/api/2.0/mlflow/runs/set-tag", json={"run_id": run, "key": "nul", "value": "a\0b"})
    probe.call("runs/set-tag", {"run_id": run, "key": "after", "value": "a"})
    stored = dict(api.tags(run))
    expect(f"tag after of run {run}, set after one with a NUL byte", stored.get("after"), "a")
    ok = stored.get("nul") == "a\0b" if answer.status_code == 200 else 400 <= answer.status_code < 500
    what, expected = f"tag with a NUL byte for run {run}", "status 4xx, or stored as sent"
    expect_that(ok, what, expected, f"{said(answer)}", symptom=find_symptom(answer.text))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_endpoint_is_a_404(probe, method):
    """A client newer than its server must learn that a call does not exist: HTML with status 200 misleads it.

    Remedy: let the proxy pass unknown paths under /api/ to MLflow; no catch-all such as try_files ... /index.html.
    """
    answer = probe.request(method, "/api/2.0/mlflow/readiness/no-such-endpoint")
    kind = answer.headers.get("Content-Type", "no content type")
    unknown = answer.status_code in (404, 405) or probe.denies(answer)
    expect_that(unknown, f"{method} an unknown endpoint", "404", f"{answer.status_code} {kind}")


def test_the_python_client_names_what_is_missing(probe, mlflow_client, make_run):
    """Code that catches MlflowException and looks at error_code decides rightly between create and use.

    Remedy: compare the versions of client and server in the header; see the server log for runs/get.
    """
    seen = {}
    asked = {"run": lambda: mlflow_client.get_run(NOBODY), "tag": lambda: mlflow_client.delete_tag(make_run(), "none")}
    for name, ask in asked.items():
        with pytest.raises(MlflowException) as error:
            ask()
        seen[name] = error.value.error_code
    wanted = dict.fromkeys(asked, "RESOURCE_DOES_NOT_EXIST")
    if probe.conceals and seen["run"] == "PERMISSION_DENIED":
        wanted["run"] = "PERMISSION_DENIED"
    expect("error_code for a missing run and tag", seen, wanted)


@pytest.mark.known_issue("F23")
def test_a_folder_is_not_sent_as_a_file(probe, api, make_run):
    """A script that fetches a folder by mistake is told so: a 200 without content looks like an empty file.

    Remedy: list the folder (artifacts/list) and fetch its files, as MLflow's own client does. The server copies all
    of the folder to its temporary disk before it answers.
    """
    run = make_run()
    if (route := api.artifact_route(run, "folder")) is None:
        raise OutOfScope(Lack.PROXIED_ARTIFACTS, f"clients keep artifacts in {api.artifact_uri(run)} themselves")
    for name in ("a.txt", "b.txt"):
        answer = probe.put(f"{route}/{name}", data=name.encode())
        expect(f"PUT of folder/{name} of run {run}", answer.status_code, 200)
    try:
        answer = probe.get(route)
    except Finding as error:  # the body breaks off
        raise Finding(error.what, "4xx", error.seen, symptom=Symptom.FOLDER_SENT_AS_FILE) from None
    known = not answer.content if answer.status_code == 200 else is_framework_page(answer.text)
    symptom = Symptom.FOLDER_SENT_AS_FILE if known else None
    expect_that(400 <= answer.status_code < 500, f"GET of folder of run {run}", "4xx", said(answer), symptom=symptom)


@pytest.mark.known_issue("F19")
def test_a_missing_artifact_is_a_404(probe, api, mlflow_client, make_run, tmp_path):
    """A file that is not there is answered at once with 404; after a 500 a client tries again for four minutes.

    Remedy: set MLFLOW_HTTP_REQUEST_MAX_RETRIES low in clients that look for optional files, or list before they read.
    """
    run = make_run()
    what, route = f"missing artifact none.txt of run {run}", api.artifact_route(run, "none.txt")
    if route is not None:
        seen = said(probe.get(route))
        symptom = Symptom.MISSING_ARTIFACT_IS_500 if seen == (500, "INTERNAL_ERROR") else None
        expect(what, seen, (404, "RESOURCE_DOES_NOT_EXIST"), symptom=symptom)
        return
    with pytest.raises((MlflowException, ClientError, OSError)) as error:
        mlflow_client.download_artifacts(run, "none.txt", str(tmp_path))
    expect_that("none.txt" in str(error.value), what, "an error that names it", str(error.value))
