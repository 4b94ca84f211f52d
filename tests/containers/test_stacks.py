"""Stacks in containers: the other store, other images, other files, other ways to the engine, and what parts can do."""

import os
import re
import subprocess
import sys

import pytest
import requests

from fixtures.backends.faults import Part
from fixtures.core.files import ROOT
from fixtures.core.waiting import NotYet, wait_for
from fixtures.stack import Stack
from tests.containers.support import HANGS, Trail

pytestmark = pytest.mark.timeout(600)
CHECK = "suites/health/test_answers.py"


@pytest.fixture
def run(examples, scratch, env):
    """run(*args) -> the outcome of a run that must end with 0."""

    def go(*args, more=None):
        done = examples.begin(scratch, *args, CHECK, env=env | (more or {})).finish(300)
        assert done.code == 0, done.out
        return done

    return go


def test_the_report_names_the_store_and_the_start_by_step(run):
    found = run("--stack", "containers", "--store", "seaweedfs").document()
    assert re.fullmatch(r"SeaweedFS \d+\.\d+", found["stack"]["versions"]["store"])
    assert [*found["timings"]["steps"]][-4:] == ["postgres", "object store", "mlflow", "preflight"]
    assert found["advices"] == []  # its image has uvloop


def test_auto_takes_containers_where_an_engine_has_the_images(run):
    assert "stack: containers (an engine answers" in run().out


def test_mlflows_defaults_can_be_started(run):
    found = run("--stack", "containers", "--mlflow-defaults").document()
    assert found["stack"]["pool"] == 15
    assert [advice["topic"] for advice in found["advices"]] == ["kept-connections"]  # it runs without uvloop


@pytest.mark.parametrize("kind", ["containers", "compose"])
def test_mlflows_own_sign_in_is_asked_for(run, kind):
    done = run("--stack", kind, "--auth", "basic")
    assert "sign-in: basic auth (MLflow's own)" in done.out


def test_another_compose_file_with_fixed_names_and_ports(run, scratch, chosen):
    """An operator's file as many are: fixed container names, volume names and ports, a store of its own."""
    (scratch / "other.yml").write_text(OTHER.format(**chosen))
    done = run("--stack", "compose", "--compose-file", str(scratch / "other.yml"))
    for said in ("container_name left out", "volume mlflow_postgres_data -> rdy-", "port 5000 -> "):
        assert said in done.out
    assert re.search(r"object store: MinIO \S+ at http://\S+, s3://models/root", done.out)


def test_an_engine_at_a_tcp_address(run, env):
    """tcp://: the same engine through a forwarder."""
    program = "import sys; from tests.containers.support import forward; forward(sys.argv[1])"
    path = env["DOCKER_HOST"].removeprefix("unix://") if env.get("DOCKER_HOST") else "/var/run/docker.sock"
    with subprocess.Popen(
        [sys.executable, "-c", program, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as forwarder:
        port = forwarder.stdout.readline().strip()
        try:
            for stack in ("containers", "compose"):
                run("--stack", stack, more={"DOCKER_HOST": f"tcp://127.0.0.1:{port}"})
        finally:
            forwarder.kill()


@pytest.mark.skipif(not os.path.exists("/.dockerenv"), reason="only within a container there is a gateway to aim at")
def test_from_within_a_container(run, env):
    """Testcontainers' own choice there is the bridge's gateway: MLflow lets that name in, too."""
    done = run("--stack", "containers", more={"TESTCONTAINERS_CONNECTION_MODE": "gateway_ip"})
    assert "mlflow: http://127.0.0.1" not in done.out


@pytest.mark.parametrize("kind", ["containers", "compose"])
def test_parts_can_be_restarted_frozen_and_cut_off(examples, scratch, env, kind, monkeypatch):
    """What is done to a part shows, and passes."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    begun = examples.begin(scratch, "--stack", kind, *HANGS, env=env)
    begun.wait_for_file("first.hangs")
    trail = Trail(begun).read()
    stack = Stack.load(next(f / "stack.json" for f in begun.folders() if (f / "stack.json").exists()))
    database, server = Part.of(stack, "mlflow-db"), Part.of(stack, "mlflow-server")
    try:
        with database.paused(), pytest.raises(requests.Timeout):
            search(stack, 2)
        back(stack)
        with database.disconnected(), pytest.raises(requests.RequestException):
            search(stack, 4)
        back(stack)
        server.restart()
        back(stack)
        database.kill()
        database.start()
        back(stack)
    finally:
        begun.popen.terminate()
        begun.finish(120)
    trail.is_gone()


def search(stack, seconds):
    requests.post(
        f"{stack.mlflow_uri}/api/2.0/mlflow/experiments/search", json={"max_results": 1}, timeout=seconds
    ).raise_for_status()


def back(stack):
    def look():
        try:
            search(stack, 5)
        except requests.RequestException as error:
            raise NotYet(str(error)) from None

    wait_for("MLflow", look, 90)


OTHER = """
services:
  mlflow-db:
    image: {POSTGRES_IMAGE}
    container_name: mlflow-db
    restart: always
    environment: {{POSTGRES_USER: mlflow_user, POSTGRES_PASSWORD: "p@ss/w:rd", POSTGRES_DB: mlflow_db}}
    command: ["postgres", "-c", "max_connections=250"]
    volumes: ["postgres_data:/var/lib/postgresql/data"]
    ports: ["5433:5432"]
  minio:
    image: {MINIO_IMAGE}
    container_name: minio
    command: server /data
    environment: {{MINIO_ROOT_USER: someone, MINIO_ROOT_PASSWORD: something}}
    ports: ["9000:9000"]
  bucket:
    image: {MLFLOW_IMAGE}
    restart: on-failure
    command:
      - python
      - -c
      - |
        import time, boto3
        s3 = boto3.client("s3", endpoint_url="http://minio:9000", region_name="us-east-1")
        for _ in range(50):
            try:
                s3.create_bucket(Bucket="models")
                break
            except Exception:
                time.sleep(0.2)
    environment: {{AWS_ACCESS_KEY_ID: someone, AWS_SECRET_ACCESS_KEY: something}}
  mlflow-server:
    image: {MLFLOW_IMAGE}
    container_name: mlflow-server
    command: mlflow server --host 0.0.0.0 --port 5000 --artifacts-destination s3://models/root
    environment:
      MLFLOW_BACKEND_STORE_URI: postgresql+psycopg2://mlflow_user:p%40ss%2Fw%3Ard@mlflow-db:5432/mlflow_db
      AWS_ACCESS_KEY_ID: someone
      AWS_SECRET_ACCESS_KEY: something
      MLFLOW_S3_ENDPOINT_URL: http://minio:9000
      MLFLOW_WORKERS: "1"
      MLFLOW_SERVER_ALLOWED_HOSTS: "localhost:5000"
    ports: ["5000:5000"]
    depends_on: [mlflow-db, minio]
volumes:
  postgres_data: {{name: mlflow_postgres_data}}
"""
