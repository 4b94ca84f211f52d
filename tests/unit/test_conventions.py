"""The house rules, as tests."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from fixtures.checks.catalog import list_checks
from fixtures.core.files import ROOT
from fixtures.verdict.known_issues import ISSUES

AREAS = ("health", "client", "load", "integration", "registry", "security")
SKIPPED_FOLDERS = {".venv", ".git", "reports", "__pycache__", ".mypy_cache", ".ruff_cache"}
# The gate keeps a rate, which is to wait; the traffic counts that wait.
SLEEPERS = {
    "fixtures/core/waiting.py",
    "fixtures/processes/guard.py",
    "fixtures/processes/reaper.py",
    "fixtures/core/traffic.py",
}
REGISTRIES = re.compile(r"(files\.pythonhosted|pypi|test\.pypi|registry\.npmjs|conda\.anaconda)\.(org|com)|artifactory")


def files(*suffixes):
    """Files of the checkout with these suffixes, by their path in it."""
    found = [p for p in ROOT.rglob("*") if p.is_file() and not SKIPPED_FOLDERS & set(p.relative_to(ROOT).parts)]
    return {p.relative_to(ROOT).as_posix(): p for p in found if not suffixes or p.suffix in suffixes}


SOURCES = {name: path.read_text() for name, path in files(".py").items()}
SUITES = [name for name in SOURCES if name.startswith("suites/")]
CHECKS = list_checks(ROOT)


def calls(name):
    """Dotted names of what a file calls."""
    return {ast.unparse(node.func) for node in ast.walk(ast.parse(SOURCES[name])) if isinstance(node, ast.Call)}


def imports(name):
    """Modules that a file imports, as `package.module`."""
    found = set()
    for node in ast.walk(ast.parse(SOURCES[name])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_there_are_checks_enough():
    counts = {area: sum(c.area == area for c in CHECKS) for area in AREAS}
    assert len(CHECKS) >= 45
    assert min(counts.values()) >= 6, counts


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.id)
def test_every_check_says_why_it_matters_and_what_to_do(check):
    assert check.sentence.endswith("."), check.sentence
    assert len(check.sentence) < 120
    assert len(check.remedy) > 15


def test_no_two_checks_say_the_same():
    sentences = [c.sentence for c in CHECKS]
    assert sorted(set(sentences)) == sorted(sentences)


@pytest.mark.parametrize("name", [n for n in SOURCES if n.startswith(("fixtures/", "suites/"))])
def test_nothing_sleeps_but_the_wait(name):
    sleeps = {"time.sleep", "sleep"} & calls(name)
    assert not sleeps or name in SLEEPERS


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_has_no_skip_without_a_type(name):
    words = {"pytest.skip", "pytest.importorskip", "pytest.xfail", "pytest.mark.skip", "pytest.mark.xfail"}
    assert [w for w in words | {"pytest.mark.skipif"} if w in SOURCES[name]] == []


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_knows_no_backend_and_starts_nothing(name):
    inner = (
        "fixtures.backends",
        "fixtures.processes.child",
        "fixtures.processes.guard",
        "fixtures.run.plugin",
        "subprocess",
        "multiprocessing",
    )
    assert [i for i in imports(name) if i.startswith(inner)] == []


@pytest.mark.parametrize("name", [n for n in SOURCES if n.startswith("fixtures/backends/")])
def test_a_backend_knows_no_check(name):
    assert [
        i for i in imports(name) if i.startswith(("suites", "pytest", "fixtures.report", "fixtures.checks.catalog"))
    ] == []


def test_the_verdict_is_pure():
    found = [i for name in SOURCES if name.startswith("fixtures/verdict/") for i in imports(name)]
    ours = ("fixtures.core.", "fixtures.verdict.")
    assert [i for i in found if i.startswith(("pytest", "_pytest", "fixtures")) and not i.startswith(ours)] == []


@pytest.mark.parametrize("name", SOURCES)
def test_a_file_can_be_read_in_one_sitting(name):
    assert len(SOURCES[name].splitlines()) <= 300


def test_conftest_is_the_list_of_plugins_and_nothing_else():
    docstring, plugins = ast.parse(SOURCES["conftest.py"]).body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(plugins, ast.Assign)


def test_no_package_registry_is_named():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    here = Path(__file__).relative_to(ROOT).as_posix()
    texts = {n: (ROOT / n).read_text(errors="replace") for n in tracked if n != here and (ROOT / n).is_file()}
    assert [n for n, text in texts.items() if REGISTRIES.search(text)] == []


def test_every_known_issue_has_its_check():
    marked = {(c.known_issue, c.id) for c in CHECKS if c.known_issue}
    assert {(i.id, i.check) for i in ISSUES} == marked
