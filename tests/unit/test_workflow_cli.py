"""The command line without a server: usage, servers that do not answer, what is printed and what never is."""

import json
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from fixtures.workflow import cli, tracking_server
from fixtures.workflow.errors import ServerNotReached, explain_error

PASSWORD = "c4nary-w0rd"


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """The command sets variables for its whole process; here they are put back."""
    before = dict(os.environ)
    for name in (tracking_server.URI_VARIABLE, *tracking_server.HIDDEN_VARIABLES, "MLFLOW_TRACKING_USERNAME"):
        os.environ.pop(name, None)
    monkeypatch.setattr(tracking_server, "VERSION_SECONDS", 0.5)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def run(capsys):
    """run("check", ...) -> exit code, standard output, standard error."""

    def call(*argv):
        try:
            code = cli.main(argv)
        except SystemExit as end:  # argparse's own way
            code = end.code
        done = capsys.readouterr()
        assert "Traceback" not in done.err
        return code, done.out, done.err.strip()

    return call


class Answer(BaseHTTPRequestHandler):
    """Whatever the server object says."""

    def do_GET(self):
        self.server.seen.append(self.headers.get("Authorization"))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *args):
        pass


@pytest.fixture
def serve():
    """serve(status, body) -> the URL of a server that answers everything so, and the Authorization headers it saw."""
    servers = []

    def start(status, body):
        server = HTTPServer(("127.0.0.1", 0), Answer)
        server.status, server.body, server.seen = status, body, []
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", server.seen

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "COMMAND"),
        (["deploy"], "invalid choice: 'deploy'"),
        (["promote"], "--model"),
        (["export", "--model", "m"], "--out"),
        (["train", "--model", "m", "--quality", "bad"], "poor-auc_roc"),
        (["watch", "--model", "m", "--drift", "2"], "not between 0 and 1"),
        (["watch", "--model", "m", "--drift", "nan"], "not between 0 and 1"),
        (["watch", "--model", "m", "--drift", "much"], "'much' is not between 0 and 1"),
        (["train", "--model", "m", "--seed", "-1"], "'-1' is not a whole number"),
        (["train", "--model", "m", "--seed", "4294967296"], "from 0 to 4294967295"),
        (["watch", "--mod", "m"], "--model"),
        (["check"], "MLFLOW_TRACKING_URI"),
        (["check", "--mlflow-uri", ""], "no server named"),
        (["check", "--mlflow-uri", "localhost:5000"], "expected http://"),
        (["check", "--mlflow-uri", "sqlite:///mlflow.db"], "expected http://"),
        (["check", "--mlflow-uri", "http://"], "expected http://"),
        (["check", "--mlflow-uri", "http://host:port"], "expected http://"),
        (["validate", "--model", "", "--mlflow-uri", "http://h"], "--model is empty"),
        (["check", "--thresholds", "/nowhere.toml", "--mlflow-uri", "http://h"], "cannot be read"),
        (["verify", "--out", "/nowhere"], "/nowhere/manifest.json"),
    ],
)
def test_usage(argv, says, run):
    """One line on standard error, nothing on standard output, code 4."""
    code, out, err = run(*argv)
    assert (code, out, err.count("\n")) == (4, "", 0)
    assert says in err


def test_a_dead_server(run):
    """Code 7 at once, with the cause."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        begin = time.monotonic()
        code, out, err = run("check", "--mlflow-uri", f"http://127.0.0.1:{free.getsockname()[1]}")
    assert (code, out) == (7, "")
    assert "Connection refused" in err
    assert time.monotonic() - begin < 5


def test_a_server_that_accepts_and_never_answers(run):
    """Given up after the time that is allowed, not after minutes of retries."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        code, _, err = run("check", "--mlflow-uri", f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert (code, "no answer within" in err) == (7, True)


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (200, b"<html>hello</html>", "not an MLflow tracking server"),
        (302, b"", "not an MLflow tracking server"),
        (500, b"3.17.2", "not an MLflow tracking server"),
        (401, b"", "MLFLOW_TRACKING_USERNAME"),
        (403, b"Invalid Host header", "MLFLOW_SERVER_ALLOWED_HOSTS"),
    ],
)
def test_another_server(status, body, says, serve, run):
    code, out, err = run("check", "--mlflow-uri", serve(status, body)[0])
    assert (code, out, err.count("\n")) == (7, "", 0)
    assert says in err


