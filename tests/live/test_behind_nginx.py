"""A server behind nginx, as production has it: every client of ours brings whatever the front demands."""

import base64
import re
import secrets
import subprocess

import pytest

from fixtures.backends.external import declare_stack
from fixtures.config.settings import resolve_settings
from fixtures.core.waiting import StartFailure
from fixtures.preflight.deployment import run_preflight
from tests.live.authority import Authority
from tests.live.fronts import nginx
from tests.live.runs import live

pytestmark = pytest.mark.timeout(300)
TOKEN, TENANT, PASSWORD = (secrets.token_hex(12) for _ in range(3))
LOOK = "GET {}/api/2.0/mlflow/experiments/get?experiment_id=0"
# MLflow client, probe, load engine, processes with a client of their own, artifacts up and down.
EVERYTHING = (
    "suites/health/test_canary.py",
    "suites/health/test_services.py",
    "suites/health/test_names.py",
    "suites/health/test_page.py",
    "suites/health/test_routes.py",
    "suites/client/test_spans.py",
    "suites/security",
    "suites/client/test_artifacts.py::test_a_folder_comes_back_whole",
    "suites/load/test_create.py",
    "--allow-load",
)
STRICT = """
    ssl_client_certificate {ca};
    ssl_verify_client on;
    location /mlflow/ {{
      if ($http_authorization != "Bearer {token}") {{ return 401; }}
      if ($http_x_tenant != "{tenant}") {{ return 403; }}
      proxy_pass {server}/;
    }}
"""
BASIC = """
    location / {{
      auth_basic "staff";
      auth_basic_user_file {users};
      proxy_pass {server}/;
    }}
"""
LIMITED = """
    location / {{
      client_max_body_size 10m;
      proxy_pass {server};
    }}
"""


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("front-ca"))


@pytest.fixture(scope="module")
def strict(own_stack, ca):
    """TLS of a private CA, below /mlflow, that demands a client certificate, a bearer token and a header."""
    stack, begin = own_stack
    body = STRICT.format(ca=ca.pem, token=TOKEN, tenant=TENANT, server=stack.mlflow_uri)
    with nginx(begin.home, begin.ports, "nginx-strict", ca.issue("front", "localhost"), body) as front:
        yield front


@pytest.fixture
def demanded(ca, tmp_path):
    """What `strict` demands: options by name, and variables."""
    (headers := tmp_path / "headers").write_text(f"# for the proxy\nX-Tenant: {TENANT}\n")
    env = {
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(ca.pem),
        "MLFLOW_TRACKING_CLIENT_CERT_PATH": str(ca.issue("us")),
        "MLFLOW_TRACKING_TOKEN": TOKEN,
    }
    return {"header-file": str(headers)}, env


def test_every_client_brings_all_that_is_demanded(strict, demanded, tmp_path):
    """CA, client certificate, token, header and sub-path reach nginx with each request, whoever sends it."""
    options, env = demanded
    uri = f"https://localhost:{strict.port}/mlflow"
    more = [f"--{name}={value}" for name, value in options.items()]
    ended = live(tmp_path, uri, f"--public-url={uri}", *more, *EVERYTHING, env=env)
    assert ended.fallen() == {}
    assert (ended.code, ended.document["verdict"]["word"]) == (0, "READY"), ended.output[-3000:]
    assert {"pass", "known-issue"} >= set(ended.statuses(of="suites/load/").values())
    seen = strict.seen()
    # 499: a process that was ended while it asked; nginx refused nothing of ours, and everybody else.
    refused = [s for s in seen if s.upstream == "-" and s.status != 499]
    assert LOOK.format("/mlflow") in [s.request for s in refused]
    assert [s.request for s in refused if s.authorization == f"Bearer {TOKEN}"] == []
    assert set(ended.statuses(of="test_sign_in").values()) == {"pass"}
    passed = [s for s in seen if s.upstream != "-"]
    demands = {(s.verified, s.authorization, s.tenant) for s in passed}
    assert demands == {("SUCCESS", f"Bearer {TOKEN}", TENANT)}
    assert {s.request.split()[1].split("/")[1] for s in passed} == {"mlflow"}
    clients = {s.agent.split("/")[0] for s in passed}
    assert {"mlflow-python-client", "python-requests"} <= clients


