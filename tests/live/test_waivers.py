"""What a real deployment has wrong, accepted by a file: READY until its day, and nothing else is accepted with it."""

import datetime
import tomllib

import pytest
import requests

from tests.live.runs import live
from tests.sabotage.harness import Target
from tests.sabotage.proxy import TamperProxy
from tests.sabotage.rules import Rule, answer, at

ON_A_PATH = "suites/health/test_existing_locations.py::test_existing_experiments_keep_no_files_on_a_path"
ANSWERS = "suites/health/test_services.py::test_health_answers_ok"
UPLOADS = ["suites/health/test_canary.py", "suites/client/test_artifacts.py::test_text_and_json_are_logged_as_written"]
PLACES = ["/mnt/rdy-old-disk", "/mnt/rdy-old-share"]


@pytest.fixture
def on_paths(own_stack):
    """Two experiments whose location somebody has set to a path, each to another; they are deleted at the end."""
    target, made = Target(*own_stack), []
    api = f"{target.stack.mlflow_uri}/api/2.0/mlflow/experiments"
    for place in PLACES:
        answered = requests.post(f"{api}/create", json={"name": f"kept on {place}"}, timeout=60)
        made.append(answered.json()["experiment_id"])
        target.execute(f"UPDATE experiments SET artifact_location = '{place}/x' WHERE experiment_id = {made[-1]}")
    yield PLACES
    for number in made:
        requests.post(f"{api}/delete", json={"experiment_id": number}, timeout=60).raise_for_status()
        target.execute(f"UPDATE experiments SET name = name || ' ' || {number} WHERE experiment_id = {number}")


def in_days(number):
    return datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(number)


def write_waivers(folder, until, *named):
    """A file with an entry for each of `named`, its keys as TOML says them."""
    rest = f'until = {until}\nreason = "moved in spring"\nowner = "Ann"\n'
    entries = ["\n".join(f'{key} = "{value}"' for key, value in keys.items()) for keys in named]
    file = folder / "waivers.toml"
    file.write_text("".join(f"[[waiver]]\n{entry}\n{rest}\n" for entry in entries))
    return f"--waivers={file}"


def test_a_finding_with_two_cases_is_accepted_case_by_case(on_paths, real_stack, tmp_path):
    """The draft names both; one of them accepted leaves the other; both make READY; a day later they count again."""
    draft, run = tmp_path / "draft.toml", 0

    def check(*options):
        nonlocal run
        run += 1
        return live(tmp_path / str(run), real_stack.mlflow_uri, ON_A_PATH, ANSWERS, *options)

    found = check(f"--waivers-draft={draft}")
    drafted = [{key: entry[key] for key in ("check", "case")} for entry in tomllib.loads(draft.read_text())["waiver"]]
    entries = sorted(drafted, key=lambda entry: entry["case"])
    assert (found.code, entries) == (1, [{"check": ON_A_PATH, "case": place} for place in on_paths])
    some = check(write_waivers(tmp_path, in_days(30), entries[0]))
    assert (some.code, some.statuses()[ON_A_PATH]) == (1, "fail"), some.output
    assert [check["cases"] for check in some.document["checks"] if check["id"] == ON_A_PATH] == [[on_paths[1]]]
    both = check(write_waivers(tmp_path, in_days(30), *entries))
    assert (both.code, both.statuses()) == (0, {ON_A_PATH: "waived", ANSWERS: "pass"}), both.output
    assert both.document["verdict"]["line"].startswith(f"READY (1 finding waived, until {in_days(30)}")
    late = check(write_waivers(tmp_path, in_days(-1), *entries))
    assert (late.code, late.statuses()[ON_A_PATH]) == (1, "fail"), late.output
    assert [use["state"] for use in late.document["waivers"]] == ["expired", "expired"]


def test_an_accepted_cause_takes_what_follows_from_it(real_stack, tmp_path):
    """A proxy that refuses PUT is known; what fails for another reason would count, as the run without a file does."""
    refused = Rule("method", at("", "PUT"), answer(405, "<html>no</html>", {"Content-Type": "text/html"}))
    until, host = in_days(9), real_stack.mlflow_uri.removeprefix("http://")
    with TamperProxy(real_stack.mlflow_uri, [refused], host=host) as proxy:
        accepted = write_waivers(tmp_path, until, {"cause": "front.method"})
        ended = live(tmp_path, proxy.url, *UPLOADS, ANSWERS, accepted)
    statuses = list(ended.statuses().values())
    assert (ended.code, set(statuses)) == (0, {"pass", "waived", "out-of-scope"}), ended.output
    assert statuses.count("waived") >= 2
    assert ended.document["verdict"]["line"].startswith(f"READY (1 finding waived, until {until}")
    assert "it ends in 9 days" in ended.output
