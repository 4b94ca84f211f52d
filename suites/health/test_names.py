"""The host names and origins that clients and browsers use are let in (F02 and F03)."""

from urllib.parse import urlsplit

import pytest

from fixtures.core.outcomes import Finding, NotProven, shorten_text
from fixtures.preflight.canary import read_experiment_name

pytestmark = [pytest.mark.requires("public-url"), pytest.mark.read_only]

INVALID_HOST, BLOCKED_ORIGIN = "Invalid Host header", "Cross-origin request blocked"


def host_of(url):
    """What a client of `url` sends as Host: without the scheme's own port."""
    parts = urlsplit(url)
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return name if parts.port in (None, {"http": 80, "https": 443}[parts.scheme]) else f"{name}:{parts.port}"


def ask_as(probe, url, method, path, headers, **options):
    """MLflow's answer under the host name of `url`.

    The request goes to the stack's address; where a proxy there does not serve that name, to `url` itself.
    """
    answer = probe.request(method, path, headers={"Host": host_of(url), **headers}, **options)
    if answer.status_code == 200 or any(w in answer.text for w in (INVALID_HOST, BLOCKED_ORIGIN, "error_code")):
        return answer
    try:
        return probe.fresh(url).request(method, path, headers=headers, **options)
    except Finding as error:
        raise NotProven(f"{host_of(url)} at {probe.uri}: {answer.status_code}; {url} not reached: {error}") from None


def test_server_answers_to_the_names_that_clients_use(stack, probe, newest):
    """A name that is not on the server's list gets 403 for everything but /health, which stays green.

    Remedy: name the hosts in MLFLOW_SERVER_ALLOWED_HOSTS (or --allowed-hosts) of the server.
    """
    number, name = newest.experiments[0]
    query, wrong = {"experiment_id": number}, {}
    for url in stack.public_urls:
        answer = ask_as(probe, url, "GET", "/api/2.0/mlflow/experiments/get", {}, params=query)
        if read_experiment_name(answer) != name:
            wrong[host_of(url)] = read_experiment_name(answer)
    if wrong:
        remedy = (
            f"add {','.join(wrong)} to MLFLOW_SERVER_ALLOWED_HOSTS (or --allowed-hosts); the list replaces MLflow's "
            "default, so keep the other names in it, localhost and 127.0.0.1 with their ports among them"
        )
        raise Finding(f"GET with Host: {', '.join(wrong)}", f"experiment {name}", wrong, remedy)


def test_server_accepts_posts_from_the_pages_it_serves(stack, probe, newest):
    """A browser posts with the public URL as Origin; if it is blocked, MLflow's page loads and stays empty.

    Remedy: name the origins in MLFLOW_SERVER_CORS_ALLOWED_ORIGINS (or --cors-allowed-origins) of the server.
    """
    body, wrong = {"experiment_ids": [newest.experiments[0][0]], "max_results": 1}, {}
    for url in stack.public_urls:
        origin = f"{urlsplit(url).scheme}://{host_of(url)}"
        path, headers = "/ajax-api/2.0/mlflow/runs/search", {"Origin": origin}
        answer = ask_as(probe, url, "POST", path, headers, json=body)
        if INVALID_HOST in answer.text:  # the other check's finding; this one is about the origin
            answer = probe.post(path, headers=headers, json=body)
        if answer.status_code != 200 or not answer.headers.get("Content-Type", "").startswith("application/json"):
            wrong[origin] = f"{answer.status_code} {shorten_text(answer.text, 120)}"
    if wrong:
        remedy = f"add {','.join(wrong)} to MLFLOW_SERVER_CORS_ALLOWED_ORIGINS (or --cors-allowed-origins)"
        raise Finding(f"POST with Origin: {', '.join(wrong)}", "status 200, JSON", wrong, remedy)
