"""Every worker and replica behind the address sees the same data at once."""

from concurrent.futures import ThreadPoolExecutor

from fixtures.canary import ARTIFACTS, need, proxied_path
from fixtures.clients import Probe
from fixtures.doors import digest
from fixtures.outcomes import OutOfScope, expect, text


def spread(count, ask):
    """The answers to `count` requests, four at a time, so that one idle worker cannot take them all."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda _: ask(), range(count)))


def test_new_experiment_is_seen_by_every_worker(probe, make_experiment, unique):
    """A replica with a database of its own, or a stale one, loses every run that a job sends its way.

    Remedy: compare MLFLOW_BACKEND_STORE_URI of all replicas; none may point at a read replica or at its own database.
    """
    name = unique("replicas")
    experiment = make_experiment(name)

    def ask():
        answer = Probe(probe.uri).get("/api/2.0/mlflow/experiments/get", params={"experiment_id": experiment})
        return need(answer.json(), "experiment", "name") if answer.status_code == 200 else text(answer.text, 150)

    expect(f"name of experiment {experiment} in 20 reads", spread(20, ask), [name] * 20)


def test_update_is_seen_by_every_worker(probe, make_experiment):
    """A value that was overwritten must not come back from a cache or a lagging read replica.

    Remedy: leave MLFLOW_READ_REPLICA_BACKEND_STORE_URI unset, or make that replica synchronous (remote_apply); let no
    proxy cache API answers.
    """
    body = {"experiment_id": make_experiment(), "start_time": 1}
    run_id = need(probe.call("runs/create", body), "run", "info", "run_id")

    def ask():
        run = need(Probe(probe.uri).ask("runs/get", {"run_id": run_id}), "run")
        return {t.get("key"): t.get("value") for t in need(run, "data").get("tags", [])}.get("round")

    for value in ("one", "two", "three"):
        probe.call("runs/set-tag", {"run_id": run_id, "key": "round", "value": value})
        expect(f"tag of run {run_id} in 8 reads after set-tag round={value}", spread(8, ask), [value] * 8)


def test_artifact_is_read_by_every_worker(probe, make_experiment, unique):
    """A replica that keeps artifacts on its own disk answers for them only when it is asked itself.

    Remedy: set MLFLOW_ARTIFACTS_DESTINATION to the same bucket on every replica.
    """
    run = need(probe.call("runs/create", {"experiment_id": make_experiment(), "start_time": 1}), "run", "info")
    root, content = need(run, "artifact_uri"), unique("shared").encode() * 20
    path = proxied_path(root)
    if path is None:
        raise OutOfScope("proxied-artifacts", f"clients fetch artifacts from {root} themselves")
    put = probe.put(f"{ARTIFACTS}/{path}/shared.txt", data=content)
    expect(f"PUT of {root}/shared.txt", put.status_code, 200)

    def ask():
        answer = Probe(probe.uri).get(f"{ARTIFACTS}/{path}/shared.txt")
        return digest(answer.content) if answer.status_code == 200 else f"{answer.status_code} {text(answer.text, 150)}"

    expect(f"{root}/shared.txt in 10 reads", spread(10, ask), [digest(content)] * 10)
