"""Every worker and replica behind the address sees the same data at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.clients.doors import describe_bytes
from fixtures.clients.rest import ARTIFACT_API
from fixtures.core.outcomes import Lack, OutOfScope, expect, expect_that, shorten_text
from fixtures.core.uris import proxied_path
from fixtures.preflight.canary import read_experiment_name, require_field


def spread(count, ask):
    """How often each answer came to `count` requests, four at a time, so that no idle worker takes them all."""
    with ThreadPoolExecutor(4) as pool:
        return dict(Counter(pool.map(lambda _: ask(), range(count))))


@pytest.mark.survey
def test_new_experiment_is_seen_by_every_worker(stack, probe, unique):
    """A replica with a database of its own, or a stale one, loses every run that a job sends its way.

    Remedy: compare MLFLOW_BACKEND_STORE_URI of all replicas; none may point at a read replica or at its own database.
    """
    several = stack.disagreement
    expect_that(several is None, "one database behind the address", "one", several)
    name = unique("replicas")
    query = {"experiment_id": probe.call("experiments/create", {"name": name})["experiment_id"]}

    def ask():
        return read_experiment_name(probe.fresh().get("/api/2.0/mlflow/experiments/get", params=query))

    expect(f"name of experiment {query['experiment_id']} in 20 reads", spread(20, ask), {name: 20})


def test_update_is_seen_by_every_worker(probe, new_run):
    """A value that was overwritten must not come back from a cache or a lagging read replica.

    Remedy: leave MLFLOW_READ_REPLICA_BACKEND_STORE_URI unset, or make that replica synchronous (remote_apply); let no
    proxy cache API answers.
    """
    run_id, _ = new_run()

    def ask():
        run = require_field(probe.fresh().ask("runs/get", {"run_id": run_id}), "run")
        return {t.get("key"): t.get("value") for t in require_field(run, "data").get("tags", [])}.get("round")

    for value in ("one", "two"):
        probe.call("runs/set-tag", {"run_id": run_id, "key": "round", "value": value})
        expect(f"tag of run {run_id} in 8 reads after set-tag round={value}", spread(8, ask), {value: 8})


def test_artifact_is_read_by_every_worker(probe, new_run, unique):
    """A replica that keeps artifacts on its own disk answers for them only when it is asked itself.

    Remedy: set MLFLOW_ARTIFACTS_DESTINATION to the same bucket on every replica.
    """
    (_, root), content = new_run(), unique("shared").encode() * 20
    path = proxied_path(root)
    if path is None:
        raise OutOfScope(Lack.PROXIED_ARTIFACTS, f"clients fetch artifacts from {root} themselves")
    probe.put_artifact(f"{path}/shared.txt", content)

    def ask():
        answer = probe.fresh().get(f"{ARTIFACT_API}/{path}/shared.txt")
        return (
            describe_bytes(answer.content)
            if answer.status_code == 200
            else f"{answer.status_code} {shorten_text(answer.text, 150)}"
        )

    expect(f"{root}/shared.txt in 10 reads", spread(10, ask), {describe_bytes(content): 10})
