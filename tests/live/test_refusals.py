"""A server that cannot be entered is one line that names the mend, within seconds, before anything is touched."""

import time
from contextlib import contextmanager

import pytest

from fixtures.backends.external import declare_stack
from fixtures.config.settings import resolve_settings
from fixtures.core.waiting import StartFailure
from fixtures.preflight import connect
from fixtures.preflight.deployment import run_preflight
from tests.lifecycle.stub import Stub
from tests.lifecycle.support import Trace, crowd, refused
from tests.live.authority import Authority
from tests.live.fronts import black_hole, hanging_up, listener, port_of, tls_stub

HTML = {"Content-Type": "text/html"}
PAGE = "<!doctype html><title>Welcome</title>"
BASIC = {"WWW-Authenticate": 'Basic realm="mlflow"'}
PASSWORD = {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "not-the-password"}
VERSION = (200, {"Content-Type": "text/plain"}, "3.17.2")


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def other_ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("other-ca"), "some other authority")


def answering(env=None, **answers):
    """A target that answers these."""

    @contextmanager
    def target(ca, other_ca):
        with Stub(**answers) as stub:
            yield stub.url, env or {}

    return target


@contextmanager
def nobody_listens(ca, other_ca):
    with listener() as closed:
        port = port_of(closed)
    yield f"http://127.0.0.1:{port}", {}


@contextmanager
def dropped(ca, other_ca):
    with black_hole() as port:
        yield f"http://127.0.0.1:{port}", {}


@contextmanager
def dropped_tls(ca, other_ca):
    with black_hole() as port:
        yield f"https://127.0.0.1:{port}", {}


@contextmanager
def silent(ca, other_ca):
    with listener() as mute:
        yield f"http://127.0.0.1:{port_of(mute)}", {}


@contextmanager
def silent_tls(ca, other_ca):
    with listener() as mute:
        yield f"https://127.0.0.1:{port_of(mute)}", {}


@contextmanager
def closing_at_once(ca, other_ca):
    with hanging_up() as port:
        yield f"http://127.0.0.1:{port}", {}


@contextmanager
def closing_tls(ca, other_ca):
    with hanging_up() as port:
        yield f"https://127.0.0.1:{port}", {}


@contextmanager
def unknown_name(ca, other_ca):
    yield "http://no-such-host.invalid:5000", {}


@contextmanager
def tls_spoken_to_plain(ca, other_ca):
    with Stub() as stub:
        yield stub.url.replace("http://", "https://"), {}


@contextmanager
def plain_spoken_to_tls(ca, other_ca):
    with tls_stub(ca.issue("localhost", "localhost")) as stub:
        yield stub.url.replace("https://", "http://"), {}


@contextmanager
def unknown_ca(ca, other_ca):
    with tls_stub(ca.issue("localhost", "localhost")) as stub:
        yield stub.url, {}


@contextmanager
def wrong_ca(ca, other_ca):
    with tls_stub(ca.issue("localhost", "localhost")) as stub:
        yield stub.url, {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(other_ca.pem)}


@contextmanager
def expired(ca, other_ca):
    with tls_stub(ca.issue("expired", "localhost", days=-1)) as stub:
        yield stub.url, {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(ca.pem)}


@contextmanager
def made_out_to_another(ca, other_ca):
    with tls_stub(ca.issue("another", "mlflow.example")) as stub:
        yield stub.url, {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(ca.pem)}


@contextmanager
def no_client_certificate(ca, other_ca):
    with tls_stub(ca.issue("localhost", "localhost"), clients=ca) as stub:
        yield stub.url, {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(ca.pem)}


@contextmanager
def a_strangers_client_certificate(ca, other_ca):
    own = other_ca.issue("stranger")
    with tls_stub(ca.issue("localhost", "localhost"), clients=ca) as stub:
        given = {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(ca.pem), "MLFLOW_TRACKING_CLIENT_CERT_PATH": str(own)}
        yield stub.url, given


