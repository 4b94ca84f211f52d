"""Experiments and runs made over plain HTTP, so that a refusal is told in the server's own words."""

import pytest

from fixtures.canary import need


@pytest.fixture
def new_experiment(probe, unique, made):
    """new_experiment(name=None) -> the id of a new experiment of ours."""

    def make(name=None):
        answer = probe.call("experiments/create", {"name": name or unique("experiment")})
        made.experiments.append(need(answer, "experiment_id"))
        return made.experiments[-1]

    return make


@pytest.fixture
def new_run(probe, new_experiment, unique):
    """new_run() -> (id, artifact root) of a new run of ours, in an experiment of its own."""

    def make():
        body = {"experiment_id": new_experiment(), "run_name": unique("run"), "start_time": 1}
        info = need(probe.call("runs/create", body), "run", "info")
        return need(info, "run_id"), need(info, "artifact_uri")

    return make
