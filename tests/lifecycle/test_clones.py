"""Private stacks on clones of a template: real servers, apart from each other, gone afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import requests
from mlflow import MlflowClient

from fixtures.backends.clones import open_clones
from fixtures.clients.s3 import open_s3_client
from fixtures.core.files import ROOT
from fixtures.core.waiting import StartFailure
from fixtures.processes.child import HOME_VARIABLE

VICTIM = """
import time
from fixtures.backends.clones import open_clones
with open_clones() as source, source.stack() as stack:
    print(source.site.start.home, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def source():
    with open_clones() as found:
        yield found


def living(home):
    """Command lines of processes that carry the mark of this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(HOME_VARIABLE) == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.cmdline())
        except (psutil.Error, OSError):
            continue
    return found


@pytest.mark.slow
def test_two_clones_have_nothing_in_common(source, tmp_path):
    """What one has made, database and bucket, the other has not; both are as MLflow leaves a server at first."""
    (tmp_path / "a.txt").write_text("whole")
    with source.stack() as one, source.stack() as other:
        here, there = MlflowClient(one.mlflow_uri), MlflowClient(other.mlflow_uri)
        assert [e.name for e in there.search_experiments()] == ["Default"]
        run = here.create_run(here.create_experiment("mine")).info.run_id
        here.log_metric(run, "m", 1.5)
        here.log_artifact(run, str(tmp_path / "a.txt"))
        assert here.get_run(run).data.metrics == {"m": 1.5}
        assert [e.name for e in there.search_experiments()] == ["Default"]
        keys = {
            s.s3.prefix: [
                o["Key"]
                for o in open_s3_client(s.s3, 10)
                .list_objects_v2(Bucket=s.s3.name, Prefix=f"{s.s3.prefix}/")
                .get("Contents", [])
            ]
            for s in (one, other)
        }
        assert [len(keys[s.s3.prefix]) for s in (one, other)] == [1, 0], keys


def test_it_is_the_server_that_its_settings_ask_for(source):
    """Two workers, named hosts only, and its own database: variables are read by the fork, not by who forked it."""
    with source.stack() as stack:
        lines = Path(stack.logs["mlflow"]).read_text()
        assert lines.count("Started server process") == 2, lines
        assert requests.get(f"{stack.mlflow_uri}/version", timeout=30).ok
        refused = requests.get(
            f"{stack.mlflow_uri}/api/2.0/mlflow/experiments/search?max_results=1", headers={"Host": "evil"}, timeout=30
        )
        assert refused.status_code == 403
        names = [
            row[0] for row in source.site.execute("SELECT datname FROM pg_stat_activity WHERE datname LIKE 'clone%'")
        ]
        assert set(names) == {stack.db_uri.rpartition("/")[2]}


def test_a_stack_that_was_left_is_gone(source):
    """Its processes and its database; the warm process, Postgres and the store stay for the next one."""
    before = len(living(source.site.start.home))
    with source.stack() as stack:
        name = stack.db_uri.rpartition("/")[2]
        assert len(living(source.site.start.home)) >= before + 4  # the command, uvicorn and two workers
    assert len(living(source.site.start.home)) == before
    assert source.site.execute("SELECT datname FROM pg_database WHERE datname = %s", values=(name,)) == []


def test_a_server_that_cannot_start_says_why(source):
    source.site.execute("ALTER TABLE alembic_version RENAME TO gone", database="template_empty")
    try:
        with pytest.raises(StartFailure, match=r"MLflow at http.*ended(.|\n)*last \d+ lines of"), source.stack():
            pass
    finally:
        source.site.execute("ALTER TABLE gone RENAME TO alembic_version", database="template_empty")


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_after_any_end_nothing_is_left(how):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    argv = [sys.executable, "-c", VICTIM]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT, env=environment
    ) as victim:
        home = Path(victim.stdout.readline().strip())
        assert home.is_dir() and living(home)
        victim.send_signal(how)
        victim.wait(30)
    until = time.monotonic() + 30
    while (home.exists() or living(home)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not home.exists() and living(home) == []
