"""PgBouncer between server and database: a healthy deployment, whose limits count instead of Postgres' own."""

import shutil
from urllib.parse import urlsplit

import psycopg2
import pytest

from fixtures.clients.sql import SqlDoor
from fixtures.core.waiting import NotYet, wait_for
from fixtures.processes.child import start_child
from tests.live.runs import live
from tests.support.stacks import another_server

pytestmark = pytest.mark.timeout(300)
BUDGET = "suites/health/test_connections.py::test_workers_cannot_ask_for_more_connections_than_there_are"
CONFIG = """
[databases]
mlflow = host=127.0.0.1 port={database.port} dbname=mlflow
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {home}/users.txt
stats_users = mlflow
pool_mode = transaction
max_client_conn = 500
default_pool_size = 10
ignore_startup_parameters = extra_float_digits,options
"""


@pytest.fixture(scope="module")
def pooler(own_stack):
    """The URI of MLflow's database behind a PgBouncer in transaction mode."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/bin")
    if program is None:
        pytest.skip("pgbouncer is not installed; apt-get install pgbouncer (.ci/run does)")
    stack, begin = own_stack
    database, port, home = urlsplit(stack.db_uri), begin.ports.take(), begin.home / "pgbouncer"
    home.mkdir()
    (home / "users.txt").write_text(f'"{database.username}" "{database.password}"\n')
    (home / "pgbouncer.ini").write_text(CONFIG.format(database=database, port=port, home=home))
    home.chmod(0o755)
    child = start_child("pgbouncer", [program, home / "pgbouncer.ini"], begin.home, user="nobody")
    uri = database._replace(netloc=f"{database.username}:{database.password}@127.0.0.1:{port}").geturl()

    def answers():
        try:
            SqlDoor(uri).open()
        except psycopg2.Error as error:
            raise NotYet(str(error)) from None

    wait_for("pgbouncer", answers, 20, ended=child.ended, log=child.log)
    yield uri
    child.popen.terminate()
    child.popen.wait(20)


def budget_of(found):
    return found.statuses(of=BUDGET)[BUDGET]


@pytest.mark.slow
def test_a_server_behind_a_pooler_is_ready(own_stack, pooler, tmp_path):
    """Server and door both reach the database through it: the health suite and a client's runs hold."""
    _, begin = own_stack
    with another_server(begin, "pooled", MLFLOW_BACKEND_STORE_URI=pooler) as url:
        declared = ["--db-uri", pooler, "--workers", "8", "--pool-size", "55"]
        found = live(tmp_path, url, *declared, "suites/health", "suites/client/test_runs.py")
    assert list(found.fallen()) == [BUDGET], found.output
    assert "max_client_conn of the pooler, for 8 workers x 2 engines x 55" in found.output
    assert found.fallen()[BUDGET].endswith(": 500")


def test_a_pooler_that_is_named_has_its_limits_looked_at(own_stack, pooler, tmp_path):
    """The door goes to Postgres itself, which has too few slots; what the pooler takes is what counts."""
    stack, _ = own_stack
    declared = ["--db-uri", stack.db_uri, "--workers", "4", "--pool-size", "55", BUDGET]
    alone = live(tmp_path / "alone", stack.mlflow_uri, *declared)
    named = live(tmp_path / "named", stack.mlflow_uri, "--pooler", pooler, *declared)
    assert (budget_of(alone), budget_of(named)) == ("fail", "pass"), alone.output + named.output
    assert "max_client_conn 500" in named.output
    assert urlsplit(pooler).password not in named.output


@pytest.mark.parametrize(
    ("where", "words"),
    [("nowhere", ("does not answer", "check host")), ("database", ("Postgres itself answers", "leave the option out"))],
)
def test_a_pooler_that_is_none_is_one_line(own_stack, tmp_path, where, words):
    stack, begin = own_stack
    uri = stack.db_uri if where == "database" else f"postgresql://mlflow@127.0.0.1:{begin.ports.take()}/mlflow"
    found = live(tmp_path, stack.mlflow_uri, "--pooler", uri, BUDGET)
    lines = [line for line in found.output.splitlines() if "--pooler" in line]
    assert (found.code, len(lines)) == (7, 1), found.output
    assert [word for word in words if word not in lines[0]] == []
