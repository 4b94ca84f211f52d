"""Servers that keep artifacts where we have no door: said as a fact, the API checks run, nothing is written here."""

import pytest

from fixtures.backends.external import declare_stack
from fixtures.backends.private import open_guarded_home
from fixtures.backends.protocol import Start
from fixtures.config.settings import Settings, resolve_settings
from fixtures.preflight.deployment import artifact_capabilities, describe_artifact_root, run_preflight
from fixtures.processes.ports import Ports
from fixtures.stack import Stack
from tests.live.runs import live
from tests.support.stacks import sqlite_server

pytestmark = pytest.mark.timeout(300)
SELECTION = (
    "suites/health/test_canary.py",
    "suites/health/test_artifact_root.py",
    "suites/client/test_artifacts.py",
    "suites/client/test_guide.py",
    "suites/registry/test_versions.py",
    "suites/integration/test_workflow.py",
)
STORING = {"client/test_artifacts.py", "integration/test_workflow.py", "registry/test_versions.py"}
KEYS_CHECK = "suites/health/test_existing_locations.py::test_clients_need_no_keys_of_a_store"
ROOT_CHECK = "test_artifact_root.py::test_new_experiments_get_an_object_store_or_the_proxy"


def server(begin, starter, name, root):
    """The URL of a real MLflow server on SQLite whose clients keep artifacts below `root` themselves."""
    words = ["--workers", "1", "--no-serve-artifacts", "--default-artifact-root", root]
    return sqlite_server(begin, starter, name, *words)


@pytest.fixture(scope="module")
def begin():
    """A guarded folder and ports, for servers that need nothing else."""
    with open_guarded_home() as home:
        ports = Ports()
        yield Start(Settings(), home, "tests", ports, lambda step: None)
        ports.release()


def looked_at(folder, uri, **more):
    """The stack as an operator's run would see it first."""
    given = {"stack": "external", "mlflow-uri": uri, **more}
    return run_preflight(
        declare_stack(resolve_settings(given, {"HOME": str(folder)}, folder)),
        f"rdy-look-{len(more.get('db-uri', ''))}-",
    )


def lacking(ended, capability):
    """The checks that are out of scope for want of it, all of them with a reason."""
    found = [c for c in ended.document["checks"] if capability in c["lacks"]]
    assert all(c["reason"] and c["status"] == "out-of-scope" for c in found)
    return {c["id"].partition("::")[0].removeprefix("suites/") for c in found}


def test_a_bucket_of_another_kind_is_out_of_scope(begin, server_starter, tmp_path):
    """Google's, with MySQL behind: what goes there is not tried, with the reason; everything else is, and holds."""
    hidden = "canary-of-mysql"
    with server(begin, server_starter, "gs", "gs://bucket/models") as uri:
        env = {"READINESS_DB_URI": f"mysql+pymysql://mlflow:{hidden}@db/m"}
        ended = live(tmp_path, uri, *SELECTION, "suites/health/test_database.py", env=env)
        kinds = {"mssql+pyodbc": "Microsoft SQL Server", "sqlite": "SQLite"}
        seen = {name: looked_at(tmp_path, uri, **{"db-uri": f"{name}://u@h/d"}) for name in kinds}
    assert ended.fallen() == {}
    assert (ended.code, ended.document["verdict"]["word"]) == (0, "READY"), ended.output[-3000:]
    assert lacking(ended, "artifacts") == STORING
    assert lacking(ended, "sql") == {"health/test_database.py"}
    assert {"pass"} < set(ended.statuses(of="suites/registry/").values()) <= {"pass", "known-issue", "out-of-scope"}
    assert "MySQL, to which there is no door: sql speaks PostgreSQL only" in ended.output
    assert "no door to gs:// is known to this suite" in ended.output
    assert "Traceback" not in ended.output
    assert hidden not in ended.output
    for name, stack in seen.items():
        assert (stack.foreign_database or "").startswith(f"{kinds[name]}, to which there is no door")
        assert not stack.capabilities & {"sql", "artifacts"}


@pytest.mark.parametrize("root", ["wasbs://c@a.blob.core.windows.net/m", "abfss://f@a.dfs.core.windows.net/m"])
def test_azures_stores_are_told_apart(root):
    """Roots of the other clouds are facts too, and none that a client here could reach."""
    stack = Stack("external", False, "http://mlflow.example", artifact_root=f"{root}/1/abc/artifacts")
    facts = describe_artifact_root(stack.artifact_root, stack)
    assert facts["artifact mode"].endswith(f"no door to {root.partition(':')[0]}:// is known to this suite")
    assert artifact_capabilities(stack) == frozenset()


@pytest.mark.parametrize("declared", [True, False])
def test_keys_that_clients_need_are_found_if_they_have_none(begin, server_starter, tmp_path, declared):
    """Files go to the bucket directly: a fact, and a finding where the operator says that clients hold no keys."""
    with server(begin, server_starter, f"direct-{declared}", "s3://models/mlflow") as uri:
        ended = live(tmp_path, uri, KEYS_CHECK, *["--clients-without-s3-keys"] * declared)
    seen = "s3://models: 0 'Default'"
    assert "clients need: S3 keys of their own" in ended.output
    assert (ended.code, seen in str(ended.fallen())) == ((1, True) if declared else (0, False)), ended.output[-2000:]
    if not declared:
        assert seen in ended.document["checks"][0]["notes"][0]


def test_local_disk_is_one_finding(begin, server_starter, tmp_path):
    """A plain path is a finding by itself; what would write to this machine's disk is owed, and nothing is written."""
    root = tmp_path / "not-here" / "mlruns"
    with server(begin, server_starter, "local", str(root)) as uri:
        ended = live(tmp_path, uri, *SELECTION)
    by_status = {s: {c for c, found in ended.statuses().items() if found == s} for s in ended.statuses().values()}
    assert by_status["fail"] == {f"suites/health/{ROOT_CHECK}"}
    assert {check.partition("::")[0].removeprefix("suites/") for check in by_status["not-checked"]} == STORING
    assert len([check for check in by_status["pass"] if "registry/" in check]) > 2
    assert (ended.code, ended.document["verdict"]["word"]) == (1, "NOT READY")
    assert "artifact mode: local disk" in ended.output
    assert "Traceback" not in ended.output
    assert list(root.rglob("*")) == []
