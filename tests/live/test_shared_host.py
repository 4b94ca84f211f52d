"""A host of which MLflow has one folder, behind a front that compresses, beside much that is not ours: all is well."""

from contextlib import contextmanager

import pytest
import requests

from fixtures.backends.server import server_variables
from fixtures.core.waiting import NotYet, wait_for
from tests.live.authority import Authority
from tests.live.fronts import nginx
from tests.live.runs import live
from tests.sabotage.harness import Target

pytestmark = pytest.mark.timeout(300)
SELECTION = (
    "suites/health",
    "suites/security",
    "suites/client/test_artifacts.py",
    "suites/client/test_paging.py",
    "suites/client/test_search.py",
    "suites/client/test_spans.py",
    "suites/registry/test_search.py",
)
# nginx asks by HTTP/1.0 and buffers, both by default.
SHARED = """
    gzip on; gzip_proxied any; gzip_min_length 1; gzip_http_version 1.0;
    gzip_types application/json text/plain text/css text/javascript application/javascript;
    client_max_body_size 0;
    location /mlflow/ {{ proxy_pass {server}; proxy_set_header Host $http_host; }}
    location / {{ default_type text/html; return 200 '<html><title>Intranet</title><p>Welcome</p></html>'; }}
"""
RUNS = """
INSERT INTO runs
    (run_uuid, name, experiment_id, status, lifecycle_stage, artifact_uri, start_time, source_type, user_id)
SELECT md5('others ' || n), 'run ' || n, 0, 'FINISHED', 'active', 'mlflow-artifacts:/0/' || md5('others ' || n)
    || '/artifacts', n, 'LOCAL', 'somebody' FROM generate_series(1, 3000) n
"""
MODELS = """
INSERT INTO registered_models (name, creation_time, last_updated_time)
SELECT 'others-' || n, n, n FROM generate_series(1, 1500) n
"""


@contextmanager
def crowd_of_others(target):
    """Thousands of runs and models of somebody else."""
    target.execute(RUNS, MODELS)
    try:
        yield
    finally:
        target.execute(
            "DELETE FROM runs WHERE user_id = 'somebody'", "DELETE FROM registered_models WHERE name ~ '^others-'"
        )


@pytest.fixture
def server(own_stack, server_starter):
    """The address of a server on the stack's stores that has all its routes below /mlflow."""
    stack, begin = own_stack
    port = begin.ports.take()
    variables = server_variables(port, stack.db_uri, stack.s3, False) | {
        "MLFLOW_SERVER_ALLOWED_HOSTS": "localhost:*,127.0.0.1:*",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "https://localhost:*",
    }
    words = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--static-prefix", "/mlflow"]
    child, uri = server_starter.start_server("shared", words, begin.home, variables), f"http://127.0.0.1:{port}"

    def look():
        try:
            requests.get(f"{uri}/mlflow/health", timeout=5).raise_for_status()
        except requests.RequestException as error:
            raise NotYet(str(error)) from None

    try:
        wait_for("the server", look, 90, ended=child.ended, log=child.log)
        yield uri
    finally:
        child.popen.terminate()


@pytest.mark.slow
def test_one_folder_of_a_host_beside_many_others_is_ready(own_stack, server, tmp_path):
    _, begin = own_stack
    authority = Authority(tmp_path)
    certificate, body = authority.issue("shared", "localhost"), SHARED.format(server=server)
    with (
        nginx(begin.home, begin.ports, "nginx-shared", certificate, body) as front,
        crowd_of_others(Target(*own_stack)),
    ):
        uri = f"https://localhost:{front.port}/mlflow"
        env = {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(authority.pem)}
        ended = live(tmp_path, uri, f"--public-url={uri}", "-n", "2", *SELECTION, env=env)
    assert ended.fallen() == {}
    assert (ended.code, ended.document["verdict"]["word"]) == (0, "READY"), ended.output[-3000:]
