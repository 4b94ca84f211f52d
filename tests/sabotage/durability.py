"""What a fault must not do to a stack, done on purpose: the drills must see it."""

from __future__ import annotations

from tests.sabotage.harness import Sabotage, raid

FAULTS = "durability/test_faults.py::test_"
KEPT = f"{FAULTS}every_acknowledged_write_outlives_the_fault"
HONEST = f"{FAULTS}errors_during_the_fault_do_not_blame_the_client"
RECOVERS = f"{FAULTS}the_server_recovers_by_itself"
METRICS_FLOW = f"{FAULTS}metrics_flow_while_the_object_store_is_down"
ROLLED, REFUSES, FAILOVER, FOLLOWS = (
    f"durability/test_replicas.py::test_{name}"
    for name in (
        "a_rolling_restart_loses_no_acknowledged_write",
        "a_rolling_restart_refuses_nobody",
        "a_failover_of_postgres_loses_no_acknowledged_write",
        "the_server_follows_a_failover_of_postgres",
    )
)
ONCE, THERE_ONCE, KILLED = (
    f"durability/test_clients.py::test_{name}"
    for name in (
        "a_value_whose_answer_is_lost_is_stored_once",
        "a_run_or_version_whose_answer_is_lost_is_there_once",
        "what_a_killed_client_had_logged_is_stored",
    )
)
WHOLE, EMPTIED = (
    f"durability/test_full_disk.py::test_{name}"
    for name in (
        "uploads_to_a_full_temporary_disk_are_whole_or_refused",
        "the_server_recovers_from_a_full_temporary_disk",
    )
)
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
        Sabotage("a server that a failover leaves behind", {FOLLOWS: "done after a restart of MLflow"}),
        beside=f"{KEPT} {HONEST}",
        options=f"-k 'store-pause or failover' {damage('stays-down')}",
        ours=True,
    ),
    raid(
        "replicas that lose writes, and a balancer that knows one of two",
        Sabotage("a rolling restart that loses acknowledged points", {ROLLED: "rolling-restart.*3 lost"}),
        Sabotage("nobody serves while a replica restarts", {REFUSES: "requests that were refused: expected none.*503"}),
        Sabotage("a failover that loses acknowledged points", {FAILOVER: "postgres-failover.*3 lost"}),
        beside=FOLLOWS,
        options=damage("loses", "one-replica"),
        ours=True,
    ),
    raid(
        "a database that forgets points of clients, and doubles runs",
        Sabotage("a point of a batch that is not there", {ONCE: "metric points of run", KILLED: "1 lost"}),
        Sabotage("more runs than a repeated request can make", {THERE_ONCE: "expected 1 run.*seen 4 runs"}),
        beside=HONEST,
        options=f"-k 'test_clients or postgres-restart' {damage('clients')}",
        ours=True,
    ),
    raid(
        "a disk that is filled, and a server that does not get over it",
        Sabotage("points that are lost with the uploads", {WHOLE: "full-temporary-disk.*3 lost"}),
        Sabotage("a server that has to be restarted to have room", {EMPTIED: "done after a restart of MLflow"}),
        beside=HONEST,
        options=f"-k 'test_full_disk or postgres-pause' {damage('loses', 'stays-down')}",
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
