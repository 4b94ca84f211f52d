"""Published advisories about this version of MLflow, as far as they concern this server (F60)."""

import pytest
from packaging.version import Version

from fixtures.clients.answers import read_answer
from fixtures.core.cause_ids import Speaker
from fixtures.core.outcomes import NotProven, expect_that
from fixtures.core.uris import is_proxied
from fixtures.stack import SignIn
from fixtures.verdict.advisories import ADVISORY_FILE, Condition, read_advisories

pytestmark = pytest.mark.read_only
LISTS = {
    Condition.GATEWAY: "/api/3.0/mlflow/gateway/endpoints/list",
    Condition.WEBHOOKS: "/api/2.0/mlflow/webhooks",
    Condition.JOBS: "/ajax-api/3.0/jobs/none",
}


@pytest.fixture
def conditions(stack, probe):
    """What of the conditions of advisories was seen at this server."""
    seen = {Condition.SERVER}
    if stack.sign_in is SignIn.BASIC_AUTH:
        seen.add(Condition.BASIC_AUTH)
    if is_proxied(stack.artifact_root):
        seen.add(Condition.ARTIFACTS)
    for condition, path in LISTS.items():
        answer = probe.get(path)
        # A job that is not there is a 404 of the route's own, in JSON.
        if answer.status_code == 200 or (answer.status_code == 404 and read_answer(answer).speaker is Speaker.JSON):
            seen.add(condition)
    return seen


def test_no_advisory_with_a_fix_concerns_this_server(stack, conditions, note):
    """What is published is tried by anybody who finds the port, and a later version of MLflow mends it.

    Remedy: upgrade MLflow; accept an advisory by its id with --waivers until then.
    """
    version = stack.versions.get("mlflow", "")
    try:
        found = [one for one in read_advisories(ADVISORY_FILE.read_text()) if one.affects(version)]
    except ValueError as error:
        raise NotProven(f"advisories: {error}") from None
    doubts = {one: one.find_doubt(version, conditions) for one in found}
    for one, doubt in doubts.items():
        if doubt and Condition.ELSEWHERE not in one.conditions:
            note(f"{one.name}, {one.severity}: {one.what} {doubt.capitalize()}.")
    sure = {one.id: one for one, doubt in doubts.items() if not doubt}
    seen = "; ".join(f"{one.name}, {one.severity}, mended in {one.fixed}: {one.what}" for one in sure.values())
    newest = max((Version(one.surely_fixed or one.fixed) for one in sure.values()), default="")
    remedy = (
        f"Upgrade MLflow to {newest} or later, which mends all of them; until then accept each by its id (--waivers)."
    )
    expect_that(not sure, f"advisories about MLflow {version}", "none with a fix", seen, remedy, cases=sure)
