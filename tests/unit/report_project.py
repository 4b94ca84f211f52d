"""A tiny project with suites of its own and the report's plugin, run in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.sabotage import forked

ROOT = Path(__file__).resolve().parents[2]
CONFTEST = '''
import os, sys, types
from pathlib import Path
import pytest
from fixtures.core.reasons import Symptom
from fixtures.verdict.known_issues import KnownIssue
from fixtures.config.settings import SETTINGS, Settings
from fixtures.stack import Stack

DOORS = frozenset({"sql", "s3"})


class Run:
    """Stands in for fixtures.run.plugin.Run."""

    id, selected, secrets = "abc", [], ("hunter2secret", "pass")
    lost = os.environ.get("LOST")
    files = {n: Path(os.environ[n.upper()]) for n in ("waivers", "waivers_draft", "require") if n.upper() in os.environ}
    settings = Settings(report_dir=Path(os.environ.get("READINESS_REPORT_DIR", "reports")).absolute(), **files)
    residue = spent = home = None
    requests = 0
    folder = Path("reports").absolute()
    failure = os.environ.get("FAILURE")
    steps, timings = [("mlflow", 8.9)], {"provision": 9.0, "collect": 1.0}
    deselected, header = {}, ["stack: embedded"]
    stack = None if failure else Stack(
        "embedded", True, "http://u:hunter2secret@h:5000", capabilities=DOORS, versions={"mlflow": "3.17.2"}
    )


fake = types.ModuleType("fixtures.run.record")
fake.RUN = pytest.StashKey()
fake.Run = Run
sys.modules["fixtures.run.record"] = fake
pytest_plugins = ["fixtures.report.waiver_files", "fixtures.report.plugin"]
import fixtures.verdict.known_issues
link = "https://example.org/1"
fixtures.verdict.known_issues.ISSUES = tuple(
    KnownIssue(id, "", "3.0", "3.17.2", link, "A race.", Symptom.DEADLOCK) for id in ("F07", "F08")
)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.stash[SETTINGS] = Run.settings
    config.addinivalue_line("markers", "known_issue(id): x")
    if os.environ.get("NO_RUN") is None:
        config.stash[fake.RUN] = Run()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    return True if Run.failure else None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    Run.timings["tear-down"] = 1.5
    if os.environ.get("BAD_END"):
        raise OSError("cannot stop hunter2secret")
'''
SUITE = '''
import os, signal
import pytest, requests
from fixtures.core.outcomes import Finding, Lack, LostCapability, NotProven, OutOfScope, Symptom, expect
from fixtures.core.stash import NOTES, PROOF


def test_passes(request):
    """The server answers.

    Remedy: start it.
    """
    request.node.stash[NOTES].append("took 3 tries, hunter2secret")
    request.node.stash[PROOF].add("sql")


def test_finding():
    """A metric is stored as sent.

    Remedy: read the
    server's log.
    """
    print("printed hunter2secret")
    expect("metric loss of run 3f2a", "hunter2secret", 2)


@pytest.fixture
def refused():
    raise requests.ConnectionError("refused: http://u:unheard@h/")


def test_refused_in_setup(refused):
    pass


def test_not_proven():
    raise NotProven("no answer within 45 s")


def test_broken():
    {}["x"]


def test_bare_skip():
    pytest.skip("nah")


@pytest.mark.xfail
def test_xfail():
    assert 1 == 2, "the claim"


def test_no_door():
    raise OutOfScope(Lack.SQL, "not declared")


def test_lost():
    raise LostCapability("gone")


@pytest.mark.parametrize("n", [1, 2, 3])
def test_many(n):
    expect(f"n {n}", n, 1)


@pytest.fixture
def bad_end():
    yield
    raise RuntimeError("end")


def test_tear_down(bad_end):
    pass


@pytest.mark.known_issue("F07")
def test_race():
    raise Finding("run", "here", "lost race", symptom=Symptom.DEADLOCK)


@pytest.mark.known_issue("F08")
def test_no_race():
    pass


@pytest.mark.known_issue("F99")
def test_no_such_issue():
    pass
'''
DEMAND = "def test_fast():\n    pass\n"

CHECK = "suites/client/test_client.py::test_many"


def write_entry(**more):
    """The text of an entry of a file of waivers, `more` being TOML."""
    values = {"check": f'"{CHECK}"', "until": "2027-01-31", "reason": '"known"'} | more
    return "[[waiver]]\n" + "".join(f"{name} = {value}\n" for name, value in values.items() if value)


class Project:
    """A tiny project with suites of its own."""

    def __init__(self, path, suite):
        self.path = path
        for area, source in (("client", suite), ("benchmark", DEMAND)):
            (path / "suites" / area).mkdir(parents=True)
            (path / "suites" / area / f"test_{area}.py").write_text(source)
        (path / "conftest.py").write_text(CONFTEST)
        (path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider -p no:anyio -p no:platformdirs\n")

    def run(self, *args, program="pytest", **variables):
        """The (exit code, output) of pytest, or of another program."""
        words = list(args or ("suites/client",))
        home = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "READINESS_", "MLFLOW_"))}
        environ = home | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"} | variables
        if program == "pytest":
            output = self.path / "output"
            code = forked.run(words, environ, self.path, output, 120)
            return code, output.read_text()
        command = [sys.executable, "-m", program, *words]
        done = subprocess.run(command, cwd=self.path, env=environ, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    def text(self):
        return (self.path / "reports" / "readiness.json").read_text()

    def report(self):
        return json.loads(self.text())

    def statuses(self):
        return {c["id"].rpartition("::test_")[2]: c["status"] for c in self.report()["checks"]}
