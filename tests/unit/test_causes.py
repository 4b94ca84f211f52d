"""Findings by cause: what follows from one defect is one group, what does not stays by itself; answers as types."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.clients.answers import Refused, name_route, read_refusal_text
from fixtures.core.cause_ids import Answer, CauseId, Diagnosis, Speaker
from fixtures.core.outcomes import DeadlinePassed
from fixtures.report.phases import find_answer
from fixtures.verdict.causes import CAUSES, assign_causes, collect_causes, find_cause_id, name_finding
from fixtures.verdict.records import CheckRecord, Status

CANARY = "suites/health/test_canary.py::test_canary_run_passes_the_whole_deep_path"
PUT = Answer("mlflow-artifacts/artifacts", "write", 500, "", Speaker.FRAMEWORK)
LIST = Answer("artifacts/list", "read", 401, "UNAUTHENTICATED", Speaker.MLFLOW)
SECRET = Diagnosis(CauseId.ARTIFACTS_WRONG_SECRET, (PUT, LIST), ("the store says so",))
READ_ONLY = Answer("experiments/create", "write", 400, "BAD_REQUEST", Speaker.MLFLOW, CauseId.DATABASE_READ_ONLY)


def failed(name, answer=None, case="", **fields):
    area, _, test = name.partition("/")
    check = name if "::" in name else f"suites/{area}/test_a.py::test_{test}"
    return CheckRecord(check, area, Status.FAIL, what=name, answer=answer, cases=(case,) if case else (), **fields)


def grouped(*cases, diagnoses=(SECRET,)):
    """cause -> its checks, by the short name of each."""
    found = collect_causes(assign_causes(cases, diagnoses), diagnoses)
    return {cause.id or cause.title: [check.rpartition("test_")[2] for check in cause.checks] for cause in found}


def test_what_met_the_same_answer_as_the_canary_follows_from_it():
    """The canary's finding is the anchor, also if another check comes before it; each record names it."""
    cases = [failed("client/a", PUT), failed(CANARY, LIST), failed("client/b", replace(LIST, route="get-artifact"))]
    records = assign_causes(cases, [SECRET])
    assert [r.cause for r in records] == [CANARY, "", CANARY]
    assert {r.cause_id for r in records} == {CauseId.ARTIFACTS_WRONG_SECRET}
    assert {r.status for r in records} == {Status.FAIL}
    (cause,) = collect_causes(records, [SECRET])
    assert (cause.finding, len(cause.checks), cause.checks[0]) == (CANARY, 3, CANARY)
    assert cause.evidence == ("the store says so",)
    assert (cause.title, cause.remedy) == CAUSES[CauseId.ARTIFACTS_WRONG_SECRET]


def test_without_the_canary_the_first_finding_is_the_anchor():
    assert grouped(failed("client/a", PUT), failed("client/b", PUT)) == {"artifacts.wrong-secret": ["a", "b"]}


@pytest.mark.parametrize(
    "other",
    [
        None,
        replace(PUT, status=503),
        replace(PUT, code="INTERNAL_ERROR"),
        replace(PUT, kind="read"),
        replace(PUT, route="runs/log-metric"),
    ],
)
def test_another_defect_stays_a_cause_of_its_own(other):
    """A lost metric, or a refusal that the preflight did not meet."""
    assert grouped(failed("client/a", PUT), failed("client/b", PUT), failed("client/c", other)) == {
        "artifacts.wrong-secret": ["a", "b"],
        "client/c": ["c"],
    }


def test_an_answer_that_decides_needs_no_diagnosis():
    """Whatever was asked; and a diagnosis comes before what the answer decides by itself."""
    other = replace(READ_ONLY, route="registered-models/create")
    assert grouped(failed("client/a", READ_ONLY), failed("registry/b", other), diagnoses=()) == {
        "database.read-only": ["a", "b"]
    }
    denied = replace(LIST, status=403, cause=CauseId.SERVER_PERMISSION)
    met = Diagnosis(CauseId.ARTIFACTS_MISSING_RIGHTS, (denied,))
    assert find_cause_id(failed("client/a", denied), [met]) is CauseId.ARTIFACTS_MISSING_RIGHTS
    assert find_cause_id(failed("client/a", denied), []) is CauseId.SERVER_PERMISSION


