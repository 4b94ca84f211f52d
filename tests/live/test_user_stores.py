"""Two replicas with MLflow's basic auth behind nginx: with one user store, and with one each."""

import secrets
import sqlite3
import time
from contextlib import closing

import pytest

from fixtures.backends.server import ask_health, server_variables
from fixtures.clients.rest import RestClient
from fixtures.config.access import Access
from fixtures.core.waiting import wait_for
from tests.live.authority import Authority
from tests.live.fronts import nginx
from tests.live.neighbour import Stored, settle
from tests.live.runs import live

pytestmark = pytest.mark.timeout(300)
ADMIN, PASSWORD, KEY = "boss", secrets.token_hex(12), secrets.token_hex(16)
UPSTREAM = "upstream replicas {{ {servers} }}"
PASSED = "location / {{ proxy_pass http://replicas; proxy_set_header Host $http_host; }}"


@pytest.fixture
def replicas(own_stack, server_starter, tmp_path):
    """replicas(store, ...) -> the ports of servers on one database, each with this user store."""
    stack, begin = own_stack
    children = []

    def start(*stores):
        ports = []
        for number, store in enumerate(stores):
            port = begin.ports.take()
            (config := tmp_path / f"auth-{number}.ini").write_text(
                f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{tmp_path}/{store}.db\n"
                f"admin_username = {ADMIN}\nadmin_password = {PASSWORD}\nauth_cache_ttl_seconds = 60\n"
                "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
            )
            variables = server_variables(port, stack.db_uri, stack.s3, False) | {
                "MLFLOW_SERVER_ALLOWED_HOSTS": "localhost:*,127.0.0.1:*",
                "MLFLOW_AUTH_CONFIG_PATH": str(config),
                "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
                "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
                "MLFLOW_FLASK_SERVER_SECRET_KEY": KEY,
            }
            words = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--app-name", "basic-auth"]
            child = server_starter.start_server(f"replica-{port}", words, begin.home, variables)
            children.append(child)
            ended, log = child.ended, child.log
            wait_for("a replica", lambda port=port: ask_health(port), 90, ended=ended, log=log)
            ports.append(port)
        admin = RestClient(f"http://127.0.0.1:{ports[0]}", Access(ADMIN, PASSWORD))
        admin.call("users/create", {"username": "ann", "password": PASSWORD})
        return ports

    yield start
    for child in children:
        child.popen.terminate()


@pytest.fixture
def check(own_stack, tmp_path):
    """check(ports) -> how the suite security ended behind a front of these servers, with seconds that it took."""
    _, begin = own_stack
    (folder := tmp_path / "ca").mkdir()
    ca = Authority(folder)
    env = {
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(ca.pem),
        "MLFLOW_TRACKING_USERNAME": "ann",
        "MLFLOW_TRACKING_PASSWORD": PASSWORD,
    }

    def run(ports, user="ann", *options):
        upstream = UPSTREAM.format(servers=" ".join(f"server 127.0.0.1:{port};" for port in ports))
        name = f"nginx-{ports[0]}"
        certificate = ca.issue(name, "localhost")
        with nginx(begin.home, begin.ports, name, certificate, PASSED.format(), more=upstream) as front:
            start = time.monotonic()
            chosen = "suites/security", "suites/client/test_runs.py"
            signed = env | {"MLFLOW_TRACKING_USERNAME": user}
            ended = live(tmp_path, f"https://localhost:{front.port}", *chosen, *options, env=signed)
        return ended, time.monotonic() - start

    return run


def test_a_front_with_two_user_stores_is_one_finding_at_once(replicas, check):
    """No check but the one about users sends anything."""
    ended, seconds = check(replicas("one", "other"))
    assert [cause["id"] for cause in ended.document["causes"]] == ["sign-in.several-user-stores"], ended.output[-3000:]
    found = ended.statuses(of="::")
    known = [check for check in found if check.endswith("::test_every_replica_knows_the_declared_user")]
    assert {check for check, status in found.items() if status == "fail"} == set(known)
    assert set(found.values()) == {"fail", "not-checked"}
    assert (ended.code, seconds < 60) == (1, True)
    assert ended.document["verdict"]["line"].startswith("NOT READY: 1 cause, 1 check")
    assert ended.document["residue"] is None


@pytest.mark.slow
def test_replicas_with_one_user_store_are_ready(replicas, check):
    ended, _ = check(replicas("one", "one"))
    assert ended.fallen() == {}, ended.output[-3000:]
    assert ended.code == 0
    assert {"pass"} >= set(ended.statuses(of="suites/security/test_sign_in.py").values())


@pytest.mark.slow
def test_an_admin_whom_each_replica_made_hides_nothing(replicas, check):
    """The admin is known to both, and a user who is made later to one only."""
    ended, _ = check(replicas("one", "other"), ADMIN)
    assert [cause["id"] for cause in ended.document["causes"]] == ["sign-in.several-user-stores"], ended.output[-3000:]
    new = "suites/security/test_user_stores.py::test_a_new_user_is_known_to_every_replica"
    assert ended.statuses(of=new) == {new: "fail"}


def read_users(file):
    """All rows of a user store: users, roles, permissions."""
    with closing(sqlite3.connect(file)) as link:
        tables = link.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        return {table: set(link.execute(f"SELECT * FROM {table}")) for (table,) in tables.fetchall()}


@pytest.mark.slow
def test_nobody_elses_user_or_permission_is_touched(replicas, check, own_stack, tmp_path):
    """The whole matrix as an admin, beside a user who has a permission, and things that resemble ours."""
    (stack, _), prefix = own_stack, "rdy-users-1-"
    settle(stack, [prefix], tmp_path)
    ports = replicas("one")
    admin = RestClient(f"http://127.0.0.1:{ports[0]}", Access(ADMIN, PASSWORD))
    nightly = admin.ask("experiments/get-by-name", {"experiment_name": "nightly"})["experiment"]["experiment_id"]
    grant = {"resource_type": "experiment", "resource_id": nightly, "username": "ann", "permission": "READ"}
    assert admin.post("/api/3.0/mlflow/users/permissions/grant", json=grant).status_code == 200
    mine = admin.call("experiments/create", {"name": "of the admin"})["experiment_id"]  # who makes one gets a role
    admin.call("experiments/delete", {"experiment_id": mine})
    before, users = Stored.of(stack), read_users(tmp_path / "one.db")
    ended, _ = check(ports, ADMIN, "--prefix", prefix)
    assert ended.fallen() == {}, ended.output[-3000:]
    after = Stored.of(stack)
    assert before.harm(after) == []
    assert after.active(prefix) == []
    assert sum(map(len, users.values())) > 3
    left = read_users(tmp_path / "one.db")
    assert {table: rows - left[table] for table, rows in users.items() if rows - left[table]} == {}
    more = {table: rows - users[table] for table, rows in left.items() if rows - users[table]}
    assert set(more) <= {"role_permissions"}
    (role,) = {row[1] for row in users["role_permissions"] if row[3] == mine}  # MLflow keeps what a maker was granted
    assert {row[1] for row in more.get("role_permissions", [])} <= {role}