@pytest.mark.slow
def test_a_password_gets_everybody_in(own_stack, ca, tmp_path):
    """Basic auth of a proxy, its certificate not looked at: from variables, with every request."""
    stack, begin = own_stack
    hashed = subprocess.run(
        ["openssl", "passwd", "-apr1", "-stdin"], input=PASSWORD, capture_output=True, text=True, check=True
    )
    (users := begin.home / "users").write_text(f"ann:{hashed.stdout}")
    body = BASIC.format(users=users, server=stack.mlflow_uri)
    env = {
        "MLFLOW_TRACKING_USERNAME": "ann",
        "MLFLOW_TRACKING_PASSWORD": PASSWORD,
        "MLFLOW_TRACKING_INSECURE_TLS": "true",
    }
    with nginx(begin.home, begin.ports, "nginx-basic", ca.issue("basic", "mlflow.example"), body) as front:
        selection = ("suites/health/test_canary.py", "suites/load/test_create.py", "--allow-load")
        ended = live(tmp_path, f"https://127.0.0.1:{front.port}", *selection, env=env)
        seen = front.seen()
    assert ended.fallen() == {}
    assert (ended.code, ended.document["verdict"]["word"]) == (0, "READY"), ended.output[-3000:]
    ours = "Basic " + base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
    assert [s.request for s in seen if s.authorization != ours] == [LOOK.format("")]
    assert "warning: MLFLOW_TRACKING_INSECURE_TLS" in ended.output
    assert "InsecureRequestWarning" not in ended.output
    assert "sign-in: by what stands in front: 401" in ended.output


def test_a_limit_on_bodies_is_found_with_its_size(own_stack, ca, tmp_path):
    """nginx refuses by the length alone: the limit is found to a MiB, and hardly a byte is sent."""
    stack, begin = own_stack
    body = LIMITED.format(server=stack.mlflow_uri)
    env = {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(ca.pem)}
    with nginx(begin.home, begin.ports, "nginx-limited", ca.issue("limited", "localhost"), body) as front:
        ended = live(tmp_path, f"https://localhost:{front.port}", "suites/client/test_sizes.py", env=env)
    check = "suites/client/test_sizes.py::test_the_largest_file_is_stored"
    assert list(ended.fallen()) == [check], ended.output[-3000:]
    assert re.search(r"413 text/html of nginx.*the largest that passes: about (9|10)\.\d MiB", ended.fallen()[check])
    assert ended.document["spent"]["bytes"] < 70 * 10**6


def without(name):
    return lambda options, env: (options, {k: v for k, v in env.items() if not k.endswith(name)})


WAYS = {
    "certificate": (without("CLIENT_CERT_PATH"), ("asks for a client certificate", "MLFLOW_TRACKING_CLIENT_CERT_PATH")),
    "token": (
        lambda options, env: (options, env | {"MLFLOW_TRACKING_TOKEN": "wrong"}),
        ("sign-in (401)", "token is not taken", "MLFLOW_TRACKING_TOKEN"),
    ),
    "no-token": (lambda o, env: ({}, without("TOKEN")(o, env)[1]), ("sign-in (401)", "MLFLOW_TRACKING_TOKEN")),
    "ca": (without("SERVER_CERT_PATH"), ("CA that this machine does not know", "MLFLOW_TRACKING_SERVER_CERT_PATH")),
    "scheme": (lambda o, env: (o | {"mlflow-uri": "http://localhost:{port}/mlflow"}, env), ("speaks TLS", "https://")),
    "path": (
        lambda o, env: (o | {"mlflow-uri": "https://localhost:{port}"}, env),
        ("not an MLflow tracking server", "404", "with its path"),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_lacks_is_named(strict, demanded, tmp_path, way):
    """nginx's own refusals are told apart: one line each."""
    change, words = WAYS[way]
    options, env = change(*demanded)
    uri = options.get("mlflow-uri", "https://localhost:{port}/mlflow").format(port=strict.port)
    given = {"stack": "external", **options, "mlflow-uri": uri}
    with pytest.raises(StartFailure) as refusal:
        run_preflight(declare_stack(resolve_settings(given, {"HOME": str(tmp_path), **env}, tmp_path)), "rdy-none-")
    line = str(refusal.value)
    assert [word for word in words if word not in line] == [], line
    assert TOKEN not in line
    assert TENANT not in line
