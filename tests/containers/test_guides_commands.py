"""The guide's commands, as the README has them: setup, start, logs, backup, reset, restore."""

import shutil
import subprocess

import pytest
import requests

from fixtures.core.files import ROOT
from fixtures.core.waiting import NotYet, wait_for
from tests.containers.support import free_ports

pytestmark = pytest.mark.timeout(600)
F = "docker compose -f docker-compose.mlflow.yml"


@pytest.fixture
def checkout(tmp_path, env):
    """sh(command) in a copy of what the commands need, on free ports; whatever is left goes at the end."""
    shutil.copytree(ROOT / "docker", tmp_path / "docker")
    for name in ("docker-compose.mlflow.yml", ".env.mlflow.local", ".env.mlflow.aws"):
        shutil.copy2(ROOT / name, tmp_path / name)

    def sh(command, code=0):
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    sh.folder = tmp_path
    yield sh
    sh(f"{F} --profile '*' down -v")


def on_free_ports(sh):
    """Let .env.mlflow name free ports; MLflow's URL."""
    ports, file = free_ports(), sh.folder / ".env.mlflow"
    file.write_text("".join(f"{name}={port}\n" for name, port in ports.items()) + file.read_text())
    return f"http://localhost:{ports['MLFLOW_PORT']}"


def answers(url):
    def look():
        try:
            requests.get(f"{url}/health", timeout=5).raise_for_status()
        except requests.RequestException as error:
            raise NotYet(str(error)) from None

    wait_for(url, look, 120)


def test_backup_reset_and_restore(checkout):
    """What was logged before the backup is there after a reset and a restore."""
    checkout("./docker/setup local")
    url = on_free_ports(checkout)
    up = f"{F} --env-file .env.mlflow --profile local up -d"
    checkout(up)
    answers(url)
    requests.post(f"{url}/api/2.0/mlflow/experiments/create", json={"name": "kept"}, timeout=20).raise_for_status()
    assert "Application startup complete" in checkout(f"{F} logs mlflow-server")
    assert "ready to accept connections" in checkout(f"{F} logs mlflow-db")
    checkout(f"{F} exec mlflow-db pg_dump -U mlflow_user mlflow_db > mlflow_backup.sql")
    checkout(f"{F} --profile local down -v")
    checkout(up)
    answers(url)
    query = f"{url}/api/2.0/mlflow/experiments/get-by-name?experiment_name=kept"
    assert requests.get(query, timeout=20).status_code == 404
    checkout(f"{F} stop mlflow-server")
    checkout(f"{F} exec mlflow-db dropdb -U mlflow_user mlflow_db")
    checkout(f"{F} exec mlflow-db createdb -U mlflow_user mlflow_db")
    checkout(f"{F} exec -T mlflow-db psql -q -v ON_ERROR_STOP=1 -U mlflow_user mlflow_db < mlflow_backup.sql")
    checkout(f"{F} start mlflow-server")
    answers(url)
    assert requests.get(query, timeout=20).json()["experiment"]["name"] == "kept"


def test_setup_never_writes_over_what_is_there(checkout):
    checkout("./docker/setup aws")
    first = (checkout.folder / ".env.mlflow").read_text()
    assert "POSTGRES_PASSWORD=\n" not in first
    assert "nothing was written" in checkout("./docker/setup local", code=1)
    assert (checkout.folder / ".env.mlflow").read_text() == first
    assert (checkout.folder / ".env.mlflow").stat().st_mode & 0o077 == 0


def test_without_a_password_the_database_does_not_start_and_says_why(checkout):
    checkout(f"{F} up -d mlflow-db")
    said = wait_for("log", lambda: said_so(checkout), 60)
    assert "POSTGRES_PASSWORD" in said


def said_so(sh):
    text = sh(f"{F} logs mlflow-db")
    if "POSTGRES_PASSWORD" not in text:
        raise NotYet(text)
    return text


@pytest.mark.parametrize("given", ["", "AWS_ACCESS_KEY_ID=k\nAWS_SECRET_ACCESS_KEY=s\nAWS_SESSION_TOKEN=t\n"])
def test_keys_reach_the_server_only_where_there_are_some(checkout, given):
    """With a role there must be no empty AWS_ACCESS_KEY_ID in the container, and no endpoint."""
    checkout("./docker/setup aws")
    with (checkout.folder / ".env.mlflow").open("a") as file:
        file.write(given)
    made = f"{F} --env-file .env.mlflow create --no-build --pull never mlflow-server"
    checkout(made)
    name = checkout(f"{F} ps -aq mlflow-server").strip()
    said = checkout("docker inspect -f '{{json .Config.Env}}' " + name)
    assert ("AWS_ACCESS_KEY_ID=k" in said and "AWS_SESSION_TOKEN=t" in said) == bool(given)
    assert ("AWS_ACCESS_KEY_ID=" in said) == bool(given)  # a bare name means that there is no such variable
    assert "MLFLOW_S3_ENDPOINT_URL=" not in said
