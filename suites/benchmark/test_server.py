"""What a server costs by itself: its start, and being idle."""

import pytest

from fixtures.core.outcomes import expect

SECONDS = 3


@pytest.mark.requires("private")
def test_a_further_server_serves_what_is_stored_once_it_has_started(measure, another_server, probe, make_run):
    """What a restart or one more replica takes until it answers, with a database that is migrated already.

    Remedy: read the further server's log in the report's folder; see whether it reaches database and bucket.
    """
    run, seen = make_run(), []

    def begin():
        another_server.stop()

        def operate():
            another_server.start()

        return operate

    def holds():
        seen.append(probe.fresh(another_server.url).ask("runs/get", {"run_id": run})["run"]["info"]["run_id"])
        expect(f"run {run}, read from the further server", seen, [run])

    measure(begin, holds, rounds=2, warm=0, times=1, opening=True)


@pytest.mark.requires("private", "sql")
def test_an_idle_server_leaves_its_database_alone(idle_cost, note):
    """What a server costs that nobody uses: CPU of each part, and statements, of which there should be none.

    Remedy: see pg_stat_activity for who asks: jobs (MLFLOW_SERVER_ENABLE_JOB_EXECUTION), a dashboard, health checks.
    """
    found, used = idle_cost(SECONDS)
    note(", ".join(f"{part} {1000 * spent / SECONDS:.1f} ms of CPU a second" for part, spent in sorted(used.items())))
    expect(f"statements in {SECONDS} s without a request", found["statements"] + found["nested"], 0)
    expect("parts of the stack whose CPU was seen", sorted(used), ["mlflow", "postgres", "store"])
