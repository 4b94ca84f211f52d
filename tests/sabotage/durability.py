"""What a fault must not do to a stack, done on purpose: the drills must see it."""

from __future__ import annotations

from tests.sabotage.harness import Sabotage, raid

FAULTS = "durability/test_faults.py::test_"
KEPT = f"{FAULTS}every_acknowledged_write_outlives_the_fault"
HONEST = f"{FAULTS}errors_during_the_fault_do_not_blame_the_client"
RECOVERS = f"{FAULTS}the_server_recovers_by_itself"


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
        "a restart of Postgres after which the server stays down",
        Sabotage("a server that has to be restarted", {RECOVERS: "done after a restart of MLflow"}),
        beside=f"{KEPT} {HONEST}",
        options=f"-k postgres-restart {damage('stays-down')}",
        ours=True,
    ),
)
