"""The shipped Compose file, read as text: what it must not hold, and what must agree with other files."""

import configparser
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from fixtures.backends import recommended
from fixtures.config import images
from fixtures.core.files import ROOT

SERVICES = (ROOT / "docker" / "services.yml").read_text()
FOUND = yaml.safe_load(SERVICES)
TEMPLATES = {name: (ROOT / name).read_text() for name in (".env.mlflow.local", ".env.mlflow.aws")}


def test_the_image_pins_come_from_the_one_file():
    (included,) = yaml.safe_load((ROOT / "docker-compose.mlflow.yml").read_text())["include"]
    assert included == {"path": "docker/services.yml", "env_file": "docker/images.env", "project_directory": "."}
    known = set(images.pinned_images())
    for service in FOUND["services"].values():
        assert set(re.findall(r"\$\{(\w+)", service["image"])) <= known


def test_the_servers_program_is_the_one_of_its_file():
    serve = (ROOT / "docker" / "mlflow" / "serve.py").read_text()
    assert FOUND["services"]["mlflow-server"]["command"][2].strip() == serve.strip()
    assert "$" not in serve  # Compose would take it for a variable


@pytest.mark.parametrize("name", sorted(FOUND["services"]))
def test_every_service_is_as_the_guide_and_more_asks(name):
    service = FOUND["services"][name]
    assert "container_name" not in service
    assert service["logging"]["options"]["max-size"]
    assert service["restart"] != "no"
    for port in service.get("ports", ()):
        assert re.match(r"\$\{\w+_BIND:-127\.0\.0\.1\}:\$\{\w+_PORT:-\d+\}:\d+$", port), port
    if name != "minio-bucket":
        assert service["healthcheck"]["test"]


def test_volumes_and_networks_are_the_projects_own():
    assert all(body is None for body in FOUND["volumes"].values())
    assert "networks" not in FOUND


def test_no_password_stands_anywhere_but_in_the_local_template():
    assert re.findall(r"PASSWORD:-[^}]", SERVICES) == []
    assert "POSTGRES_PASSWORD=\n" in TEMPLATES[".env.mlflow.aws"]
    assert "minioadmin" not in SERVICES + TEMPLATES[".env.mlflow.aws"]


def test_the_connection_limit_fits_the_pools():
    given = FOUND["services"]["mlflow-server"]["environment"]
    number = {
        name: int(re.search(r":-(\d+)\}", given[name]).group(1))
        for name in list(recommended.recommend_variables(1))[:3]
    }
    workers, pool, overflow = number.values()
    limit = int(re.search(r"MAX_CONNECTIONS:-(\d+)", SERVICES).group(1))
    assert pool > recommended.WORKER_THREADS
    assert limit >= workers * recommended.ENGINES_PER_WORKER * (pool + overflow) + 20


def test_what_our_findings_recommend_is_set():
    assert set(recommended.recommend_variables(5000)) <= set(FOUND["services"]["mlflow-server"]["environment"])


@pytest.mark.parametrize(
    ("says", "code", "words"),
    [
        ("", 1, "Compose 2.24 or newer is needed, found: none"),
        ("v2.23.3", 1, "found: v2.23.3"),
        ("2.24.0", 0, "wrote .env.mlflow"),
        ("2.40.3-desktop.1", 0, "wrote .env.mlflow"),
        ("5.1.0", 0, "wrote .env.mlflow"),
    ],
)
def test_setup_asks_for_a_compose_that_knows_the_file(tmp_path, says, code, words):
    """Version 1, which has no `docker compose`, is refused in a line; what is newer is not."""
    done = run_setup(tmp_path, "aws", says)
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr
    assert (tmp_path / ".env.mlflow").exists() == (code == 0)


def run_setup(folder, kind, says="2.40.3"):
    """docker/setup in a folder of its own, beside a Compose of this version."""
    (folder / "docker").mkdir()
    shutil.copy2(ROOT / "docker" / "setup", folder / "docker")
    for template in TEMPLATES:
        shutil.copy2(ROOT / template, folder)
    (folder / "bin").mkdir()
    (folder / "bin" / "docker").write_text(f"#!/bin/sh\n[ -n '{says}' ] && echo '{says}'\n")
    (folder / "bin" / "docker").chmod(0o755)
    path = {"PATH": f"{folder}/bin:/usr/bin:/bin"}
    return subprocess.run([folder / "docker" / "setup", kind], env=path, capture_output=True, text=True)


