"""Addresses and paths that a client names must not make the server open them (F65, F66, F69).

The listener is ours and must stay silent; paths and buckets are names that nobody has. What a server takes is deleted.
"""

import pytest

from fixtures.clients.rest import parse_body
from fixtures.core.outcomes import Lack, OutOfScope, Symptom, expect_that

NONE = "mlflow-suite-nonexistent"
FILES = (f"/{NONE}", f"file:///{NONE}", f"file:/{NONE}", f"file:{NONE}", f"FILE:///{NONE}", f"file://localhost/{NONE}")
ESCAPES = (f"file:%2f%2f%2f{NONE}", f"../../{NONE}", f"s3://{NONE}/../{NONE}", f"s3://{NONE}/%2e%2e/{NONE}")
PROXIED = (f"mlflow-artifacts:/../../{NONE}", f"mlflow-artifacts:/%2e%2e/%2e%2e/{NONE}")
IS_PROMPT = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
WEBHOOKS, GATEWAY = "/api/2.0/mlflow/webhooks", "/api/3.0/mlflow/gateway/secrets"


@pytest.fixture
def judge_accepted(listener):
    """judge_accepted(what, {name: answer}): raise Finding if the server took one of them, or called the listener.

    The finding has LISTENER for its address, so that its cases are the same in each run.
    """
    port = f":{listener.address.rpartition(':')[2]}/"

    def judge(what, accepted, symptom=None):
        shown = {
            name.replace(listener.address, "LISTENER").replace(port, ":PORT/"): answer.status_code
            for name, answer in accepted.items()
        }
        seen = [f"the server called the listener of ours {len(listener.calls)} times"] * bool(listener.calls)
        seen += [f"{name} taken, then {status}" for name, status in shown.items()]
        silent = symptom if not listener.calls else None
        expect_that(not seen, what, "each refused, and no call", "; ".join(seen), symptom=silent, cases=shown)

    return judge


@pytest.fixture
def doomed_model(probe, unique):
    """The name of a registered model that is deleted at once after the check."""
    name = unique("source")
    probe.call("registered-models/create", {"name": name})
    yield name
    probe.call("registered-models/delete", {"name": name}, "DELETE")


@pytest.fixture
def take_version(probe, doomed_model):
    """take_version(source, tags) -> None, or the answer to who asks for a file of a source that the server took."""

    def take(source, tags=()):
        body = {"name": doomed_model, "source": source, "tags": list(tags)}
        answer = probe.post("/api/2.0/mlflow/model-versions/create", json=body)
        if answer.status_code != 200:
            return None
        version = (parse_body(answer) or {}).get("model_version", {}).get("version", "1")
        query = {"name": doomed_model, "version": version, "path": NONE}
        return probe.get("/model-versions/get-artifact", params=query)

    return take


def test_model_sources_lead_to_no_file_or_address(take_version, judge_accepted, listener):
    """Whoever may register a model reads the server's own files, or lets it call inner services, by its source.

    Remedy: upgrade MLflow to 3.17.0 or later, the first that refuses foreign hosts, too (GHSA-5cvj-7rg6-jggj,
    GHSA-mr9f-g8qf-4w4j).
    """
    addresses = [f"{scheme}://{listener.address}/{NONE}" for scheme in ("http", "HTTP", "ftp", "mlflow-artifacts")]
    found = {source: take_version(source) for source in (*FILES, *ESCAPES, *PROXIED, *addresses)}
    judge_accepted(
        "sources of a model version", {source: answer for source, answer in found.items() if answer is not None}
    )


def test_prompt_tags_do_not_open_model_sources(take_version, judge_accepted, listener):
    """Before 3.10 a tag that says `prompt` switched the check of the source off: any file of the server was readable.

    Remedy: upgrade MLflow to 3.10.0 or later (CVE-2026-2614).
    """
    sources = (*FILES[:2], f"http://{listener.address}/{NONE}")
    found = {source: take_version(source, IS_PROMPT) for source in sources}
    judge_accepted(
        "sources of a prompt's version", {source: answer for source, answer in found.items() if answer is not None}
    )


@pytest.mark.known_issue("F66")
def test_experiment_locations_lead_to_no_file_or_address(probe, unique, judge_accepted, listener):
    """The server itself lists and reads below an experiment's location: on its own disk, or at the address named.

    Remedy: upgrade MLflow to 3.17.0 or later (GHSA-mr9f-g8qf-4w4j); until then let its machine reach nothing inside by
    http or ftp.
    """
    addresses = [f"{scheme}://{listener.address}/{NONE}" for scheme in ("http", "FTP", "mlflow-artifacts")]
    taken = {}
    for location in (*addresses, FILES[1], ESCAPES[1]):
        body = {"name": unique("location"), "artifact_location": location}
        answer = probe.post("/api/2.0/mlflow/experiments/create", json=body)
        if answer.status_code == 200:
            taken[location] = answer
            probe.call("experiments/delete", {"experiment_id": parse_body(answer)["experiment_id"]})
    local = Symptom.LOCAL_LOCATION_TAKEN if not set(addresses) & set(taken) else None
    judge_accepted("locations of new experiments", taken, local)


def test_webhooks_call_no_inner_address(probe, unique, judge_accepted, listener):
    """A webhook is a request that the server sends where a client says: inwards, if nothing forbids it.

    Remedy: upgrade MLflow to 3.10.0 or later, leave MLFLOW_WEBHOOK_ALLOWED_SCHEMES at https, and let the server's
    machine reach inner services by name only.
    """
    taken, port = {}, listener.address.rpartition(":")[2]
    names = (listener.address, f"localhost:{port}") if listener.address.startswith("127.") else (listener.address,)
    for url in (f"http://{listener.address}/{NONE}", *(f"https://{name}/{NONE}" for name in names)):
        event = {"entity": "REGISTERED_MODEL", "action": "CREATED"}
        answer = probe.post(WEBHOOKS, json={"name": unique("webhook"), "url": url, "events": [event]})
        if answer.status_code in (403, 404, 405):  # nobody has them, or an ordinary user may make none
            raise OutOfScope(Lack.WEBHOOKS, f"POST {WEBHOOKS}: {answer.status_code}")
        if answer.status_code != 200:
            continue
        made = f"{WEBHOOKS}/{(parse_body(answer) or {}).get('webhook', {}).get('webhook_id', NONE)}"
        try:
            taken[url] = probe.post(f"{made}/test", json={})
        finally:
            probe.delete(made)
    judge_accepted("webhooks to a listener of ours", taken)


def test_gateway_routes_call_no_inner_address(probe, unique, judge_accepted, listener):
    """A gateway endpoint whose base address anybody may set sends the server, and its provider's key, there.

    Remedy: upgrade MLflow to 3.17.0 or later (GHSA-h7x2-h6g9-p789, GHSA-wxj7-3fx5-pp9m).
    """
    url, taken = f"http://{listener.address}/{NONE}", {}
    probe.get("/ajax-api/2.0/mlflow/gateway-proxy", params={"gateway_path": url})
    body = {"secret_name": unique("secret"), "secret_value": {"api_key": "none"}, "provider": "openai"}
    answer = probe.post(f"{GATEWAY}/create", json=body | {"auth_config": {"api_base": url}})
    if answer.status_code == 200:
        taken[f"api_base {url}"] = answer
        number = (parse_body(answer) or {}).get("secret", {}).get("secret_id", NONE)
        probe.delete(f"{GATEWAY}/delete", json={"secret_id": number})
    judge_accepted("gateway routes to a listener of ours", taken)
