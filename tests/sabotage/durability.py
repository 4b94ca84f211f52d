"""What a fault must not do to a stack, done on purpose: the drills must see it."""

from __future__ import annotations

from tests.sabotage.harness import Sabotage, raid

FAULTS = "durability/test_faults.py::test_"
KEPT = f"{FAULTS}every_acknowledged_write_outlives_the_fault"
HONEST = f"{FAULTS}errors_during_the_fault_do_not_blame_the_client"
RECOVERS = f"{FAULTS}the_server_recovers_by_itself"
METRICS_FLOW = f"{FAULTS}metrics_flow_while_the_object_store_is_down"
EARLY, WAITING, COLD, FIRST, REPLICAS = (
    f"durability/test_starts.py::test_{name}"
    for name in (
        "a_server_that_starts_before_postgres_comes_up",
        "a_server_that_postgres_keeps_waiting_comes_up_or_ends",
        "workers_that_start_without_postgres_answer_in_the_end",
        "the_first_parallel_traffic_after_a_start_is_served",
        "replicas_that_start_at_once_come_up",
    )
)


def damage(*words: str) -> str:
    """Options of a run whose drills do more harm than they should."""
    return f"-p tests.sabotage.drill_damage --drill-damage {','.join(words)}"


RAIDS = (
    raid(
        "a restart of Postgres that harms what was acknowledged",
        Sabotage(
            "three acknowledged points are lost, one is changed, and one run is there twice",
            {KEPT: "postgres-restart.*3 lost.*1 changed.*1 duplicated"},
        ),
        Sabotage("a 400 during the fault", {HONEST: "status 5xx, or no answer.*400"}),
        beside=RECOVERS,
        options=f"-k postgres-restart {damage('loses', 'changes', 'doubles', 'blames')}",
        ours=True,
    ),
    raid(
        "faults after which the server stays down",
        Sabotage("a server that has to be restarted", {RECOVERS: "done after a restart of MLflow"}),
        Sabotage("metrics that fail with the uploads", {METRICS_FLOW: "store-pause: writes of metrics.*failed"}),
        beside=f"{KEPT} {HONEST}",
        options=f"-k store-pause {damage('stays-down')}",
        ours=True,
    ),
    raid(
        "starts that go wrong",
        Sabotage("a server that ends before Postgres is there", {EARLY: "expected it answers, seen mlflow|exited"}),
        Sabotage("a new server that loses what it acknowledged", {FIRST: "3 lost"}),
        Sabotage("a database that no replica can migrate", {REPLICAS: "ended, also after another start"}),
        beside=HONEST,
        options=f"-k 'test_starts or postgres-restart' {damage('ends', 'loses', 'half-migrated')}",
        ours=True,
    ),
    raid(
        "starts that take long, and go wrong",
        Sabotage("a server that gives up as if all were well", {WAITING: "an exit code that is not 0"}),
        Sabotage("workers that are asked while Postgres is there", {COLD: "expected 5xx, seen 200"}),
        beside=HONEST,
        options=f"-k 'test_starts or postgres-restart' {damage('ends-well', 'postgres-stays')}",
        full=True,
        ours=True,
    ),
)
