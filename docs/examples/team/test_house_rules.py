"""A team's own checks: copy this folder, and pass it with --checks=DIR (docs/team-checks.md)."""

import pytest

from fixtures.core.outcomes import expect_that


def test_experiments_can_be_found_by_their_owner(probe, make_experiment):
    """Our dashboard lists experiments by the tag `owner`; without it a team does not see its own.

    Remedy: ask the platform team whether the server drops tags.
    """
    experiment_id = make_experiment()
    probe.call("experiments/set-experiment-tag", {"experiment_id": experiment_id, "key": "owner", "value": "team-a"})
    found = probe.ask("experiments/get", {"experiment_id": experiment_id})["experiment"].get("tags", [])
    seen = {tag["key"]: tag["value"] for tag in found}
    expect_that(seen.get("owner") == "team-a", f"tags of experiment {experiment_id}", {"owner": "team-a"}, seen)


@pytest.mark.read_only
@pytest.mark.severity("warning")
def test_server_says_its_version(probe):
    """Our deploy job chooses a client by the version that the server names."""
    seen = probe.get("/version").text
    expect_that(seen.startswith("3."), "the server's version", "3.x", seen)
