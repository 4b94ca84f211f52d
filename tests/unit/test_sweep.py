"""The sweep deletes by name and prefix only, goes on where something fails, and says what is left."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from fixtures.clients.rest import RestClient
from fixtures.config.settings import Settings
from fixtures.guardrails.cleanup import Cleanup, Residue, find_collisions
from fixtures.guardrails.journal import JOURNAL_FOLDER, JOURNAL_PART, Journal, JournalContent, JournalEntry
from fixtures.run.sweep_command import sweep_journals

PREFIX = "rdy-x-"


class Server:
    """Experiments, models and runs as MLflow's API shows them; its LIKE takes capitals for small letters, as MySQL's.

    Args:
        second: names of experiments by id in a second database that answers every other question for an id.
    """

    def __init__(self):
        self.experiments, self.models, self.runs = {}, set(), {}
        self.hooks = ["rdy-x-w", "rdy-x-other", "nightly"]
        self.second, self.refuses, self.deeds, self.looks, self.asked = None, set(), [], [], 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                url = urlsplit(self.path)
                size = int(self.headers.get("Content-Length", 0))
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                status, body = server.answer(
                    self.command, url.path.rpartition("/mlflow/")[2], query | json.loads(self.rfile.read(size) or "{}")
                )
                if url.path == "/version":
                    status, body = 200, "3.17.2"
                text = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_DELETE = do_GET

            def log_message(self, *arguments):
                """Be silent."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def shown(self, number, known=None):
        self.asked += 1
        known = self.experiments if known is None else known
        name = known.get(number)
        deleted = "deleted" if ("experiment", number) in self.deeds else "active"
        return {"experiment_id": number, "name": name, "lifecycle_stage": deleted} if name else None

    def answer(self, method, call, body):
        if call in self.refuses:
            return 403, {"error_code": "PERMISSION_DENIED"}
        like = body.get("filter", "").partition("'")[2].rstrip("%'").lower()
        found = [self.shown(n) for n, name in self.experiments.items() if name.lower().startswith(like)]
        if call == "webhooks":
            return 200, {"webhooks": [{"name": name, "webhook_id": name} for name in self.hooks]}
        if call == "gateway/secrets/list":
            return 200, {"secrets": [{"secret_name": name, "secret_id": f"s-{name}"} for name in self.hooks]}
        if call.startswith(("webhooks/", "gateway/secrets/")):
            self.deeds.append((call.partition("/")[0], body.get("secret_id") or body["webhook_id"]))
            return 200, {}
        if call == "users/get":
            return 200, {"user": {"username": body["username"], "experiment_permissions": [{"experiment_id": "1"}]}}
        if call == "experiments/permissions/delete":
            self.deeds.append(("grant", body["experiment_id"]))
            return 200, {}
        if call == "experiments/search":
            page = int(body.get("page_token", 0))
            more = {"next_page_token": str(page + 1)} if page + 1 < len(found) else {}
            return 200, {"experiments": found[page : page + 1]} | more
        if call == "registered-models/search":
            return 200, {"registered_models": [{"name": m} for m in self.models if m.lower().startswith(like)]}
        if call == "experiments/get-by-name":
            found = [self.shown(n) for n, name in self.experiments.items() if name == body["experiment_name"]]
            return (200, {"experiment": found[0]}) if found else (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})
        if call == "experiments/get":
            found = self.shown(body["experiment_id"], self.second if len(self.looks) % 2 else None)
            self.looks.append(body["experiment_id"])
            return (200, {"experiment": found}) if found else (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})
        if call == "runs/search":
            runs = [{"info": info} for info in self.runs.values() if info["experiment_id"] in body["experiment_ids"]]
            return 200, {"runs": runs}
        if call == "logged-models/search":
            return 404, {}
        kinds = ("experiment", "experiment_id"), ("registered-model", "name"), ("run", "run_id"), ("user", "username")
        for kind, field in kinds:
            if call == f"{kind}s/delete":
                self.deeds.append((kind, body[field]))
                return 200, {}
        return 404, {}