def test_setup_writes_keys_that_nobody_knows(tmp_path):
    """Each deployment has its own, only its owner reads them, and no example of the template is left."""
    made = []
    for name in ("one", "two"):
        (folder := tmp_path / name).mkdir()
        done = run_setup(folder, "local")
        assert (done.returncode, "wrote .env.mlflow" in done.stdout) == (0, True), done.stderr
        file = folder / ".env.mlflow"
        assert file.stat().st_mode & 0o777 == 0o600
        made.append(dict(line.split("=", 1) for line in file.read_text().splitlines() if re.match(r"[A-Z]", line)))
    secret = ("POSTGRES_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    secret += ("MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY")
    assert {name for name in made[0] if made[0][name] != made[1][name]} == set(secret)
    assert all(len(made[0][name]) >= 20 and made[0][name] not in TEMPLATES[".env.mlflow.local"] for name in secret)


def test_a_sign_in_on_an_older_mlflow_is_refused_in_a_line(tmp_path):
    (old := tmp_path / "mlflow-3.15.2.dist-info").mkdir()
    (old / "METADATA").write_text("Name: mlflow\nVersion: 3.15.2\n")
    said = serve(tmp_path, PYTHONPATH=str(tmp_path), **SIGN_IN)
    line = "MLFLOW_AUTH=basic needs an image of MLflow 3.16 or newer; this one has 3.15.2\n"
    assert (said.returncode, said.stderr, said.stdout) == (1, line, "")


def serve(folder, **given):
    """docker/mlflow/serve.py in a folder with a program `mlflow` that says its options and its file of users."""
    (folder / "mlflow").write_text('#!/bin/sh\necho "$@"\ncat "$MLFLOW_AUTH_CONFIG_PATH" 2>/dev/null\n')
    (folder / "mlflow").chmod(0o755)
    here = {"PATH": f"{folder}:/usr/bin:/bin", "TMPDIR": str(folder)} | given
    words = [sys.executable, ROOT / "docker" / "mlflow" / "serve.py", "--port", "5000"]
    return subprocess.run(words, env=here, capture_output=True, text=True)


SIGN_IN = {
    "MLFLOW_AUTH": "basic",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "a",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "b",
    "MLFLOW_BACKEND_STORE_URI": "postgresql+psycopg2://u:p%40ss@h/d",
}


def test_without_a_sign_in_the_server_gets_the_options_alone(tmp_path):
    for given in ({}, {"MLFLOW_AUTH": "none"}, {"MLFLOW_AUTH": ""}):
        assert serve(tmp_path, **given).stdout == "server --port 5000\n"


def test_the_sign_in_has_its_users_in_postgres_and_a_file_for_the_server_alone(tmp_path):
    said = serve(tmp_path, **SIGN_IN)
    options, _, file = said.stdout.partition("\n")
    assert options == "server --app-name basic-auth --port 5000", said.stderr
    read = configparser.ConfigParser()
    read.read_string(file)
    assert read["mlflow"]["database_uri"] == SIGN_IN["MLFLOW_BACKEND_STORE_URI"]
    assert read["mlflow"]["default_permission"] == "NO_PERMISSIONS"
    assert "admin_password" not in read["mlflow"]
    (written,) = tmp_path.glob("*/basic_auth.ini")
    assert written.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"MLFLOW_AUTH": "Basic"}, "MLFLOW_AUTH is 'Basic'; say none or basic"),
        ({"MLFLOW_FLASK_SERVER_SECRET_KEY": ""}, "MLFLOW_AUTH=basic needs MLFLOW_FLASK_SERVER_SECRET_KEY"),
        ({"MLFLOW_AUTH_ADMIN_PASSWORD": ""}, "MLFLOW_AUTH=basic needs MLFLOW_AUTH_ADMIN_PASSWORD"),
    ],
)
def test_a_sign_in_that_cannot_be_is_one_line(tmp_path, changed, words):
    said = serve(tmp_path, **(SIGN_IN | changed))
    assert (said.returncode, said.stdout, said.stderr) == (1, "", f"{words}\n")
