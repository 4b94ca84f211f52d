"""Canary secrets in every place where an operator may put one: none shows in any output or process list."""

import base64
import gzip
import os
import re
import secrets
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg2
import pytest

from fixtures.core.files import ROOT
from tests.live.authority import Authority
from tests.live.fronts import nginx
from tests.sabotage.harness import clean_environment

pytestmark = pytest.mark.timeout(300)
SELECTION = ("suites/health/test_canary.py", "suites/health/test_names.py", "suites/health/test_connections.py")
CHILDREN = ("suites/load/test_create.py", "--allow-load")
FRONT = """
    location / {{
      if ($http_authorization !~ "^({basic}|Bearer {token})$") {{ return 401 "seen: $http_authorization"; }}
      if ($http_x_tenant != "{tenant}") {{ return 403 "seen: $http_x_tenant"; }}
      proxy_pass {server}/;
    }}
"""
SIGNS = "@/+%"  # what a URL has to quote


@dataclass
class Canaries:
    """The secrets of one test; `marks` are what is searched for: the part of each that no quoting changes."""

    marks: dict[str, str] = field(default_factory=dict)

    def new(self, place, signs=""):
        self.marks[place] = f"canary{secrets.token_hex(8)}"
        return f"{signs}{self.marks[place]}{signs}"

    def adopt(self, place, secret):
        self.marks[place] = secret

    def in_text(self, text):
        return [place for place, mark in self.marks.items() if mark in text]

    def in_files(self, folder, planted):
        """(file, place) of each canary in a file below `folder` that was not `planted`."""
        found = []
        for file in folder.rglob("*"):
            if file.is_file() and file not in planted:
                content = file.read_bytes()
                content = gzip.decompress(content) if file.suffix == ".gz" else content  # the support archive
                found += [(str(file), place) for place in self.in_text(content.decode(errors="replace"))]
        return found


@dataclass
class Watch:
    """Reads every process's command line and the journals, again and again, until it is left."""

    canaries: Canaries
    journals: Path
    seen: set = field(default_factory=set)
    looks: int = 0
    children: set = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.over.set()
        self.thread.join(20)

    def watch(self):
        while not self.over.wait(0.05):
            self.looks += 1
            for file in [*Path("/proc").glob("[0-9]*/cmdline"), *self.journals.glob("*.jsonl")]:
                with suppress(OSError):
                    words = file.read_bytes().decode(errors="replace")
                    self.seen |= {(place, words[:200]) for place in self.canaries.in_text(words)}
                    self.children |= {name for name in ("fixtures.load.experiment_race",) if name in words}
                    self.children |= {"journal"} if file.suffix == ".jsonl" else set()


@pytest.fixture(scope="module")
def canaries():
    return Canaries()


@pytest.fixture(scope="module")
def password(canaries):
    """Of user ann."""
    return canaries.new("tracking-password", SIGNS)


@pytest.fixture(scope="module")
def given(canaries, password):
    """Token, tenant and database password."""
    return {"token": canaries.new("token"), "tenant": canaries.new("header"), "db": canaries.new("database", SIGNS)}


@pytest.fixture(scope="module")
def guarded(own_stack, canaries, given, password, tmp_path_factory):
    """(port, CA file, URI of the database without a password): nginx that lets in whoever has the canaries."""
    stack, begin = own_stack
    canaries.adopt("aws", stack.s3.secret_key)
    basic = "Basic " + base64.b64encode(f"ann:{password}".encode()).decode()
    canaries.adopt("basic", basic.split()[1])
    ca = Authority(tmp_path_factory.mktemp("secret-ca"))
    body = FRONT.format(basic=re.escape(basic), token=given["token"], tenant=given["tenant"], server=stack.mlflow_uri)
    at = urlsplit(re.sub(r"^postgresql\+\w+", "postgresql", stack.db_uri))
    with_sql(stack, "CREATE ROLE canary LOGIN PASSWORD %s IN ROLE mlflow", given["db"])
    with nginx(begin.home, begin.ports, "nginx-secrets", ca.issue("secrets", "localhost"), body) as front:
        yield front.port, ca.pem, f"postgresql://canary@{at.hostname}:{at.port}{at.path}"
    with_sql(stack, "DROP ROLE canary")