@pytest.fixture
def server():
    found = Server()
    found.experiments = {"1": "rdy-x-a", "2": "RDY-X-b", "3": "nightly", "4": "rdy-x-c", "5": "rdy-x"}
    found.models = {"rdy-x-m", "RDY-X-m", "champion"}
    found.runs = {
        name: {"run_id": name, "run_name": run, "experiment_id": experiment}
        for name, run, experiment in (("r1", "any", "1"), ("r2", "rdy-x-s", "0"), ("r3", "RDY-X-s", "0"))
    }
    threading.Thread(target=found.http.serve_forever, daemon=True).start()
    yield found
    found.http.shutdown()
    found.http.server_close()


def noted(server, *entries):
    return JournalContent(None, "x", PREFIX, server.url, entries)


def test_what_has_the_prefix_is_deleted_and_nothing_else(server):
    residue = Cleanup(RestClient(server.url)).clear(noted(server))
    assert sorted(server.deeds) == [("experiment", "1"), ("experiment", "4"), ("registered-model", "rdy-x-m")]
    assert (residue.experiments, residue.runs, residue.models, residue.left) == (("1", "4"), ("r1",), 1, ())


def test_what_the_journal_names_is_looked_for_by_name(server):
    server.refuses |= {"experiments/search", "registered-models/search"}
    entries = [
        JournalEntry("experiment", "rdy-x-a"),
        JournalEntry("model", "rdy-x-m"),
        JournalEntry("experiment", "rdy-x-never-made"),
    ]
    residue = Cleanup(RestClient(server.url)).clear(noted(server, *entries))
    assert sorted(server.deeds) == [("experiment", "1"), ("registered-model", "rdy-x-m")]
    assert [line.partition(":")[0] for line in residue.left] == ["search for experiments", "search for models"]


def test_webhooks_and_secrets_are_deleted_if_the_journal_names_them(server):
    entries = [
        JournalEntry("webhook", "rdy-x-w"),
        JournalEntry("webhook", "rdy-x-none"),
        JournalEntry("secret", "rdy-x-w"),
    ]
    residue = Cleanup(RestClient(server.url)).clear(noted(server, *entries))
    assert [deed for deed in server.deeds if deed[0] in ("webhooks", "gateway")] == [
        ("webhooks", "rdy-x-w"),
        ("gateway", "s-rdy-x-w"),
    ]
    server.refuses |= {"webhooks", "gateway/secrets/list"}  # an ordinary user, who made none
    assert Cleanup(RestClient(server.url)).clear(noted(server, *entries)).left == residue.left == ()


def test_users_are_deleted_by_whoever_may(server):
    entries = [JournalEntry("user", "rdy-x-u")]
    Cleanup(RestClient(server.url)).clear(noted(server, *entries))
    assert server.deeds[-2:] == [("grant", "1"), ("user", "rdy-x-u")]
    server.refuses.add("users/delete")
    (line,) = Cleanup(RestClient(server.url)).clear(noted(server, *entries)).left
    assert line.startswith("user rdy-x-u: DELETE users/delete: 403")


def test_a_model_that_was_never_made_is_not_left(server):
    """Basic auth says of what is not there that it is denied."""
    server.refuses.add("registered-models/delete")
    server.models.remove("rdy-x-m")
    assert Cleanup(RestClient(server.url)).clear(noted(server, JournalEntry("model", "rdy-x-never"))).left == ()


def test_a_run_of_ours_in_the_default_experiment_is_deleted_by_its_name(server):
    residue = Cleanup(RestClient(server.url)).clear(noted(server, JournalEntry("run", "rdy-x-s")))
    assert [deed for deed in server.deeds if deed[0] == "run"] == [("run", "r2")]
    assert residue.runs == ("r1", "r2")


def test_where_two_databases_answer_nothing_is_deleted_by_its_id(server):
    server.second = {"1": "nightly", "4": "weekly"}
    residue = Cleanup(RestClient(server.url)).clear(noted(server))
    assert sorted(deed for deed in server.deeds if deed[0] == "experiment") == []
    assert any("several databases answer" in line for line in residue.left)