def test_a_check_may_say_whose_finding_its_own_follows_from():
    """If that one was found; else it stands for itself. It goes where that one goes."""
    assert grouped(failed(CANARY), failed("health/lies", cause=CANARY)) == {
        CANARY: ["canary_run_passes_the_whole_deep_path", "lies"]
    }
    assert grouped(failed("health/lies", cause=CANARY)) == {"health/lies": ["lies"]}
    records = assign_causes([failed(CANARY, PUT), failed("a/b", PUT), failed("health/lies", cause="a/b")], [SECRET])
    assert records[2].cause == ""
    both = assign_causes(
        [failed(CANARY, PUT), failed("a/b", PUT), failed("c/d", cause="suites/a/test_a.py::test_b")], [SECRET]
    )
    assert both[2].cause == CANARY


def test_cases_without_a_type_are_one_finding():
    """But a case of the same check with another cause is another."""
    cases = [failed("client/a", case="1"), failed("client/a", case="2"), failed("client/a", PUT, case="3")]
    assert grouped(*cases) == {"client/a": ["a"], "artifacts.wrong-secret": ["a"]}
    assert [r.cause for r in assign_causes(cases, [SECRET])] == ["", name_finding(cases[0].id, "1"), ""]


def test_what_passed_has_no_cause():
    passed = CheckRecord(CANARY, "health", Status.PASS, answer=PUT)
    assert assign_causes([passed], [SECRET]) == [passed]


ANSWERS = st.sampled_from([None, PUT, LIST, READ_ONLY, replace(PUT, status=502, cause=CauseId.FRONT_NO_UPSTREAM)])
NAMES = [CANARY, "client/a", "client/b", "registry/c"]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(NAMES), ANSWERS, st.sampled_from(["", "1", "2"])), max_size=8), st.booleans())
def test_no_finding_is_lost_in_a_group(found, diagnosed):
    """Each finding is an anchor or follows from one that is there, and each failed check stands under a cause."""
    cases = list({(name, case): failed(name, answer, case) for name, answer, case in found}.values())
    diagnoses = [SECRET] if diagnosed else []
    records = assign_causes(cases, diagnoses)
    anchors = {name_finding(r.id, r.cases[0] if r.cases else "") for r in records if not r.cause}
    assert all(r.cause in anchors for r in records if r.cause)
    causes = collect_causes(records, diagnoses)
    assert {check for cause in causes for check in cause.checks} == {r.id for r in records}
    assert {cause.finding for cause in causes} == anchors
    assert [(r.id, r.status) for r in records] == [(r.id, r.status) for r in cases]


DENIED = Answer("runs/get", "read", 403, "PERMISSION_DENIED", Speaker.MLFLOW, CauseId.SERVER_PERMISSION)
MISSING = Answer("runs/get", "read", 404, "RESOURCE_DOES_NOT_EXIST", Speaker.MLFLOW)


@pytest.mark.parametrize(
    ("refused", "ended_so", "answer"),
    [
        (Refused((PUT, MISSING), last=True), False, PUT),  # the preflight met it; the last says nothing
        (Refused((DENIED, MISSING), last=True), False, MISSING),  # the check may have wanted the first
        (Refused((DENIED,), last=False), False, None),  # what came last was no refusal
        (Refused((DENIED,), last=False), True, DENIED),
        (Refused((MISSING,), (READ_ONLY,), last=True), False, READ_ONLY),  # of a child
        (Refused((MISSING,), (MISSING,), last=False), False, None),
        (Refused(), True, None),
    ],
)
def test_the_refusal_on_which_a_check_ended_is_chosen(refused, ended_so, answer):
    assert refused.choose(ended_so, {PUT.likeness}) == answer


API = "http://h/sub/api/2.0/mlflow/"
FLASK = "<!doctype html>\n<html lang=en>\n<title>{0} Oops</title>\n<h1>Oops</h1>"
NGINX = "<html>\r\n<head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr><center>nginx</center>"


def told(code, message=""):
    return f'{{"error_code": "{code}", "message": "{message}"}}'


