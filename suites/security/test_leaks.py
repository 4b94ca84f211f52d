"""What answers give away (F70): statements, traces, paths, secrets, figures, lists of files."""

import pytest

from fixtures.clients.mlflow_errors import find_giveaways
from fixtures.clients.reach import list_open_addresses
from fixtures.clients.rest import ARTIFACT_API, REST_API
from fixtures.core.outcomes import Finding, Symptom, expect_that, shorten_text

NONE = "mlflow-suite-nonexistent"
LISTINGS = ("<title>Index of /", "<h1>Index of /", "<title>Directory listing for", "<h1>Directory listing for")
FOLDERS = ("/static-files/", "/static-files/static/js/")


@pytest.fixture
def public_probes(stack, probe):
    """URL -> a probe without a sign-in, for each address that the public uses."""
    return {url: probe.without_sign_in().fresh(url) for url in stack.public_urls}


def ask_publicly(public_probes, path, note):
    """URL -> the answer there; an address that this machine does not reach is noted."""
    found = {}
    for url, stranger in public_probes.items():
        try:
            found[url] = stranger.get(path)
        except Finding as error:
            note(f"{url}: not looked at: {shorten_text(error.seen, 80)}")
    return found


@pytest.mark.known_issue("F70")
def test_errors_tell_nothing_of_the_inside(stack, probe, unique):
    """Statements, traces and paths in an error show whoever asks how to go on, and values that are not theirs.

    Remedy: let a proxy in front replace the bodies of errors; report what is shown to MLflow.
    """
    name = {"name": unique("told-once")}
    probe.call("experiments/create", name)
    wrong_type = {"headers": {"Content-Type": "application/x-protobuf"}, "data": b"\xff"}
    answers = {
        "a name twice": probe.post(f"{REST_API}/experiments/create", json=name),
        "a wrong type": probe.post(f"{REST_API}/experiments/create", json={"name": {"of": [1]}}),
        "no JSON": probe.post(f"{REST_API}/experiments/search", data="{", headers={"Content-Type": "application/json"}),
        "a wrong id": probe.get(f"{REST_API}/experiments/get", params={"experiment_id": "1'"}),
        "a wrong filter": probe.post(f"{REST_API}/runs/search", json={"experiment_ids": ["0"], "filter": "a.b = 'c"}),
        "a missing file": probe.get(f"{ARTIFACT_API}/{NONE}"),
        "a wrong query": probe.post("/graphql", json={"query": "{"}),
        "wrong spans": probe.post("/v1/traces", **wrong_type),
    }
    told = {what: find_giveaways(answer.text) for what, answer in answers.items()}
    for what, answer in answers.items():
        told[what] += ["a secret"] * any(secret in answer.text for secret in stack.secrets if len(secret) > 7)
    found = {what: ", ".join(said) for what, said in told.items() if said}
    seen = "; ".join(f"{what} ({answers[what].status_code}): {said}" for what, said in found.items())
    symptom = Symptom.SQL_IN_ERROR if set(found.values()) == {"SQL"} else None
    expect_that(not found, "what errors tell", "nothing of the inside", seen, symptom=symptom, cases=found)


@pytest.mark.requires("public-url")
@pytest.mark.read_only
def test_figures_are_not_public(stack, public_probes, note):
    """At /metrics anybody sees each route with how often it is used, which helps to find where to attack.

    Remedy: let the proxy in front refuse /metrics, and Prometheus ask the server itself (--expose-prometheus).
    """
    for address in list_open_addresses(stack.mlflow_uri):
        note(f"MLflow's own port is open to others at {address}")
    answers = ask_publicly(public_probes, "/metrics", note)
    open_ = [url for url, a in answers.items() if a.status_code == 200 and "# TYPE " in a.text]
    expect_that(not open_, "GET /metrics without a sign-in", "closed", f"open at {', '.join(open_)}", cases=open_)


@pytest.mark.requires("public-url")
@pytest.mark.read_only
def test_folders_are_not_listed(public_probes, note):
    """A list of files that a web server in front makes shows what nobody linked: backups, notes, sources.

    Remedy: switch lists of folders off (nginx: autoindex off).
    """
    listed = [
        f"{url}{folder}"
        for folder in FOLDERS
        for url, answer in ask_publicly(public_probes, folder, note).items()
        if answer.status_code == 200 and any(words in answer.text for words in LISTINGS)
    ]
    expect_that(not listed, "GET of a folder", "no list of its files", ", ".join(listed), cases=listed)
