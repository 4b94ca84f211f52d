"""Paths that lead out of the artifact folder (F64). Every target is a name that nobody has."""

import pytest

from fixtures.clients.rest import ARTIFACT_API, parse_body
from fixtures.clients.routes import is_html
from fixtures.core.outcomes import expect_that

NONE = "mlflow-suite-nonexistent"
ENCODED = ("..%2f..%2f{}", "%2e%2e/%2e%2e/{}", "%252e%252e%252f{}", "%2f{}", "file:%2f%2f%2f{}")
PLAIN = ("../../{}", "/{}")


def find_lookup(answer, inside):
    """How the answer shows that the store was asked for the path; None if the path was refused.

    `inside` is the answer for a missing file in the folder: what equals it was resolved to that on the way.
    """
    refused = 300 <= answer.status_code < 500 or is_html(answer)
    found = parse_body(answer)
    code = found.get("error_code", "") if isinstance(found, dict) else ""
    looked = code == "RESOURCE_DOES_NOT_EXIST"
    same = (answer.status_code, answer.text) == (inside.status_code, inside.text)
    return None if same or (refused and not looked) else f"{answer.status_code} {code}".strip()


@pytest.fixture
def refuse_lookups(probe):
    """refuse_lookups(what, inside, requests): raise Finding if one of {name: path and query} asked the store."""

    def judge(what, inside, requests):
        missing = probe.get(inside, exactly=True)
        answers = {name: probe.get(target, exactly=True) for name, target in requests.items()}
        wrong = {name: fault for name, answer in answers.items() if (fault := find_lookup(answer, missing))}
        seen = "; ".join(f"{name}: {fault}" for name, fault in wrong.items())
        expect_that(not wrong, what, "each refused with 4xx", seen, cases=wrong)

    return judge


@pytest.mark.read_only
def test_paths_do_not_lead_out_of_the_artifact_store(refuse_lookups):
    """A path such as ..%2f that the server follows opens files of its machine, or other objects of the bucket.

    Remedy: upgrade MLflow (CVE-2023-1177, CVE-2024-1560); a proxy in front must not decode the path a second time.
    """
    requests = {path.format(NONE): f"{ARTIFACT_API}/{path.format(NONE)}" for path in ENCODED}
    requests |= {f"?path={path.format(NONE)}": f"{ARTIFACT_API}?path={path.format(NONE)}" for path in PLAIN}
    refuse_lookups(f"paths below {ARTIFACT_API}", f"{ARTIFACT_API}/{NONE}", requests)


def test_paths_do_not_lead_out_of_a_run(refuse_lookups, make_run):
    """The page's own downloads take a path below the run: one that leads out reads what others keep there.

    Remedy: upgrade MLflow (CVE-2023-2356, CVE-2024-1560).
    """
    get, listed, run = "/get-artifact", "/api/2.0/mlflow/artifacts/list", make_run()
    paths = [path.format(NONE) for path in (*PLAIN, ENCODED[2])]
    asked = {f"{get} {path}": f"{get}?run_id={run}&path={path}" for path in paths}
    asked[f"{listed} {paths[0]}"] = f"{listed}?run_id={run}&path={paths[0]}"
    refuse_lookups(f"paths below the artifacts of run {run}", f"{get}?run_id={run}&path={NONE}", asked)
