"""Sabotages of the server's login, of MLflow's tables and of existing experiments that the suite health must catch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fixtures.core.uris import ARTIFACT_ROUTE
from tests.sabotage.harness import Aim, Sabotage, Target, raid, trigger

LOGIN, TABLES, LOCATIONS = (
    f"health/test_{name}.py::test" for name in ("database_login", "tables", "existing_locations")
)
GRANTS = "GRANT ALL ON ALL TABLES IN SCHEMA public TO {0}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {0}"


@contextmanager
def session_of(target: Target, role: str, *statements: str) -> Iterator[None]:
    """A session of a new role, as a server's pool would hold it."""
    target.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'", GRANTS.format(role), *statements)
    try:
        with target.database(user=role, password="x"):
            yield
    finally:
        target.execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@contextmanager
def short_lived_role(target: Target, aim: Aim) -> Iterator[None]:
    """The server's role has a password that ends next week."""
    with session_of(
        target,
        "brief",
        "DO $$ BEGIN EXECUTE format('ALTER ROLE brief VALID UNTIL %L', now() + '7 days'::interval); END $$",
    ):
        yield


@contextmanager
def role_without_a_grant(target: Target, aim: Aim) -> Iterator[None]:
    """The server's role was not given one table, and of another not all."""
    with session_of(target, "partial", "REVOKE ALL ON input_tags FROM partial", "REVOKE UPDATE ON tags FROM partial"):
        yield


@contextmanager
def healthy_roles(target: Target, aim: Aim) -> Iterator[None]:
    """Roles at which nothing is wrong: one with a far date, one that signs in by a token, one that only reads."""
    target.execute("CREATE ROLE rds_iam")
    far = "ALTER ROLE lasting VALID UNTIL '2999-01-01'"
    token = ("GRANT rds_iam TO token", "ALTER ROLE token VALID UNTIL '2001-01-01'")
    with (
        session_of(target, "lasting", far),
        session_of(target, "reader", "REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public FROM reader"),
    ):
        target.execute("CREATE ROLE token", GRANTS.format("token"), *token)
        try:
            yield
        finally:
            target.execute("DROP OWNED BY token", "DROP ROLE token", "DROP ROLE rds_iam")


def experiment(number: int, location: str) -> dict[str, tuple[str, ...]]:
    """`sql` and `mend` of an experiment of long ago, with a run; its id is below those of the sequence."""
    columns = "run_uuid, experiment_id, status, lifecycle_stage, artifact_uri, start_time, source_type"
    return {
        "sql": (
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) "
            f"VALUES (-{number}, 'old {number}', '{location}', 'active')",
            f"INSERT INTO runs ({columns}) "
            f"VALUES (md5('{number}'), -{number}, 'FINISHED', 'active', '{location}/run', 1, 'LOCAL')",
        ),
        "mend": tuple(f"DELETE FROM {table} WHERE experiment_id = -{number}" for table in ("runs", "experiments")),
    }


RAIDS = (
    raid(
        "logins and tables after a careless hand",
        Sabotage(
            "a password that ends soon",
            {f"{LOGIN}_database_password_does_not_run_out": r"password of role brief is valid until 20\d\d-"},
            breaks=short_lived_role,
        ),
        Sabotage(
            "a grant that is missing",
            {
                f"{LOGIN}_server_role_may_write_every_table": "partial has no INSERT, SELECT, UPDATE on input_tags; "
                "partial has no UPDATE on tags"
            },
            breaks=role_without_a_grant,
        ),
        Sabotage(
            "a restore without its sequences",
            {f"{TABLES}_sequences_are_ahead_of_their_tables": "experiments_experiment_id_seq gives .* next, .*70000 *"},
            sql=(
                "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (70000, 'restored', 'deleted')",
            ),
            mend=("DELETE FROM experiments WHERE experiment_id = 70000",),
        ),
        Sabotage(
            "a trigger that somebody left",
            {f"{TABLES}_triggers_are_those_of_mlflow": "foreign trigger sabotage_.* on input_tags"},
            **trigger("input_tags", "RETURN NEW;"),
        ),
        Sabotage(
            "a check that is not validated",
            {f"{TABLES}_constraints_are_validated": "runs_status_known of runs"},
            sql=("ALTER TABLE runs ADD CONSTRAINT runs_status_known CHECK (status <> 'ODD') NOT VALID",),
            mend=("ALTER TABLE runs DROP CONSTRAINT runs_status_known",),
        ),
        Sabotage(
            "a default that was dropped",
            {f"{TABLES}_defaults_are_those_of_mlflow": r"metrics\.step has none, not '0'"},
            sql=("ALTER TABLE metrics ALTER COLUMN step DROP DEFAULT",),
            mend=("ALTER TABLE metrics ALTER COLUMN step SET DEFAULT '0'",),
        ),
        Sabotage("an old experiment in the bucket itself", {}, **experiment(80003, "s3://mlflow/elsewhere")),
        Sabotage("one at another server", {}, **experiment(80004, f"http://mlflow.example/{ARTIFACT_ROUTE}/x")),
        beside=f"""{LOCATIONS}_existing_experiments_keep_no_files_on_a_path
            {LOCATIONS}_stores_of_existing_experiments_are_there {LOCATIONS}_clients_need_no_keys_of_a_store""",
    ),
    raid(
        "old experiments elsewhere",
        Sabotage(
            "on a path",
            {f"{LOCATIONS}_existing_experiments_keep_no_files_on_a_path": "/mlflow/mlruns/80001: -80001 'old 80001'"},
            **experiment(80001, "/mlflow/mlruns/80001"),
        ),
        Sabotage(
            "in a bucket that is gone",
            {f"{LOCATIONS}_stores_of_existing_experiments_are_there": "s3://no-such-bucket: -80002 'old 80002'"},
            **experiment(80002, "s3://no-such-bucket/80002"),
        ),
        Sabotage(
            "in a bucket to which clients have no keys",
            {f"{LOCATIONS}_clients_need_no_keys_of_a_store": "seen .*s3://mlflow: -80005 'old 80005'"},
            **experiment(80005, "s3://mlflow/80005"),
        ),
        Sabotage("roles that are unusual and well", {}, breaks=healthy_roles),
        beside=f"""{LOGIN}_database_password_does_not_run_out {LOGIN}_server_role_may_write_every_table
            {TABLES}_triggers_are_those_of_mlflow {TABLES}_sequences_are_ahead_of_their_tables""",
        options="--clients-without-s3-keys",
    ),
)
