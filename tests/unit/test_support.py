"""The support archive: it holds what helps, and no secret of any source."""

import tarfile
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from fixtures.config.settings import resolve_settings
from fixtures.core.redaction import spell_secret
from fixtures.report.support import (
    SUPPORT_ARCHIVE,
    Evidence,
    list_sessions,
    redact_support_text,
    write_support,
)
from fixtures.report.writers import clear_files
from fixtures.stack import Stack
from tests.unit.test_report_diff import make_failed, make_report

KNOWN = {name: f"{name}-s3cr+t/{number}" for number, name in enumerate(("db", "login", "key", "hook", "header"))}
NOT_READY = make_failed("r1", "3")
NOT_READY = replace(NOT_READY, verdict=replace(NOT_READY.verdict, code=1))
FOREIGN = "nobody-told-us-7"  # a secret that no setting names


@pytest.fixture
def run(tmp_path):
    """A run whose every source holds secrets."""
    (tmp_path / "headers").write_text(f"X-Api-Key: {KNOWN['header']}\n")
    environ = {
        "READINESS_DB_URI": f"postgresql://u:{quote(KNOWN['db'], safe='')}@127.0.0.1:9/d",
        "MLFLOW_TRACKING_USERNAME": "ci",
        "MLFLOW_TRACKING_PASSWORD": KNOWN["login"],
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": KNOWN["key"],
        "READINESS_WEBHOOK": f"https://hooks.example/{KNOWN['hook']}",
        "READINESS_HEADER_FILE": str(tmp_path / "headers"),
    }
    settings = resolve_settings({"stack": "external", "mlflow-uri": "http://h"}, environ, tmp_path)
    (home := tmp_path / "home").mkdir()
    planted = "\n".join([*KNOWN.values(), *(f"x?password={quote(one)}" for one in KNOWN.values())])
    (home / "mlflow.log").write_text(f"{planted}\nAWS_SECRET_ACCESS_KEY={FOREIGN}\n'api_token': '{FOREIGN}'\n")
    (logs := tmp_path / "elsewhere.log").write_text(f"Authorization: Bearer {FOREIGN}\nuri http://u:{FOREIGN}@h\n")
    stack = Stack("external", False, "http://h", db_uri=environ["READINESS_DB_URI"], logs={"proxy": str(logs)})
    failure = f"no start:\n{planted}"
    return SimpleNamespace(settings=settings, stack=stack, home=home, failure=failure, secrets=settings.secrets)


@pytest.fixture
def folder(tmp_path):
    """A report's folder with a history and pages that hold secrets."""
    (place := tmp_path / "reports").mkdir()
    for name in ("history-a-1.jsonl", "readiness.json", "junit.xml"):
        (place / name).write_text("\n".join(KNOWN.values()))
    return place


def read_archive(folder):
    with tarfile.open(folder / SUPPORT_ARCHIVE) as archive:
        return {one.name.partition("/")[2]: archive.extractfile(one).read().decode() for one in archive}


def test_no_source_gives_a_secret_away(run, folder, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", FOREIGN)
    (evidence := Evidence(run)).pytest_sessionfinish()
    assert write_support(NOT_READY, run, evidence.files, folder) == folder / SUPPORT_ARCHIVE
    files = read_archive(folder)
    assert set(files) == {
        "readiness.json",
        "junit.xml",
        "load/history-a-1.jsonl",
        "logs/mlflow.log",
        "logs/proxy.log",
        "postgres-sessions.txt",
        "failure.txt",
        "settings.txt",
        "versions.txt",
    }
    spelled = {way for secret in (*KNOWN.values(), FOREIGN) for way in spell_secret(secret)}
    assert {(name, way) for name, text in files.items() for way in spelled if way in text} == set()
    assert all(files.values())
    assert (folder / SUPPORT_ARCHIVE).stat().st_mode & 0o077 == 0


def test_what_helps_is_there(run, folder):
    (evidence := Evidence(run)).pytest_sessionfinish()
    write_support(NOT_READY, run, evidence.files, folder)
    files = read_archive(folder)
    assert "mlflow-uri = 'http://h'  (--mlflow-uri)" in files["settings.txt"]
    assert "db-uri = ***  (READINESS_DB_URI)" in files["settings.txt"]
    assert "pytest " in files["versions.txt"]
    assert "not read: " in files["postgres-sessions.txt"]  # nobody listens there


@pytest.mark.parametrize("code", [0, 4])
def test_a_good_end_and_a_usage_error_leave_none(run, folder, code):
    report = make_report()
    report = replace(report, verdict=replace(report.verdict, code=code))
    assert write_support(report, run, {}, folder) is None
    assert not (folder / SUPPORT_ARCHIVE).exists()


def test_the_next_run_removes_it(run, folder):
    write_support(NOT_READY, run, {}, folder)
    clear_files(folder)
    assert not (folder / SUPPORT_ARCHIVE).exists()


def test_values_within_logged_queries_are_left_out(run):
    (run.home / "postgres.log").write_text(
        "1 ERROR:  no\n1 STATEMENT:  INSERT INTO t\n\tVALUES ('mine')\n2 LOG:  'kept'\n"
    )
    (evidence := Evidence(run)).pytest_sessionfinish()
    text = evidence.files["logs/postgres.log"]
    assert text == "1 ERROR:  no\n1 STATEMENT:  INSERT INTO t\n\tVALUES ('?')\n2 LOG:  'kept'\n"


def test_values_within_queries_are_left_out(monkeypatch):
    rows = [(1, "u", "mlflow", "active", None, None, None, "UPDATE t SET a = 'it''s mine' WHERE b = 'cut of")]
    monkeypatch.setattr("fixtures.report.support.SqlDoor.rows", lambda self, query: rows)
    assert (
        list(list_sessions("postgresql://h/d"))[1]
        == "1 | u | mlflow | active |  |  |  | UPDATE t SET a = '?' WHERE b = '?'"
    )


@pytest.mark.parametrize(
    "text", ["DB_PASSWORD=abc", '"secret_key": "abc"', "token: abc", "password = 'abc def'", "AWS_ACCESS_KEY_ID=abc"]
)
def test_what_a_name_says_to_be_secret_is_hidden(text):
    assert "abc" not in redact_support_text(text, ())
