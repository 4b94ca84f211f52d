"""Bad input for a live server: one line with option or variable and mend, and the server is not even called."""

import json
import uuid

import pytest
import requests

from fixtures.clients.sql import SqlDoor
from tests.lifecycle.support import Trace, both_ways, refused
from tests.live.authority import Authority
from tests.live.fronts import listener, port_of

HEALTH = "suites/health/test_answers.py"
HEAD = {"run": "4711", "prefix": "rdy-4711-"}


@pytest.fixture
def uncalled(examples, scratch):
    """uncalled(code, *words, args=..., ...): the run is refused so, without a connection to the server."""

    def check(code, *words, args, workers=0, env=None):
        with listener() as server:
            server.setblocking(False)
            target = ("--stack", "external", "--mlflow-uri", f"http://127.0.0.1:{port_of(server)}")
            outcome = examples.run(scratch, *target, *args, workers=workers, env=env)
            with pytest.raises(BlockingIOError):
                server.accept()
        refused(outcome, code, *words, within=30)
        assert Trace(scratch).left() == []
        assert not list((outcome.report / "journals").glob("*"))

    return check


@pytest.mark.parametrize("name", ["SERVER", "CLIENT"])
@pytest.mark.parametrize("text", [None, "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n"])
def test_a_certificate_file_that_is_none(uncalled, scratch, name, text):
    file, variable = scratch / "some.pem", f"MLFLOW_TRACKING_{name}_CERT_PATH"
    if text is not None:
        file.write_text(text)
    why = "no such file" if text is None else "holds no"
    uncalled(4, f"ERROR: {variable}", str(file), why, "name a file that does", args=[HEALTH], env={variable: str(file)})


def test_a_client_certificate_without_its_key(uncalled, scratch):
    env = {"MLFLOW_TRACKING_CLIENT_CERT_PATH": str(Authority(scratch).pem)}
    uncalled(4, "ERROR: MLFLOW_TRACKING_CLIENT_CERT_PATH", "private key", args=[HEALTH], env=env)


@both_ways
def test_a_header_file_with_a_broken_line(uncalled, scratch, workers):
    (file := scratch / "headers").write_text("# for the proxy\nX-Tenant: blue\nAuthorization Bearer canary-of-line\n")
    words = ("ERROR: --header-file", str(file), "line 3", "`Name: value`")
    uncalled(4, *words, args=[f"--header-file={file}", HEALTH], workers=workers)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("holds no header", "`Name: value`")),
        ("Host: elsewhere\n", ("line 1", "Host", "leave it out")),
        ("X-Tenant: bl\x07ue\n", ("line 1", "`Name: value`")),
        (None, ("cannot be read", "No such file")),
    ],
    ids=["empty", "host", "bell", "missing"],
)
def test_a_header_file_that_cannot_be_sent(uncalled, scratch, text, words):
    file = scratch / "headers"
    if text is not None:
        file.write_text(text)
    uncalled(4, "ERROR: --header-file", *words, args=[f"--header-file={file}", HEALTH])


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--max-runs", "2"], ("--max-runs 2", "makes about", "select less")),
        (["--max-bytes", "10kB"], ("--max-bytes 10000", "moves about", "select less")),
        (["--max-bytes", "lots"], ("--max-bytes", "'lots'", "kB, MB or GB")),
        (["--max-rate", "0"], ("--max-rate", "'0'", "whole number")),
        (["--prefix", "Mine"], ("--prefix", "'Mine'", "ending with -")),
        (["suites/load"], ("load on a live server", "--allow-load", "slows the server down")),
        (["--profile", "read-only", "--allow-load", "suites/load"], ("--profile read-only", "load", "makes runs")),
    ],
    ids=lambda value: "-".join(value[:2]).replace("suites/", "") if isinstance(value, list) else "",
)
def test_a_budget_or_choice_that_does_not_fit(uncalled, args, words):
    selection = [] if args[-1].startswith("suites") else [HEALTH]
    uncalled(4, f"ERROR: {words[0]}", *words[1:], args=[*args, *selection])


@both_ways
def test_a_prefix_that_is_taken(examples, scratch, own_stack, workers):
    """Somebody's objects are named like ours would be: the run ends before it makes or deletes anything."""
    stack, _ = own_stack
    prefix = f"team-{uuid.uuid4().hex[:6]}-"
    api = f"{stack.mlflow_uri}/api/2.0/mlflow"
    requests.post(f"{api}/experiments/create", json={"name": f"{prefix}fraud"}, timeout=30).raise_for_status()
    before = everything(stack)
    args = ("--stack", "external", "--mlflow-uri", stack.mlflow_uri, "--prefix", prefix, HEALTH)
    outcome = examples.run(scratch, *args, workers=workers)
    refused(
        outcome, 7, f"NOT PROVEN: --prefix {prefix}", f"{prefix}fraud is already there", "choose another", within=60
    )
    assert everything(stack) == before
    assert list((outcome.report / "journals").glob("*")) == []


def everything(stack):
    """All experiments, runs and models, with their states, through SQL."""
    door = SqlDoor(stack.db_uri)
    try:
        return [
            door.rows("SELECT experiment_id, name, lifecycle_stage, last_update_time FROM experiments ORDER BY 1"),
            door.rows("SELECT run_uuid, lifecycle_stage FROM runs ORDER BY 1"),
            door.rows("SELECT name, last_updated_time FROM registered_models ORDER BY 1"),
        ]
    finally:
        door.close()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{nonsense", ("line 2 does not parse",)),
        (json.dumps({"kind": "experiment", "name": "production"}), ("line 2 names no object of run rdy-4711-",)),
        (None, ("line 1 does not say whose journal it is",)),
    ],
    ids=["nonsense", "foreign", "headless"],
)
def test_a_journal_that_does_not_parse(examples, scratch, line, words):
    """A sweep deletes by what journals say: one that cannot be believed ends it before the server is called."""
    with listener() as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{port_of(server)}"
        (file := scratch / "report" / "journals" / "4711.jsonl").parent.mkdir(parents=True)
        rest = json.dumps({"kind": "experiment", "name": "rdy-4711-a"})
        lines = [json.dumps(HEAD | {"server": url}) if line else "hello", line or rest, rest]
        file.write_text("\n".join(lines) + "\n")
        outcome = examples.run(scratch, "-q", "--stack", "external", "--mlflow-uri", url, "--sweep")
        with pytest.raises(BlockingIOError):
            server.accept()
    refused(
        outcome, 4, f"ERROR: {file}", *words, "correct the line or remove the file", "nothing was touched", within=30
    )
    assert file.read_text() == "\n".join(lines) + "\n"
