"""Sabotages that the suite security must catch: servers that follow paths, and that call whom a client names."""

from __future__ import annotations

import json
import re
import socket

from tests.sabotage.harness import Sabotage, raid
from tests.sabotage.lies import api, asked, has, lie, only, refused
from tests.sabotage.rules import Forward, Request, Response, answer, at

NETWORK = "security/test_network.py::test"
LEADS_OUT = re.compile(r"\.\.|%2e%2e|(artifacts/|=)(%2f|/)", re.IGNORECASE)


def look_outside(request: Request, forward: Forward) -> Response:
    """Take the path as it is, and find no such file there."""
    if not LEADS_OUT.search(request.target):
        response = forward(request)
        response.untouched = True
        return response
    return refused(404, "RESOURCE_DOES_NOT_EXIST", f"No such artifact: {request.target}")(request, forward)


def call_out(request: Request, forward: Forward) -> Response:
    """Call the address that the request names."""
    found = re.search(r"127\.0\.0\.1(?::|%3A)(\d+)", request.target + request.body.decode())
    assert found
    socket.create_connection(("127.0.0.1", int(found[1])), 5).close()
    return forward(request)


def keep_location(request: Request, forward: Forward) -> Response:
    """Take any location; the experiment is made elsewhere."""
    given = asked(request)
    given.pop("artifact_location", None)
    del request.headers["Content-Length"]
    request.body = json.dumps(given).encode()
    return forward(request)


VERSION = answer(200, {"model_version": {"name": "x", "version": "1"}})
WEBHOOK = answer(200, {"webhook": {"webhook_id": "w"}})
RAIDS = (
    raid(
        "a server that goes where it is sent",
        Sabotage(
            "paths are followed out of the artifact store",
            {
                "security/test_traversal.py::test_paths_do_not_lead_out_of_the_artifact_store": r"%2e%2e/%2e%2e/mlflow"
                r"-suite-nonexistent: 404.*\?path=/"
            },
            lie("paths", at("/mlflow-artifacts/artifacts", "GET"), look_outside),
        ),
        Sabotage(
            "paths are followed out of a run",
            {"security/test_traversal.py::test_paths_do_not_lead_out_of_a_run": r"get-artifact \.\./\.\./mlflow.*404"},
            lie("page", at("/get-artifact$"), look_outside),
        ),
        Sabotage(
            "a model's source may be a file: URL in capitals",
            {f"{NETWORK}_model_sources_lead_to_no_file_or_address": "FILE:///mlflow-suite-nonexistent taken"},
            lie("sources", api("model-versions/create"), only(has("FILE:"), VERSION)),
        ),
        Sabotage(
            "a prompt's source is not looked at",
            {f"{NETWORK}_prompt_tags_do_not_open_model_sources": "file:///mlflow-suite-nonexistent taken"},
            lie("prompts", api("model-versions/create"), only(has("is_prompt"), VERSION)),
        ),
        Sabotage(
            "an experiment may lie at an address",
            {f"{NETWORK}_experiment_locations_lead_to_no_file_or_address": "http://LISTENER/.* taken"},
            lie("locations", api("experiments/create"), only(has('"http://'), keep_location)),
        ),
        Sabotage(
            "webhooks go to any address",
            {f"{NETWORK}_webhooks_call_no_inner_address": "https://localhost:PORT/mlflow-suite-nonexistent taken"},
            lie("webhooks", at("/webhooks$", "POST"), only(has("https://localhost"), WEBHOOK)),
        ),
        Sabotage(
            "the gateway calls whom it is told",
            {f"{NETWORK}_gateway_routes_call_no_inner_address": "called the listener of ours 1 times"},
            lie("gateway", at("/gateway-proxy$"), call_out),
        ),
        beside="""client/test_artifacts.py::test_a_folder_comes_back_whole
            health/test_routes.py::test_routes_that_only_pages_use_are_let_through
            registry/test_versions.py::test_versions_are_numbered_in_the_order_of_registration""",
    ),
)