@pytest.mark.parametrize(
    ("method", "url", "status", "kind", "text", "cause"),
    [
        ("POST", API + "runs/create", 403, "application/json", told("PERMISSION_DENIED"), "server.permission"),
        ("POST", API + "runs/create", 403, "text/plain", "Permission denied", "server.permission"),
        ("POST", API + "runs/create", 403, "text/html", NGINX.format(403), "front.filter"),
        ("POST", API + "runs/create", 403, "text/plain", "RBAC: access denied", "front.mesh"),
        ("POST", API + "runs/create", 403, "text/plain", "Invalid Host header - x", "server.allowed-hosts"),
        ("DELETE", API + "runs/tags", 405, "text/html", NGINX.format(405), "front.method"),
        ("DELETE", API + "runs/tags", 405, "text/html", FLASK.format(405), None),
        ("PUT", API + "runs/a", 413, "text/html", NGINX.format(413), "front.body-limit"),
        ("GET", API + "runs/get", 429, "application/json", '{"error": "slow down"}', "front.rate-limit"),
        ("GET", API + "runs/get", 502, "text/html", NGINX.format(502), "front.no-upstream"),
        ("GET", API + "runs/get", 504, "", "", "front.no-upstream"),
        ("GET", API + "runs/get", 302, "", "", "front.sign-in"),
        ("GET", API + "runs/get", 404, "text/html", NGINX.format(404), "front.path"),
        ("GET", API + "runs/get", 404, "application/json", told("RESOURCE_DOES_NOT_EXIST"), None),
        ("GET", API + "runs/get", 500, "text/html", FLASK.format(500), None),
        ("PUT", "http://h/api/2.0/mlflow-artifacts/artifacts/1/a", 500, "text/plain", "Internal Server Error", None),
        ("GET", API + "artifacts/list", 403, "application/json", told("PERMISSION_DENIED"), None),
        (
            "GET", API + "artifacts/list", 401, "application/json",
            told("UNAUTHENTICATED", "Failed to list artifacts in s3://b: The request signature we calculated does not "
                 "match the signature you provided."),
            "artifacts.wrong-secret",
        ),
        (
            "POST", API + "runs/create", 400, "application/json",
            told("BAD_REQUEST", r"(raised in autoflush)\n(psycopg2.errors.InsufficientPrivilege) permission "
                 r"denied for table metrics\n\n[SQL: INSERT INTO"),
            "database.missing-rights",
        ),
        (
            "POST", API + "runs/create", 503, "application/json",
            told("TEMPORARILY_UNAVAILABLE", "(psycopg2.OperationalError) connection to server at h failed"),
            "database.no-connection",
        ),
        # What a client sent decides nothing, wherever it comes back.
        (
            "POST", API + "runs/create", 400, "application/json",
            told("BAD_REQUEST", r"x\n[SQL: INSERT]\n[parameters: NoSuchBucket (psycopg2.errors.DiskFull)]"),
            None,
        ),
    ],
)  # fmt: skip
def test_the_answer_decides_the_cause(method, url, status, kind, text, cause):
    """One table: who refused, and whether that says what has to change."""
    assert read_refusal_text(method, url, status, kind, text).cause == cause


def test_every_cause_has_its_remedy():
    """A title and what to change, and none for what is no cause."""
    assert set(CAUSES) == set(CauseId)
    assert all(title and remedy.endswith(".") for title, remedy in CAUSES.values())


@pytest.mark.parametrize(
    ("url", "route"),
    [
        (API + "experiments/create", "experiments/create"),
        ("http://h/ajax-api/2.0/mlflow/runs/get?run_id=1", "runs/get"),
        ("http://h/api/3.0/mlflow/traces/tr-1/tags", "traces"),
        ("http://h/api/2.0/mlflow-artifacts/artifacts/1/2f/artifacts/a.txt", "mlflow-artifacts/artifacts"),
        ("http://h/api/2.0/mlflow-artifacts/mpu/create/1/a", "mlflow-artifacts/mpu"),
        ("http://h/v1/traces", "v1/traces"),
        ("http://h/health", "health"),
    ],
)
def test_a_route_has_no_ids(url, route):
    assert name_route(url) == route


def test_a_check_that_ends_while_a_request_is_under_way_met_the_known_silence():
    """A store that never answers was met by the preflight; what had an answer of another kind is no such thing."""
    silent = Diagnosis(CauseId.ARTIFACTS_UNREACHABLE, (replace(PUT, status=None, speaker=Speaker.NOBODY),))
    ended = [DeadlinePassed("uploads", "an answer", "none", "", silent=owed) for owed in (True, False)]
    assert [find_answer(one, [SECRET, silent]) for one in ended] == [silent.answers[0], None]
    assert find_answer(DeadlinePassed("uploads", "an answer", "none", "", silent=True), [SECRET]) is None
