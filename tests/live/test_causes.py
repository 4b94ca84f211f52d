"""One defect of a real deployment is one cause, by its name and with its remedy; a second one stays another."""

import re
from contextlib import contextmanager

import pytest
import requests

from tests.live.runs import live, with_doors
from tests.sabotage.harness import Target, trigger
from tests.sabotage.lies import api, lie, only, says
from tests.sabotage.proxy import TamperProxy
from tests.sabotage.rules import Rule, answer, at
from tests.support.stacks import add_reading_key

CHECKS = [
    "suites/health/test_canary.py",
    "suites/health/test_services.py::test_health_answers_ok",
    "suites/health/test_services.py::test_registry_answers",
    "suites/client/test_artifacts.py::test_a_folder_comes_back_whole",
    "suites/client/test_artifacts.py::test_text_and_json_are_logged_as_written",
    "suites/client/test_metrics.py::test_values_stay_with_their_run_and_key",
    "suites/registry/test_models.py::test_description_and_tags_of_a_model_are_kept",
]
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def target(own_stack):
    return Target(*own_stack)


@contextmanager
def role(target, name, *statements):
    """A database role that may use all tables, changed by `statements`; yields the URI for it."""
    rights = ("ALL ON ALL TABLES IN SCHEMA public", "ALL ON ALL SEQUENCES IN SCHEMA public")
    target.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'", *(f"GRANT {r} TO {name}" for r in rights))
    target.execute(*statements)
    try:
        yield re.sub(r"//[^@]+@", f"//{name}:{name}@", target.stack.db_uri)
    finally:
        target.execute(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def judge(ended, cause, *words):
    """One cause, of this name, with these words in its remedy; what follows from it is folded in every file."""
    causes = ended.document["causes"]
    assert [one["id"] for one in causes] == [cause], ended.output[-3000:]
    failed = [check["id"] for check in ended.document["checks"] if check["status"] == "fail"]
    assert (sorted(causes[0]["checks"]), ended.code) == (sorted(failed), 1)
    counted = f"{len(failed)} check{'s' if len(failed) > 1 else ''}"
    assert ended.document["verdict"]["line"].startswith(f"NOT READY: 1 cause, {counted}")
    assert all(word in causes[0]["remedy"] for word in words), causes[0]["remedy"]
    return causes[0]


def test_a_wrong_secret_is_one_cause_in_every_file(serve, tmp_path):
    """The anchor is the canary's; the reader sees what to change first, and the rest folded with its number."""
    ended = live(tmp_path, serve(AWS_SECRET_ACCESS_KEY="not-the-secret"), *CHECKS)
    cause = judge(ended, "artifacts.wrong-secret", "AWS_SECRET_ACCESS_KEY")
    assert (
        cause["finding"]
        == cause["checks"][0]
        == "suites/health/test_canary.py::" + ("test_canary_run_passes_the_whole_deep_path")
    )
    follow = [check for check in ended.document["checks"] if check["cause"]]
    assert {check["cause"] for check in follow} == {cause["finding"]}
    assert len(follow) == len(cause["checks"]) - 1 >= 3
    report = tmp_path / "report"
    more = f"{len(follow)} more with the same cause"
    for name in ("readiness.md", "readiness.html"):
        page = (report / name).read_text()
        assert page.index("What to change") < page.index("Findings"), name
        assert more in page, name
    assert (report / "junit.xml").read_text().count('type="consequence"') == len(follow)
    assert f"CAUSE 1 of 1 ({len(follow) + 1} checks): the object store refuses the server's S3 secret" in ended.output
    assert ended.output.count("CAUSE ") == 1
    assert "WHAT TO CHANGE\n  1. the object store refuses" in ended.output


def test_a_second_defect_stays_a_cause_of_its_own(serve, tmp_path):
    """Behind the same address metrics are lost, too."""

    def lose(found):
        found["run"]["data"].pop("metrics", None)

    with TamperProxy(
        serve(AWS_SECRET_ACCESS_KEY="not-the-secret"), lie("lost", api("runs/get"), says(lose))()
    ) as proxy:
        ended = live(tmp_path, proxy.url, *CHECKS)
    causes = {one["id"]: one for one in ended.document["causes"]}
    assert causes["artifacts.wrong-secret"]["checks"]
    lost = "suites/client/test_metrics.py::test_values_stay_with_their_run_and_key"
    assert not any(lost in one["checks"] for name, one in causes.items() if name)
    assert ended.document["verdict"]["line"].startswith(f"NOT READY: {len(ended.document['causes'])} causes, ")
    assert ended.statuses(of=lost)[lost] == "fail"


@pytest.mark.parametrize(
    ("changed", "cause", "word"),
    [
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "artifacts.unknown-key", "AWS_ACCESS_KEY_ID"),
        pytest.param(
            {"MLFLOW_ARTIFACTS_DESTINATION": "s3://no-such-bucket/a"},
            *("artifacts.missing-bucket", "Create the bucket"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"MLFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:9"},
            *("artifacts.unreachable-endpoint", "MLFLOW_S3_ENDPOINT_URL"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_store_that_mlflow_cannot_use_is_named(serve, tmp_path, changed, cause, word):
    """Without the door s3: MLflow's list call tells."""
    judge(live(tmp_path, serve(**changed), *CHECKS), cause, word)


@pytest.mark.parametrize("declared", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_keys_that_may_only_read_are_named_by_our_own(serve, own_stack, tmp_path, declared):
    """MLflow says only 500: our keys may write, so the server's may not. Without them the candidates are listed."""
    stack, begin = own_stack
    key, secret = add_reading_key(begin, stack.s3)
    options, variables = with_doors(stack) if declared else ([], {})
    uri = serve(AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret)
    ended = live(tmp_path, uri, *CHECKS, *options, env=variables)
    if declared:
        cause = judge(ended, "artifacts.read-only-key", "s3:PutObject")
        assert any("our own S3 keys" in line and "write" in line for line in cause["evidence"])
    else:
        judge(ended, "artifacts.refused", "Candidates", "rights", "secret", "full disk", "--s3-endpoint")


FULL = "<Error><Code>XMinioStorageFull</Code><Message>Storage backend has reached its threshold.</Message></Error>"


def test_a_full_store_is_named_by_our_own_keys(serve, own_stack, tmp_path):
    """MLflow says only 500 for it, too."""
    _, variables = with_doors(own_stack[0])
    full = Rule("full", at("", "PUT", "POST"), answer(507, FULL, {"Content-Type": "application/xml"}))
    with TamperProxy(own_stack[0].s3.endpoint, [full]) as store:
        options = ["--s3-endpoint", store.url, "--s3-bucket", own_stack[0].s3.name]
        ended = live(tmp_path, serve(MLFLOW_S3_ENDPOINT_URL=store.url), *CHECKS, *options, env=variables)
    cause = judge(ended, "artifacts.disk-full", "room")
    assert any("a write is refused (XMinioStorageFull)" in line for line in cause["evidence"])


MALFORMED = (
    "<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; "
    "the region 'us-east-1' is wrong; expecting 'eu-central-1'</Message></Error>"
)


def test_the_wrong_region_of_a_bucket_is_named(serve, own_stack, tmp_path):
    """The store refuses whatever is signed for another region than its own, as MinIO with a region does."""
    signed = only(lambda request: "/us-east-1/s3/" in request.headers.get("authorization", ""), answer(400, MALFORMED))
    with TamperProxy(own_stack[0].s3.endpoint, [Rule("region", at(""), signed)]) as store:
        uri = serve(MLFLOW_S3_ENDPOINT_URL=store.url, AWS_DEFAULT_REGION="us-east-1")
        judge(live(tmp_path, uri, *CHECKS), "artifacts.other-region", "AWS_DEFAULT_REGION")


def test_a_bucket_that_neither_side_finds_is_a_finding(serve, own_stack, tmp_path):
    """Not exit code 7: the server is broken, and the door shows why."""
    options, variables = with_doors(own_stack[0])
    uri = serve(MLFLOW_ARTIFACTS_DESTINATION="s3://no-such-bucket/a")
    ended = live(tmp_path, uri, CHECKS[0], *options[:3], "no-such-bucket", env=variables)
    cause = judge(ended, "artifacts.missing-bucket")
    assert any("our own S3 keys" in line and "NoSuchBucket" in line for line in cause["evidence"])


def test_a_read_only_database_is_one_cause(serve, target, tmp_path):
    """Each write is refused, whatever was asked; its answer says why."""
    with role(target, "reader", "ALTER ROLE reader SET default_transaction_read_only = on") as uri:
        ended = live(tmp_path, serve(MLFLOW_BACKEND_STORE_URI=uri), *CHECKS)
        cause = judge(ended, "database.read-only", "MLFLOW_BACKEND_STORE_URI")
    assert len(cause["checks"]) > 5


def test_a_full_disk_of_the_database_is_one_cause(real_stack, target, tmp_path):
    """Postgres finds no room for a row: what it says then reaches the client through its driver and MLflow."""
    full = trigger(
        "runs",
        """RAISE EXCEPTION 'could not extend file "base/16384/16400": No space left on device'
        USING ERRCODE = 'disk_full';""",
    )
    target.execute(*full["sql"])
    try:
        judge(live(tmp_path, real_stack.mlflow_uri, *CHECKS), "database.disk-full", "room")
    finally:
        target.execute(*full["mend"])


def test_missing_rights_on_a_table_are_one_cause(serve, target, tmp_path):
    """The table is named."""
    with role(target, "limited", "REVOKE INSERT ON metrics FROM limited") as uri:
        ended = live(tmp_path, serve(MLFLOW_BACKEND_STORE_URI=uri), *CHECKS)
        assert judge(ended, "database.missing-rights", "GRANT")["subjects"] == ["table metrics"]


def test_a_role_without_connections_is_one_cause(serve, target, tmp_path):
    """The server was started when there were some; since then others hold all that its role may have."""
    with role(target, "crowded") as uri:
        server = serve(MLFLOW_BACKEND_STORE_URI=uri)
        for kind in ("experiments", "registered-models"):  # a store that is opened later tries for minutes
            query = {"max_results": 1}
            requests.get(f"{server}/api/2.0/mlflow/{kind}/search", params=query, timeout=60).raise_for_status()
        target.execute(
            "ALTER ROLE crowded CONNECTION LIMIT 0",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'crowded'",
        )
        judge(live(tmp_path, server, *CHECKS), "database.no-connection", "max_connections")


def test_the_schema_of_another_version_is_one_cause(real_stack, target, tmp_path):
    """Another version has migrated the database below a server that runs: a column is called otherwise."""
    target.execute("ALTER TABLE runs RENAME COLUMN deleted_time TO gone_since")
    try:
        cause = judge(live(tmp_path, real_stack.mlflow_uri, *CHECKS), "database.other-schema", "mlflow db upgrade")
    finally:
        target.execute("ALTER TABLE runs RENAME COLUMN gone_since TO deleted_time")
    assert any("deleted_time" in subject for subject in cause["subjects"])


PUT, RUNS = ["PUT mlflow-artifacts/artifacts"], ["POST runs/create"]
PAGE = {"Content-Type": "text/html"}


@pytest.mark.parametrize(
    ("rule", "cause", "subjects"),
    [
        (Rule("waf", at("/mlflow-artifacts/", "PUT"), answer(403, "<html>no</html>", PAGE)), "front.filter", PUT),
        (
            Rule("method", at("", "PUT", "DELETE", "PATCH"), answer(405, "<html>no</html>", PAGE)),
            "front.method",
            ["PUT"],
        ),
        (Rule("size", at("/mlflow-artifacts/", "PUT"), answer(413, "<html>no</html>", PAGE)), "front.body-limit", []),
        (Rule("mesh", at("runs/create$", "POST"), answer(403, "RBAC: access denied")), "front.mesh", RUNS),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_refusal_by_what_stands_in_front_is_one_cause(real_stack, tmp_path, rule, cause, subjects):
    """The form of the answer tells whose it is."""
    host = real_stack.mlflow_uri.removeprefix("http://")
    with TamperProxy(real_stack.mlflow_uri, [rule], host=host) as proxy:
        found = judge(live(tmp_path, proxy.url, *CHECKS), cause)
    assert set(subjects) <= set(found["subjects"])


def test_a_healthy_server_has_no_cause(real_stack, tmp_path):
    """The same checks."""
    ended = live(tmp_path, real_stack.mlflow_uri, *CHECKS)
    assert (ended.code, ended.document["causes"]) == (0, []), ended.output[-2000:]
