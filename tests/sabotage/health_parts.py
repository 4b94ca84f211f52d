"""Sabotages of names, schema, connections and bucket that the suite health must catch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fixtures.clients.s3 import open_s3_client
from tests.sabotage.harness import Aim, Sabotage, Target, raid
from tests.sabotage.lies import (
    api,
    cut,
    every,
    has,
    lie,
    nth,
    only,
    stale,
)
from tests.sabotage.rules import Forward, Request, Response, Rule, answer, at, edit
from tests.support.stacks import another_server

SHORT_WAIT = Path(__file__).parent / "short_wait"
# What is made in `public` then hides what Postgres itself has of that name.
PUBLIC_FIRST = "ALTER DATABASE mlflow SET search_path = public, pg_catalog"
LONG_IDLE = """
CREATE VIEW public.pg_stat_activity AS
SELECT pid, datid, datname, usename, application_name, backend_type, state, query, xact_start,
       state_change - interval '1 minute' AS state_change FROM pg_catalog.pg_stat_activity
"""


@contextmanager
def plain_server(target: Target, aim: Aim) -> Iterator[None]:
    """A second server on the same database, started without what we recommend: one worker, artifacts on its disk."""
    left_out = (
        "MLFLOW_ARTIFACTS_DESTINATION",
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE",
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW",
    )
    aim.pool = 15
    changed = {"MLFLOW_WORKERS": "1", "PYTHONPATH": str(SHORT_WAIT)}
    with another_server(target.begin, "plain", *left_out, **changed) as aim.mlflow_uri:
        yield


@contextmanager
def unknown_name(target: Target, aim: Aim) -> Iterator[None]:
    """Clients use a name that nobody told the server."""
    aim.public_urls = ["http://mlflow.example"]
    yield


@contextmanager
def wrong_driver(target: Target, aim: Aim) -> Iterator[None]:
    """The operator declares a driver that MLflow cannot use."""
    aim.db_uri = aim.db_uri.replace("+psycopg2", "+asyncpg")
    yield


@contextmanager
def open_transaction(target: Target, aim: Aim) -> Iterator[None]:
    """Somebody began a transaction and went home."""
    with target.database() as link, link.cursor() as cursor:
        cursor.execute("BEGIN; SELECT 1")
        yield


@contextmanager
def lost_bucket(target: Target, aim: Aim) -> Iterator[None]:
    """The bucket is deleted once the preflight is over, at the second experiment that is made."""
    bucket = target.stack.s3
    assert bucket
    client = open_s3_client(bucket)

    def remove(request: Request, forward: Forward) -> Response:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name):
            for item in page.get("Contents", []):
                client.delete_object(Bucket=bucket.name, Key=item["Key"])
        client.delete_bucket(Bucket=bucket.name)
        return forward(request)

    aim.rules.append(Rule("bucket", api("experiments/create"), nth(2, remove)))
    try:
        yield
    finally:
        client.create_bucket(Bucket=bucket.name)


RAIDS = (
    raid(
        "a damaged schema",
        Sabotage(
            "the revision is another one",
            {"health/test_schema.py::test_schema_revision_is_the_one_the_server_expects": "0000 *'?$|seen 0000"},
            sql=("CREATE TABLE kept AS TABLE alembic_version", "UPDATE alembic_version SET version_num = '0000'"),
            mend=("UPDATE alembic_version SET version_num = (SELECT version_num FROM kept)", "DROP TABLE kept"),
        ),
        Sabotage(
            "a column is missing",
            {"health/test_schema.py::test_tables_and_columns_are_all_there": "missing: trace_tags.value"},
            sql=("ALTER TABLE trace_tags RENAME value TO content",),
            mend=("ALTER TABLE trace_tags RENAME content TO value",),
        ),
        Sabotage(
            "a primary key is missing",
            {"health/test_schema.py::test_primary_and_unique_keys_are_all_there": r"input_tags \(input_uuid, name\)"},
            sql=("ALTER TABLE input_tags DROP CONSTRAINT input_tags_pk",),
            mend=("ALTER TABLE input_tags ADD CONSTRAINT input_tags_pk PRIMARY KEY (input_uuid, name)",),
        ),
        Sabotage(
            "a reference is not validated",
            {"health/test_schema.py::test_references_between_tables_are_enforced": r"params \(run_uuid\) -> runs"},
            sql=("ALTER TABLE params DROP CONSTRAINT params_run_uuid_fkey",),
            mend=(
                "ALTER TABLE params ADD CONSTRAINT params_run_uuid_fkey FOREIGN KEY (run_uuid) "
                "REFERENCES runs (run_uuid) NOT VALID",
                "ALTER TABLE params VALIDATE CONSTRAINT params_run_uuid_fkey",
            ),
        ),
        Sabotage(
            "an index is missing",
            {"health/test_schema.py::test_indexes_are_there_and_valid": r"none on params \(run_uuid\)"},
            sql=("DROP INDEX index_params_run_uuid",),
            mend=("CREATE INDEX index_params_run_uuid ON params (run_uuid)",),
        ),
        Sabotage(
            "the driver is none that MLflow can use",
            {"health/test_connections.py::test_database_uri_names_its_driver": "asyncpg"},
            breaks=wrong_driver,
        ),
        Sabotage(
            "a transaction is left open",
            {"health/test_connections.py::test_no_session_sits_idle_in_a_transaction": "BEGIN; SELECT 1"},
            breaks=open_transaction,
            sql=(LONG_IDLE, PUBLIC_FIRST),
            mend=("ALTER DATABASE mlflow RESET search_path", "DROP VIEW public.pg_stat_activity"),
        ),
        Sabotage(
            "clients use a name that the server was not told",
            {
                "health/test_names.py::test_server_answers_to_the_names_that_clients_use": "403.*ALLOWED_HOSTS",
                "health/test_names.py::test_server_accepts_posts_from_the_pages_it_serves": "403.*CORS_ALLOWED",
            },
            breaks=unknown_name,
        ),
        beside="""health/test_canary.py::test_canary_run_passes_the_whole_deep_path
            health/test_connections.py::test_free_connection_slots_remain
            health/test_artifact_root.py::test_new_experiments_get_an_object_store_or_the_proxy""",
    ),
    raid(
        "too few connections and a root on the client's disk",
        Sabotage(
            "the database lets one session in",
            {
                "health/test_connections.py::test_free_connection_slots_remain": "of 1 used .CONNECTION LIMIT of data",
                "health/test_connections.py::test_workers_cannot_ask_for_more_connections_than_there_are": "220.*1 by",
            },
            sql=("ALTER DATABASE mlflow CONNECTION LIMIT 1",),
            mend=("ALTER DATABASE mlflow CONNECTION LIMIT -1",),
        ),
        Sabotage(
            "artifact roots are plain paths",
            {
                "health/test_artifact_root.py::test_new_experiments_get_an_object_store_or_the_proxy": "seen /mlruns",
            },
            lie("root", api("(experiments/get|runs/create|runs/get)"), every("mlflow-artifacts:", "/mlruns")),
        ),
        beside="""health/test_object_store.py::test_overwritten_object_shows_its_new_bytes
            health/test_services.py::test_registry_answers health/test_database.py::test_database_is_no_standby""",
    ),
    raid(
        "plain MLflow",
        Sabotage(
            "the server was started with MLflow's defaults",
            {
                "health/test_artifact_root.py::test_artifact_proxy_does_not_keep_files_on_its_own_disk": "local disk",
                "health/test_canary.py::test_canary_artifact_lies_in_the_declared_bucket": "local disk",
                "health/test_connections.py::test_pool_has_a_connection_for_every_request_thread": "seen 15.*SIZE=45",
                "load/test_burst.py::test_full_burst_is_not_refused": "QueuePool limit of size 5 overflow 10 reached",
            },
            breaks=plain_server,
        ),
        beside="""health/test_canary.py::test_canary_run_passes_the_whole_deep_path
            health/test_services.py::test_client_logs_the_guides_test_run
            load/test_burst.py::test_full_burst_is_answered load/test_burst.py::test_full_burst_is_stored_once
            load/test_burst.py::test_health_answers_during_the_burst""",
        workers=1,
    ),
    raid(
        "an object store with an S3 dialect of its own",
        Sabotage(
            "deletions are not done",
            {"health/test_object_store.py::test_bucket_can_be_written_read_and_deleted_from": "its deletion.*True"},
            store_lies=lie("delete", at("/object$", "DELETE"), answer(204)),
        ),
        Sabotage(
            "a cache serves old bytes",
            {"health/test_object_store.py::test_overwritten_object_shows_its_new_bytes": "3500 bytes.*seen 6000 bytes"},
            store_lies=lie("cache", at("/object$", "GET"), stale()),
        ),
        Sabotage(
            "uploads in parts lose their end",
            {"health/test_object_store.py::test_multipart_upload_is_put_together_in_order": "5312880 bytes"},
            store_lies=lie("parts", at("/parts$", "GET"), cut()),
        ),
        Sabotage(
            "ranges are ignored",
            {"health/test_object_store.py::test_ranged_get_gives_just_that_range": r"bytes 0-0 of.*\(200"},
            store_lies=lie("range", at("/range$", "GET"), edit(response=lambda r: setattr(r, "status", 200))),
        ),
        Sabotage(
            "deletions by the batch are not done",
            {"health/test_object_store.py::test_delete_objects_removes_every_key_it_names": "/one.*/two.*/kept"},
            store_lies=lie("batch", at("", "POST"), only(has("delete"), answer(200, "<DeleteResult/>"))),
        ),
        Sabotage(
            "listings lose an object a page",
            {"health/test_object_store.py::test_listing_names_every_object_once": "in pages of two.*a/1"},
            store_lies=lie(
                "list", at("", "GET"), only(has("max-keys=2&"), every("(?s)<Contents>.*?</Contents>", "", 1))
            ),
        ),
        beside="""health/test_canary.py::test_canary_artifact_lies_in_the_declared_bucket
            health/test_replicas.py::test_artifact_is_read_by_every_worker""",
    ),
    raid(
        "no bucket",
        Sabotage(
            "the bucket was deleted",
            {
                "health/test_canary.py::test_canary_run_passes_the_whole_deep_path": "'store an artifact'.*says OK",
                "health/test_canary.py::test_health_does_not_hide_a_broken_deep_path": "/health says OK but the canary",
                "health/test_replicas.py::test_artifact_is_read_by_every_worker": "PUT of.*500",
                "health/test_object_store.py::test_bucket_can_be_written_read_and_deleted_from": "NoSuchBucket|404",
            },
            breaks=lost_bucket,
        ),
        beside="""health/test_services.py::test_client_logs_the_guides_test_run
            health/test_replicas.py::test_new_experiment_is_seen_by_every_worker""",
    ),
)