def test_what_cannot_be_deleted_is_said_and_the_rest_goes_on(server):
    server.refuses.add("registered-models/delete")
    residue = Cleanup(RestClient(server.url)).clear(noted(server))
    assert [line for line in residue.left if "rdy-x-m" in line and "403" in line]
    assert sorted(number for kind, number in server.deeds if kind == "experiment") == ["1", "4"]


def test_a_server_that_is_gone_leaves_everything_said(server):
    residue = Cleanup(RestClient("http://127.0.0.1:9")).clear(noted(server, JournalEntry("model", "rdy-x-m")))
    assert [line for line in residue.left if line.startswith("model rdy-x-m")]


def test_names_that_only_resemble_the_prefix_are_no_collision(server):
    assert find_collisions(RestClient(server.url), "rdy-x-z") == []
    assert find_collisions(RestClient(server.url), PREFIX) == ["rdy-x-a", "rdy-x-m"]


@pytest.mark.parametrize(
    ("left", "version", "line"),
    [
        (Residue(("1",), ("r",), ("m",)), "3.17.2", "--run-ids r --logged-model-ids m --experiment-ids 1"),
        (Residue(("1", "2"), ("r",)), "2.22.1", "--run-ids r --experiment-ids 1,2"),
        (Residue(("1",), ("r",)), "3.1.0", None),
        (Residue(("1",), (), ("m",)), "3.1.0", None),
        (Residue(), "3.1.0", None),
    ],
)
def test_there_is_a_gc_line_only_where_it_spares_the_others(left, version, line):
    found = left.line("http://h", version)
    assert (found or "").endswith(line or "")
    assert (found is None) is (line is None)


@pytest.fixture
def killed(tmp_path, server):
    """Settings for a sweep, and the journal of a run that was killed."""
    settings = Settings(stack="external", mlflow_uri=server.url, report_dir=tmp_path, sweep=True)
    journal = Journal(tmp_path / JOURNAL_FOLDER / "x.jsonl")
    with journal.begun("x", PREFIX, server.url):
        journal.add(JournalEntry("experiment", "rdy-x-a"))
    return settings, journal


def test_a_sweep_ends_with_the_journal_gone(server, killed):
    settings, journal = killed
    part = journal.path.with_name("y").with_suffix(JOURNAL_PART)
    part.touch()
    code, lines = sweep_journals(settings)
    assert (code, journal.path.exists(), part.exists()) == (0, False, False)
    assert "2 experiments, 1 run" in lines[0]
    assert sweep_journals(settings)[0] == 0


def test_a_sweep_that_could_not_delete_all_keeps_the_journal(server, killed):
    settings, journal = killed
    server.refuses.add("experiments/delete")
    code, lines = sweep_journals(settings)
    assert (code, journal.path.exists()) == (1, True)
    assert any("could not be deleted" in line for line in lines)


def test_a_journal_that_does_not_parse_ends_the_sweep_before_anything_is_touched(server, killed):
    settings, journal = killed
    with journal.path.open("a") as file:
        file.write("garbage\n")
    code, lines = sweep_journals(settings)
    assert (code, len(lines), server.deeds, server.asked) == (4, 1, [], 0)
    assert "line 3 does not parse" in lines[0]


def test_a_journal_of_a_living_run_or_of_another_server_is_left_alone(server, killed, tmp_path):
    settings, journal = killed
    other = Journal(tmp_path / JOURNAL_FOLDER / "z.jsonl")
    with other.begun("z", "rdy-z-", server.url):
        code, lines = sweep_journals(replace(settings, mlflow_uri="http://other.example"))
        assert (code, journal.path.exists(), server.deeds) == (0, True, [])
        assert any("of another server" in line for line in lines)
        code, lines = sweep_journals(settings)
    assert (code, other.path.exists(), journal.path.exists()) == (0, True, False)
    assert any("still going" in line for line in lines)
