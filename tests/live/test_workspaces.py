"""A server with workspaces: one model name in two of them is well, and our second doors look into the client's own."""

import pytest
import requests

from tests.live.runs import live
from tests.sabotage.harness import Target
from tests.support.stacks import another_server

pytestmark = pytest.mark.timeout(300)
TEAM = {"X-MLFLOW-WORKSPACE": "team-a"}
READING = "suites/health/test_reading.py"


@pytest.fixture
def shared_server(own_stack):
    """The URL of a server with the workspaces default and team-a, both of which hold a model named `both`."""
    stack, begin = own_stack
    with another_server(begin, "workspaces", MLFLOW_ENABLE_WORKSPACES="true") as url:
        requests.post(f"{url}/api/3.0/mlflow/workspaces", json={"name": "team-a"}, timeout=30).raise_for_status()
        for headers in ({}, TEAM):
            model = {"name": "both"}
            made = requests.post(
                f"{url}/api/2.0/mlflow/registered-models/create", json=model, headers=headers, timeout=30
            )
            made.raise_for_status()
        yield url
    # A server without workspaces refuses to start on a database that holds some.
    Target(stack, begin).execute(
        "DELETE FROM registered_models WHERE name = 'both'", "DELETE FROM workspaces WHERE name = 'team-a'"
    )


def test_a_name_in_two_workspaces_is_read_in_the_clients_own(own_stack, shared_server, tmp_path):
    (headers := tmp_path / "headers").write_text("".join(f"{name}: {value}\n" for name, value in TEAM.items()))
    declared = ["--profile", "read-only", "--db-uri", own_stack[0].db_uri, f"--header-file={headers}", READING]
    found = live(tmp_path, shared_server, *declared)
    assert found.code == 0, found.output
    assert "workspace: team-a" in found.output
    assert found.statuses(of="test_models_are_found")[f"{READING}::test_models_are_found_as_they_are_stored"] == "pass"