def with_sql(stack, statement, *values):
    link = psycopg2.connect(re.sub(r"^postgresql\+\w+", "postgresql", stack.db_uri))
    with link, link.cursor() as cursor:
        cursor.execute(statement, values)
    link.close()


def begin(way, folder, real_stack, guarded, given, password):
    """(environment, options, planted files) of one way to hand the secrets over."""
    port, ca, database = guarded
    with_password = database.replace("canary@", f"canary:{quote(given['db'], safe='')}@")
    (headers := folder / "headers").write_text(f"X-Tenant: {given['tenant']}\n")
    s3 = real_stack.s3
    env = {
        "READINESS_MLFLOW_URI": f"https://localhost:{port}",
        "READINESS_STACK": "external",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(ca),
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
    }
    args = [f"--header-file={headers}", "--s3-endpoint", s3.endpoint, "--s3-bucket", s3.name]
    planted = [headers]
    if way == "variables":
        env |= {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": password}
        env |= {"READINESS_DB_URI": with_password}
        args += ["-n", "2", *CHILDREN]
    elif way == "files":
        env |= {"MLFLOW_TRACKING_TOKEN": given["token"]}
        env |= {"READINESS_PUBLIC_URL": f"https://eve:{quote(password, safe='')}@nowhere.invalid:{port}"}
        (file := folder / "db").write_text(with_password + "\n")
        planted.append(file)
        args += [f"--db-uri=@{file}"]
    else:
        user = quote(password, safe="")
        env |= {"READINESS_MLFLOW_URI": f"https://ann:{user}@localhost:{port}", "READINESS_DB_URI": database}
        (file := folder / ".pgpass").write_text(f"*:*:*:canary:{given['db']}\n")
        file.chmod(0o600)
        planted.append(file)
    return env, args, planted


def run(folder, env, args):
    """(exit code, what was printed): pytest as a shell would start it."""
    (folder / "tmp").mkdir()
    own = {"HOME": str(folder), "TMPDIR": str(folder / "tmp")}
    argv = [sys.executable, "-m", "pytest", f"--report-dir={folder / 'report'}", "-rA", *args]
    ended = subprocess.run(
        argv,
        cwd=ROOT,
        env=clean_environment() | own | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=240,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


# What the run ends with: a name that nobody serves is a finding.
@pytest.mark.parametrize(
    ("way", "code"),
    [
        pytest.param("variables", 0, marks=pytest.mark.slow),
        ("files", 1),
        pytest.param("url-and-pgpass", 0, marks=pytest.mark.slow),
    ],
)
def test_no_secret_shows(way, code, tmp_path, real_stack, guarded, canaries, given, password):
    """Through a whole run with children and findings: output, report, junit, journal, leftovers, process list."""
    env, args, planted = begin(way, tmp_path, real_stack, guarded, given, password)
    with Watch(canaries, tmp_path / "report" / "journals") as watch:
        ended, output = run(tmp_path, env, [*args, *SELECTION])
    assert ended == code, output[-4000:]
    assert "doors: API, sql, s3" in output
    assert watch.looks > 10
    assert ({"fixtures.load.experiment_race", "journal"} if way == "variables" else {"journal"}) <= watch.children
    assert watch.seen == set()
    assert canaries.in_text(output) == []
    assert {"junit.xml", "readiness.json"} <= set(os.listdir(tmp_path / "report"))
    assert canaries.in_files(tmp_path, planted) == []


@pytest.mark.parametrize("wrong", ["token", *(pytest.param(one, marks=pytest.mark.slow) for one in ("tenant", "db"))])
def test_a_secret_that_is_refused_is_not_told(wrong, tmp_path, real_stack, guarded, canaries, given, password):
    """A server that says what it was sent, and a database that says who came, are not repeated word by word."""
    false = {**given, wrong: canaries.new(f"wrong-{wrong}", SIGNS if wrong == "db" else "")}
    env, args, planted = begin("files", tmp_path, real_stack, guarded, false, password)
    ended, output = run(tmp_path, env, [*args, "suites/health/test_services.py"])
    assert ended == 7, output[-4000:]
    assert "NOT PROVEN: --" in output
    assert "seen: ***" in output or wrong != "tenant"
    assert canaries.in_text(output) == []
    assert canaries.in_files(tmp_path, planted) == []