def test_the_variable_is_the_default_and_the_option_wins(serve, run, monkeypatch):
    (first, _), (second, seen) = serve(401, b""), serve(401, b"")
    monkeypatch.setenv(tracking_server.URI_VARIABLE, first)
    assert first in run("check")[2]
    assert seen == []
    assert second in run("check", "--mlflow-uri", second)[2]


def test_a_password_is_used_and_never_printed(serve, run):
    """Credentials in the URL reach the server; neither a message nor the variable keeps them."""
    url, seen = serve(401, b"")
    code, out, err = run("check", "--mlflow-uri", url.replace("//", f"//ann:{PASSWORD}%40@"))
    assert seen == ["Basic YW5uOmM0bmFyeS13MHJkQA=="]  # ann:c4nary-w0rd@
    assert (code, PASSWORD in out + err + os.environ[tracking_server.URI_VARIABLE]) == (7, False)


@pytest.mark.parametrize(
    "url", [f"ftp://ann:{PASSWORD}@h", f"http://ann:{PASSWORD}@h:port", f"http://ann:{PASSWORD}@127.0.0.1:1"]
)
def test_a_wrong_url_keeps_its_password(url, run):
    assert PASSWORD not in run("check", "--mlflow-uri", url)[2]


def test_a_password_in_an_error_is_taken_out(run, monkeypatch):
    """Whatever a library says: the passwords of this process are not repeated."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PASSWORD)
    monkeypatch.setattr(
        cli, "perform_command", lambda given: (_ for _ in ()).throw(ServerNotReached(f"key {PASSWORD} is wrong"))
    )
    assert run("check") == (7, "", "python -m fixtures.workflow: key *** is wrong")


def test_a_token_is_sent(serve, run, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", PASSWORD)
    url, seen = serve(401, b"")
    run("check", "--mlflow-uri", url)
    assert seen == [f"Bearer {PASSWORD}"]


@pytest.mark.parametrize(("good", "code"), [(True, 0), (False, 1)])
def test_one_line_of_json(good, code, run, monkeypatch):
    """What libraries print goes to standard error; NaN does not spoil the JSON."""

    def perform(given):
        print("View run at http://...")
        return {"metrics": {"auc_roc": float("nan")}}, good

    monkeypatch.setattr(cli, "perform_command", perform)
    ended, out, err = run("check")
    assert (ended, err) == (code, "View run at http://...")
    assert json.loads(out, parse_constant=pytest.fail) == {"command": "check", "metrics": {"auc_roc": "nan"}}
    assert out.count("\n") == 1


def test_a_defect_of_ours_is_an_internal_error(run, monkeypatch):
    """Not code 1, which would mean that a gate failed."""
    monkeypatch.setattr(cli, "perform_command", lambda given: {}["missing"])
    code, out, err = run("check")
    assert (code, out, "internal error: KeyError" in err) == (3, "", True)


def test_an_interrupt_has_its_code(run, monkeypatch):
    monkeypatch.setattr(cli, "perform_command", lambda given: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run("check")[0] == 2


@pytest.mark.parametrize(
    ("status", "code"),
    [("RESOURCE_DOES_NOT_EXIST", 4), ("INVALID_PARAMETER_VALUE", 4), ("INTERNAL_ERROR", 7), ("PERMISSION_DENIED", 7)],
)
def test_what_the_server_says_decides_the_code(status, code):
    """Wrong or not there: 4. A server that fails or refuses us: 7."""
    from mlflow.exceptions import RestException

    error = explain_error(RestException({"error_code": status, "message": "so\nit is"}))
    assert error.code == code
    assert "so it is" in str(error)