REFUSALS = {
    "refused": (nobody_listens, ("Connection refused", "is the server up, is the port right?")),
    "dropped": (dropped, ("no connection within", "check the address", "firewall")),
    "dropped-tls": (dropped_tls, ("no connection within", "check the address", "firewall")),
    "silent": (silent, ("takes the connection and does not answer", "the server's log")),
    "silent-tls": (silent_tls, ("takes the connection and does not answer", "the server's log")),
    "closing": (closing_at_once, ("not reached", "is the server up, is the port right?")),
    "closing-tls": (closing_tls, ("in the TLS handshake", "check the scheme", "MLFLOW_TRACKING_CLIENT_CERT_PATH")),
    "unknown-name": (unknown_name, ("no-such-host.invalid is not known here", "spelling", "DNS")),
    "tls-to-plain": (tls_spoken_to_plain, ("speaks no TLS", "http://")),
    "plain-to-tls": (plain_spoken_to_tls, ("speaks TLS", "give the URL with https://")),
    "unknown-ca": (unknown_ca, ("a CA that this machine does not know", "MLFLOW_TRACKING_SERVER_CERT_PATH")),
    "wrong-ca": (wrong_ca, ("not signed by the CA in", "name the right CA", "MLFLOW_TRACKING_SERVER_CERT_PATH")),
    "expired": (expired, ("has expired", "renew it")),
    "wrong-host": (made_out_to_another, ("not made out to localhost", "stands in the certificate")),
    "no-client-certificate": (
        no_client_certificate,
        ("asks for a client certificate", "MLFLOW_TRACKING_CLIENT_CERT_PATH"),
    ),
    "strange-client-certificate": (
        a_strangers_client_certificate,
        ("does not take the client certificate", "stranger.pem", "MLFLOW_TRACKING_CLIENT_CERT_PATH"),
    ),
    "401": (answering(any=(401, BASIC, "no")), ("sign-in (401)", "set MLFLOW_TRACKING_USERNAME", "--header-file")),
    "401-password": (
        answering(PASSWORD, any=(401, BASIC, "no")),
        ("sign-in (401)", "password of user ann is not taken", "MLFLOW_TRACKING_USERNAME"),
    ),
    "401-token": (
        answering({"MLFLOW_TRACKING_TOKEN": "not-the-token"}, any=(401, {}, "no")),
        ("sign-in (401)", "the token is not taken", "MLFLOW_TRACKING_TOKEN"),
    ),
    "401-api": (
        answering(version=VERSION, any=(401, BASIC, "no")),
        ("sign-in (401)", "set MLFLOW_TRACKING_USERNAME"),
    ),
    "403": (answering(any=(403, HTML, "Forbidden")), ("not allowed in (403", "MLFLOW_TRACKING_TOKEN")),
    "403-host": (answering(any=(403, {}, "Invalid Host header")), ("403", "MLFLOW_SERVER_ALLOWED_HOSTS")),
    "login-page": (
        answering(any=(302, {"Location": "https://login.example/"}, "")),
        ("redirects to https://login.example/", "login page", "MLFLOW_TRACKING_TOKEN"),
    ),
    "login-page-api": (
        answering(version=VERSION, any=(302, {"Location": "https://login.example/"}, "")),
        ("redirects to https://login.example/", "login page", "MLFLOW_TRACKING_TOKEN"),
    ),
    "web-page": (answering(any=(200, HTML, PAGE)), ("a web page answers, not an MLflow", "a path is missing")),
    "web-page-api": (
        answering(version=VERSION, any=(200, HTML, PAGE)),
        ("a web page answers, not an MLflow", "a path is missing"),
    ),
    "no-mlflow": (
        answering(any=(200, {"Content-Type": "application/json"}, '{"version": "2.0"}')),
        ("not an MLflow tracking server", "application/json", "MLFLOW_TRACKING_URI"),
    ),
    "404": (answering(any=(404, HTML, "<h1>Not found</h1>")), ("not an MLflow", "404", "MLFLOW_TRACKING_URI")),
    "502": (answering(any=(502, HTML, "Bad gateway")), ("the proxy in front reaches no MLflow", "502")),
    "old": (
        answering(version=(200, {}, "2.10.0"), health=(200, {}, "OK")),
        ("MLflow 2.10.0 is older than 2.16", "upgrade it"),
    ),
}
WHOLE = {"refused": 0, "dropped": 2, "silent": 0, "wrong-ca": 2, "401-password": 2, "old": 0}


@pytest.mark.parametrize("name", REFUSALS)
def test_the_line_names_the_mend(name, ca, other_ca, tmp_path, record_property):
    """What stands at the end of the run: one line with address, what was seen and what to do."""
    target, words = REFUSALS[name]
    with target(ca, other_ca) as (url, env):
        given = {"stack": "external", "mlflow-uri": url}
        settings = resolve_settings(given, {"HOME": str(tmp_path), **env}, tmp_path)
        begun = time.monotonic()
        with pytest.raises(StartFailure) as refusal:
            run_preflight(declare_stack(settings), "rdy-none-")
    seconds, line = time.monotonic() - begun, str(refusal.value)
    record_property("seconds", round(seconds, 2))
    assert line.startswith(f"--mlflow-uri {url}: ")
    assert [word for word in words if word not in line] == [], line
    assert "\n" not in line
    assert "not-the-" not in line
    assert seconds < 30 * crowd()


def test_a_name_with_many_addresses_is_given_up_as_soon(monkeypatch):
    """Each address that drops takes its time: together no longer than one."""
    monkeypatch.setattr(connect.socket, "getaddrinfo", lambda *given, **more: [("an", "address")] * 6)
    connecting, _ = connect.choose_timeouts("https://mlflow.example")
    assert connecting * 6 <= connect.CONNECT_SECONDS


@pytest.mark.parametrize("name", WHOLE)
def test_the_run_ends_with_7(name, ca, other_ca, examples, scratch):
    """The same as a whole run, alone or with two workers: exit code 7, no traceback, nothing left."""
    target, words = REFUSALS[name]
    with target(ca, other_ca) as (url, env):
        args = ("--stack", "external", "--mlflow-uri", url, "suites/health/test_answers.py")
        outcome = examples.run(scratch, *args, workers=WHOLE[name], env=env)
    refused(outcome, 7, f"NOT PROVEN: --mlflow-uri {url}", *words, within=30)
    assert Trace(scratch).left() == []
