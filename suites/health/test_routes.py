"""Every route that somebody asks for is let through, with every method (R23): scripts and pages differ in theirs."""

import math

import pytest
from packaging.version import InvalidVersion, Version

from fixtures.clients.mlflow_errors import find_symptom
from fixtures.clients.rest import parse_body
from fixtures.clients.routes import ROUTES, AnswerKind, Asker, describe_answer, is_sign_in, read_json_path
from fixtures.core.outcomes import Finding, Lack, OutOfScope, expect_that


@pytest.fixture
def ask_routes(stack, probe, route_objects):
    """ask_routes(asker) -> {route: what is wrong with its answer} of all routes that the server's version has."""

    def ask(asker):
        wrong = {}
        for route in ROUTES:
            if route.answer is AnswerKind.PAGE:  # suites/health/test_page.py
                continue
            if route.asker is not asker or not route.fits(server_version(stack), route_objects):
                continue
            method, path, options = route.make_request(route_objects)
            answer = probe.request(method, path, **options)
            if asker is Asker.PAGES and is_sign_in(answer):
                raise OutOfScope(Lack.PAGE, f"{route.name}: {answer.status_code}, a sign-in for browsers")
            if fault := route.find_fault(answer, route_objects):
                wrong[route.name] = fault
        return wrong

    return ask


def server_version(stack):
    try:
        return Version(stack.versions.get("mlflow", ""))
    except InvalidVersion:
        return Version("0")


def refuse_wrong(wrong, expected, uri):
    if wrong:
        seen = "; ".join(f"{name}: {fault}" for name, fault in wrong.items())
        raise Finding(f"{', '.join(wrong)} at {uri}", expected, seen, cases=wrong)


def test_scripts_may_use_every_method(ask_routes, probe):
    """Python clients read with GET and POST, change with PATCH, delete with DELETE and store files with PUT.

    Remedy: let the methods named pass, in the proxy, filter (WAF) or gateway in front; an answer that is not MLflow's
    own comes from there.
    """
    refuse_wrong(ask_routes(Asker.SCRIPTS), "each answers as MLflow does", probe.uri)


def test_routes_that_only_pages_use_are_let_through(ask_routes, probe):
    """If a proxy passes only the routes of scripts, people see pages without runs, charts or files.

    Remedy: let everything below the server's URL pass, not only /api: /ajax-api, /graphql, /get-artifact,
    /model-versions/get-artifact and /static-files.
    """
    refuse_wrong(ask_routes(Asker.PAGES), "each answers as MLflow does", probe.uri)


@pytest.mark.known_issue("F44-page")
def test_the_page_can_read_a_run_whose_metrics_are_not_finite(probe, route_objects):
    """One metric that is NaN or infinite must not close the run's page: null or a number is right, an error is not.

    Remedy: upgrade MLflow to 3.2 or newer; if it is newer, look for a proxy that rewrites /graphql.
    """
    route = next(route for route in ROUTES if route.path == "/graphql")
    method, path, options = route.make_request(route_objects)
    answer = probe.request(method, path, **options)
    found = parse_body(answer)
    metrics = read_json_path(found, ("data", "mlflowGetRun", "run", "data", "metrics")) or []
    values = {metric.get("key"): metric.get("value") for metric in metrics}
    ok = {"nan", "inf", "-inf"} <= values.keys() and all(v is None or math.isfinite(v) for v in values.values())
    what = f"metrics nan, inf and -inf of run {route_objects.run} at POST /graphql"
    symptom = find_symptom(answer.text)
    ok = ok and not read_json_path(found, ("errors",))
    expect_that(ok, what, "null or a number, no error", describe_answer(answer), symptom=symptom)
