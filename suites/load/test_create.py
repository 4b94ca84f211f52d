"""Runs and experiments that many clients create at the same moment (F05, F07)."""

import pytest

from fixtures.clients.mlflow_errors import find_common_symptom
from fixtures.core.outcomes import Symptom, expect, expect_that
from fixtures.load import payloads
from fixtures.load.assertions import (
    expect_all_answered,
    expect_nothing_refused,
    expect_stored_once,
    require_known_outcomes,
)
from fixtures.load.experiment_race import race_for_experiment

CLIENTS, RUNS, PROCESSES = 16, 5, 3  # eighty runs: a proxy that repeats one of 20 at random is seen in 98 of 100
MOST = 50_000  # runs, that one search gives
DEFAULT = "0"  # the id of the experiment in which the losers' runs land
SQL_RUNS = "SELECT run_uuid, name FROM runs WHERE experiment_id = %s ORDER BY run_uuid"


@pytest.fixture(scope="module")
def created(load, make_experiment, unique):
    """(history, experiment id): sixteen clients in several processes that create five runs each."""
    experiment = make_experiment()
    scripts = [
        [payloads.create_run_request(experiment, unique("created")) for _ in range(RUNS * load.scale)]
        for _ in range(CLIENTS)
    ]
    return load.drive_in_processes(scripts), experiment


def test_concurrent_runs_are_all_created(created, stack):
    """A sweep that starts its jobs at once must get a run for each: create_run needs two connections at a time.

    Remedy: look for the quoted message in the server's log; a QueuePool error means that
    MLFLOW_SQLALCHEMYSTORE_POOL_SIZE is too small, a 429, 502, 503 or 504 comes from a proxy's limit.
    """
    history, _ = created
    expect_nothing_refused(f"{CLIENTS} clients", history, stack)
    expect_all_answered(f"{CLIENTS} clients", history)
    ids = [payloads.run_id_of(o.answer) for o in history.ok]
    expect_that(len({*ids} - {""}) == len(ids), "ids of runs created at once", "a new id for each", sorted(ids))


def test_concurrent_runs_are_stored_once(created, mlflow_client, doors):
    """Each run that a client was given exists once, with its own name and id: none is lost, doubled or mixed up.

    Remedy: a run that is there twice was created again by something that repeats requests, such as a proxy that retries
    POST (nginx: proxy_next_upstream non_idempotent); for a lost one search the server's log for its name.
    """
    history, experiment = created
    seen = [(r.info.run_id, r.info.run_name) for r in mlflow_client.search_runs([experiment], max_results=MOST)]
    expect_stored_once(f"runs of experiment {experiment}", history, [(experiment, name, 0) for _, name in seen])
    acknowledged = {payloads.run_id_of(o.answer): o.meant[0][1] for o in history.ok}
    expect("names of the acknowledged ids", {i: n for i, n in seen if i in acknowledged}, acknowledged)
    doors.rows_agree(f"runs of experiment {experiment}", sorted(seen), SQL_RUNS, int(experiment))
    require_known_outcomes(f"{CLIENTS} clients", history)


@pytest.fixture(scope="module")
def racers(stack, mlflow_client, unique, tmp_path_factory):
    """(experiment name, racers): processes that set one new experiment and start a run each; strays are deleted."""
    experiment, names = unique("race"), [unique("racer") for _ in range(PROCESSES)]
    try:
        yield experiment, race_for_experiment(stack.mlflow_uri, experiment, names, tmp_path_factory.mktemp("race"))
    finally:
        for name in names:
            for run in mlflow_client.search_runs([DEFAULT], f"attributes.run_name = '{name}'"):
                mlflow_client.delete_run(run.info.run_id)


@pytest.mark.known_issue("F07")
def test_processes_that_set_a_new_experiment_log_to_it(racers, mlflow_client):
    """Jobs that start together and name the same new experiment must not log into the Default experiment.

    Remedy: create the experiment before the jobs start (`mlflow experiments create -n NAME`), or give them its id with
    MLFLOW_EXPERIMENT_ID; in code, call mlflow.set_experiment twice.
    """
    experiment, landed = racers
    expected = mlflow_client.get_experiment_by_name(experiment).experiment_id
    symptom = find_common_symptom(r.error for r in landed if r.error)
    expect("errors of the processes", [f"{r.name}: {r.error}" for r in landed if r.error], [], symptom=symptom)
    outside = [r for r in landed if r.experiment_id != expected]
    strayed = [f"{r.name} ({r.run_id}) in experiment {r.experiment_id}" for r in outside]
    symptom = Symptom.RUN_LANDS_IN_DEFAULT if {r.experiment_id for r in outside} == {DEFAULT} else None
    what = f"runs of {PROCESSES} processes outside experiment {experiment} ({expected})"
    expect(what, strayed, [], symptom=symptom)


def test_a_race_makes_one_experiment(racers, mlflow_client, doors):
    """Jobs that create the same experiment at the same moment must not end up with two of that name.

    Remedy: look at the unique key on experiments.name with `\\d experiments`; a restore or migration that lost it lets
    two in: run `mlflow db upgrade` on a database restored whole.
    """
    experiment, _ = racers
    found = [e.experiment_id for e in mlflow_client.search_experiments(filter_string=f"name = '{experiment}'")]
    expect_that(len(found) == 1, f"experiments named {experiment}", "one", found)
    query = "SELECT experiment_id FROM experiments WHERE name = %s"
    doors.rows_agree(f"experiments named {experiment}", [(int(found[0]),)], query, experiment)
