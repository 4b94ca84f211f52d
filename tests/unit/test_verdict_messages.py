"""What others read of a verdict: annotations, SARIF, a badge, a message to a chat. None of it holds a secret."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fixtures.config.settings import Usage, resolve_settings
from fixtures.core.cause_ids import CauseId
from fixtures.report.badge import write_badge
from fixtures.report.ci_summary import annotate_run, summarise_run, write_command
from fixtures.report.sarif import make_sarif
from fixtures.report.webhook import make_message, send_message
from fixtures.verdict.causes import Cause
from fixtures.verdict.records import CheckRecord, FindingLevel, Status
from fixtures.verdict.required import UnmadeCheck
from tests.unit.test_report_diff import make_failed, make_report

ID = next(iter(CauseId))
A, B, C = (f"suites/client/test_a.py::test_{name}" for name in "abc")


@pytest.fixture
def report():
    """One cause of two checks, one waived finding, a known issue, and a check that was not made."""
    checks = (
        CheckRecord(A, "client", Status.FAIL, "Metrics are kept.", expected="2", seen="<3> & more"),
        CheckRecord(B, "client", Status.FAIL, severity=FindingLevel.WARNING),
        CheckRecord(C, "health", Status.WAIVED, reason="accepted until 2027", severity=FindingLevel.WARNING),
        CheckRecord("suites/load/test_l.py::test_l", "load", Status.KNOWN_ISSUE, reason="F07: a race"),
        CheckRecord("suites/load/test_m.py::test_m", "load", Status.NOT_CHECKED, reason="no answer"),
    )
    cause = Cause(ID, A, "the <table>, it: is read-only", "grant\nrights", ("table metrics",), (), (A, B))
    waived = Cause(None, C, "slow", "be quick", (), (), (C,))
    unmade = (UnmadeCheck(C, "left out"),)
    made = replace(make_failed("r1", "3"), checks=checks, causes=(cause,), waived=(waived,), unmade=unmade)
    return replace(made, verdict=replace(made.verdict, word="NOT READY", line="NOT READY: 1 cause", code=1))


def test_sarif_has_a_result_for_each_cause_with_the_severity_of_its_checks(report):
    (run,) = make_sarif(report)["runs"]
    first, waived, known = run["results"]
    assert (first["ruleId"], first["level"]) == (ID.value, "error")
    assert "expected 2, seen <3> & more" in first["message"]["text"]
    assert [place["message"]["text"] for place in first["relatedLocations"]] == [B]
    assert (waived["level"], waived["suppressions"][0]["justification"]) == ("warning", "accepted until 2027")
    assert (known["level"], known["message"]["text"]) == ("note", "F07: a race")
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {r["ruleId"] for r in run["results"]}
    (done,) = run["invocations"]
    assert [one["message"]["text"].split(":")[0] for one in done["toolExecutionNotifications"]] == [
        "not checked",
        "required, not made",
    ]
    assert (done["exitCode"], done["executionSuccessful"]) == (1, True)


def test_sarif_of_a_run_without_findings_is_whole():
    (run,) = make_sarif(make_report())["runs"]
    assert run["results"] == [] and run["tool"]["driver"]["rules"] == []


def test_an_annotation_stays_one_command():
    assert write_command("error", "a: b, c", "50 %\nmore::x") == "::error title=a%3A b%2C c::50 %25 more::x"


def test_annotations_have_the_remedy_and_say_what_is_left_out(report):
    lines = list(annotate_run(report, 1, ""))
    assert lines[0] == (
        f"::error title=the <table>%2C it%3A is read-only::{A}: Expected 2, seen <3> & more. Remedy: grant rights"
    )
    assert [line.split("::")[1].split(" ")[0] for line in lines] == ["error", "warning", "warning", "warning"]
    many = replace(report, causes=report.causes * 30, waived=())
    errors = [line for line in annotate_run(many, 1, "") if line.startswith("::error")]
    assert len(errors) == 10 and errors[-1].endswith("21 more: see the summary")


def test_the_summary_names_causes_and_what_was_not_made(report):
    text = "\n".join(summarise_run(report, 1, ""))
    assert "### 1. the &lt;table&gt;, it: is read-only (2 checks)" in text
    assert "- **Remedy:** grant rights" in text
    assert f"required by --require: {C}: left out".replace("_", "\\_") in text


@pytest.mark.parametrize(
    ("log", "told"),
    [("x\nERROR: --depth: unknown\n\n", "--depth: unknown"), ("", "it printed nothing"), ("make: bad", "make: bad")],
)
def test_a_run_without_a_report_shows_its_error(log, told):
    assert list(summarise_run(None, 4, log)) == ["## MLflow readiness: usage error", "", told]
    assert list(annotate_run(None, 4, log)) == [f"::error title=MLflow readiness%3A usage error::{told}"]


def test_the_badge(report, tmp_path):
    write_badge(report, tmp_path)
    assert json.loads((tmp_path / "badge.json").read_text()) == {
        "schemaVersion": 1,
        "label": "MLflow readiness",
        "message": "NOT READY",
        "color": "red",
    }


class Chat:
    """Takes messages, or answers with another status."""

    def __init__(self, status=200):
        self.got = got = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                got.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *arguments):
                """Be silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/services/T0/B0/s3cr3t"


@pytest.mark.parametrize(("status", "told"), [(200, None), (403, "refused (403)"), (302, None)])
def test_the_message_names_the_causes(report, status, told):
    chat = Chat(status)
    said = send_message(report, chat.address, {})
    assert said is None if told is None else told in said and "s3cr3t" not in said
    ((path, message),) = chat.got
    assert path.endswith("/s3cr3t")
    lines = message["text"].splitlines()
    assert lines[0] == ":x: NOT READY: 1 cause"
    assert lines[2] == "1. the &lt;table&gt;, it: is read-only (2 checks). grant rights"
    assert message == make_message(report)


def test_nobody_takes_the_message(report):
    said = send_message(report, "http://127.0.0.1:9/services/s3cr3t", {"http_proxy": "http://127.0.0.1:9"})
    assert said.startswith("READINESS_WEBHOOK: the message was not sent (") and "s3cr3t" not in said


def test_the_address_is_a_secret(tmp_path):
    address = "https://hooks.example/services/T0/B0/s3cr3t"
    found = resolve_settings({}, {"READINESS_WEBHOOK": address}, tmp_path)
    assert found.webhook == address and "s3cr3t" not in repr(found)
    assert {address, "services/T0/B0/s3cr3t"} <= set(found.secrets)
    with pytest.raises(Usage, match="--webhook: its address is a secret") as caught:
        resolve_settings({"webhook": address}, {}, tmp_path)
    assert "s3cr3t" not in str(caught.value)
    with pytest.raises(Usage, match="READINESS_WEBHOOK: is no URL") as caught:
        resolve_settings({}, {"READINESS_WEBHOOK": "hooks.example/s3cr3t"}, tmp_path)
    assert "s3cr3t" not in str(caught.value)
    (file := tmp_path / "a.toml").write_text(f'webhook = "{address}"')
    with pytest.raises(Usage, match="webhook: is a secret in clear") as caught:
        resolve_settings({"target": str(file)}, {}, tmp_path)
    assert "s3cr3t" not in str(caught.value)
