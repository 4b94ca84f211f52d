"""The database's schema is whole, and the one that the server's MLflow version expects (F81)."""

from importlib import metadata

import pytest

from fixtures.core.outcomes import CauseId, Lack, OutOfScope, expect, expect_that
from fixtures.preflight.schema_heads import find_head_for

pytestmark = [pytest.mark.requires("sql"), pytest.mark.read_only]

# What every version from 2.16 to 3.17 relies on: table -> its key, its other columns. Since 3.10 keys and references
# of names hold a workspace too, which is left out wherever columns are compared.
CORE = {
    "experiments": ("experiment_id", "name artifact_location lifecycle_stage creation_time last_update_time"),
    "experiment_tags": ("key experiment_id", "value"),
    "runs": (
        "run_uuid",
        "name source_type source_name entry_point_name user_id status start_time end_time deleted_time "
        "source_version lifecycle_stage artifact_uri experiment_id",
    ),
    "metrics": ("key timestamp step run_uuid value is_nan", ""),
    "latest_metrics": ("key run_uuid", "value timestamp step is_nan"),
    "params": ("key run_uuid", "value"),
    "tags": ("key run_uuid", "value"),
    "datasets": (
        "experiment_id name digest",
        "dataset_uuid dataset_source_type dataset_source dataset_schema dataset_profile",
    ),
    "inputs": ("source_type source_id destination_type destination_id", "input_uuid"),
    "input_tags": ("input_uuid name", "value"),
    "trace_info": ("request_id", "experiment_id timestamp_ms execution_time_ms status"),
    "trace_tags": ("key request_id", "value"),
    "trace_request_metadata": ("key request_id", "value"),
    "registered_models": ("name", "creation_time last_updated_time description"),
    "registered_model_tags": ("key name", "value"),
    "registered_model_aliases": ("name alias", "version"),
    "model_versions": (
        "name version",
        "creation_time last_updated_time description user_id current_stage source run_id run_link status "
        "status_message storage_location",
    ),
    "model_version_tags": ("key name version", "value"),
}
UNIQUE = {"experiments": ["name"]}  # beside the primary keys
REFERENCES = {
    "runs": ("experiment_id", "experiments"),
    "experiment_tags": ("experiment_id", "experiments"),
    "metrics": ("run_uuid", "runs"),
    "latest_metrics": ("run_uuid", "runs"),
    "params": ("run_uuid", "runs"),
    "tags": ("run_uuid", "runs"),
    "datasets": ("experiment_id", "experiments"),
    "trace_info": ("experiment_id", "experiments"),
    "trace_tags": ("request_id", "trace_info"),
    "trace_request_metadata": ("request_id", "trace_info"),
    "registered_model_tags": ("name", "registered_models"),
    "registered_model_aliases": ("name", "registered_models"),
    "model_versions": ("name", "registered_models"),
    "model_version_tags": ("name version", "model_versions"),
}
LOOKUPS = dict.fromkeys(("metrics", "latest_metrics", "params", "tags"), "run_uuid")

# pg_catalog, since information_schema hides what the door's role may not read; MLflow's schema is that of its revision.
TABLES = """
FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE t.relkind IN ('r', 'p')
  AND t.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'alembic_version'::regclass)
"""
COLUMNS = f"SELECT t.relname::text, array_agg(a.attname::text) {TABLES} GROUP BY t.relname"
UNIQUE_KEYS = f"""
SELECT k.table_name, k.columns FROM (
    SELECT t.relname::text AS table_name, i.indexrelid, array_agg(a.attname::text) AS columns
    {TABLES.replace("WHERE", "JOIN pg_index i ON i.indrelid = t.oid WHERE", 1)}
      AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
      AND a.attnum = ANY((i.indkey::int2[])[0:i.indnkeyatts - 1])
    GROUP BY t.relname, i.indexrelid) AS k
"""
FIRST_COLUMNS = f"""
SELECT DISTINCT t.relname::text, a.attname::text
{TABLES.replace("WHERE", "JOIN pg_index i ON i.indrelid = t.oid WHERE", 1)}
  AND i.indisvalid AND i.indpred IS NULL AND a.attnum = (i.indkey::int2[])[0]
"""
FOREIGN_KEYS = f"""
SELECT t.relname::text, array_agg(a.attname::text), k.confrelid::regclass::text, k.convalidated
{TABLES.replace("WHERE", "JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'f' WHERE", 1)}
  AND a.attnum = ANY(k.conkey) GROUP BY t.relname, k.oid, k.confrelid, k.convalidated
"""
INVALID = """
SELECT t.relname::text, i.indexrelid::regclass::text FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
WHERE NOT (i.indisvalid AND i.indisready)
  AND t.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'alembic_version'::regclass) ORDER BY 1, 2
"""


def expected(stack):
    """Table -> (columns, keys): of this very revision if our client has it too, else what all versions share."""
    columns = {table: {*key.split(), *others.split()} for table, (key, others) in CORE.items()}
    keys = {table: [set(key.split())] for table, (key, _) in CORE.items()}
    for table, column in UNIQUE.items():
        keys[table].append(set(column))
    head = find_head_for(stack.versions["mlflow"])
    if head is not None and head == find_head_for(metadata.version("mlflow")):
        from mlflow.store.db.base_sql_model import Base
        from mlflow.store.model_registry.dbmodels import models as registry  # noqa: F401 - fills Base
        from mlflow.store.tracking.dbmodels import models as tracking  # noqa: F401 - fills Base

        for table in Base.metadata.tables.values():
            columns[table.name] = {column.name for column in table.columns}
            keys.setdefault(table.name, [{column.name for column in table.primary_key} - {"workspace"}])
    return columns, keys


@pytest.fixture(scope="module")
def parts(stack):
    """What the schema must have: (columns by table, keys by table)."""
    return expected(stack)


def named(columns):
    return frozenset(columns) - {"workspace"}


def present(sql, tables):
    """Those of `tables` that exist: a table that is missing as a whole is the finding of one check only."""
    found = dict(sql.rows(COLUMNS))
    return [table for table in tables if table in found]


def test_schema_revision_is_the_one_the_server_expects(stack, sql):
    """A server on another revision refuses to start at its next restart, or fails at the first new column.

    Remedy: back up the database, then run `mlflow db upgrade URI` with the server's own MLflow version.
    """
    found = [row[0] for row in sql.rows("SELECT version_num FROM alembic_version ORDER BY 1")]
    expect_that(len(found) == 1, "rows of alembic_version", "exactly one revision", found)
    head = find_head_for(stack.versions["mlflow"])
    if head is None:
        raise OutOfScope(Lack.SCHEMA_HEAD, f"the revision of MLflow {stack.versions['mlflow']} is not known to us")
    what = f"revision of the schema for MLflow {stack.versions['mlflow']}"
    expect(what, found[0], head, cause=CauseId.DATABASE_OTHER_SCHEMA)


def test_tables_and_columns_are_all_there(sql, parts):
    """A migration that stopped half-way leaves tables or columns out; requests that need them answer 500.

    Remedy: restore the database, or run `mlflow db upgrade URI`; look the missing part up in
    MLflow's store/db_migrations.
    """
    columns, _ = parts
    found = {table: set(names) for table, names in sql.rows(COLUMNS)}
    missing = [f"table {table}" for table in columns if table not in found]
    missing += [f"{t}.{name}" for t in columns if t in found for name in sorted(columns[t] - found[t])]
    expect_that(not missing, "tables and columns of MLflow", "all there", f"missing: {', '.join(missing)}")


def test_primary_and_unique_keys_are_all_there(sql, parts):
    """Without its keys the database takes a metric, a param or a version twice, and two models of one name.

    Remedy: find and merge the doubled rows, then ALTER TABLE ... ADD PRIMARY KEY as in a fresh MLflow database.
    """
    _, keys = parts
    found = {(table, named(columns)) for table, columns in sql.rows(UNIQUE_KEYS)}
    wanted = [(table, key) for table in present(sql, keys) for key in keys[table]]
    missing = [f"{table} ({', '.join(sorted(key))})" for table, key in wanted if (table, named(key)) not in found]
    expect_that(not missing, "primary and unique keys", "all there", f"missing: {'; '.join(missing)}")


def test_references_between_tables_are_enforced(sql):
    """Without foreign keys deleted runs and models leave rows behind, and renamed ones lose theirs.

    Remedy: delete the orphans, then ALTER TABLE ... ADD FOREIGN KEY (or VALIDATE CONSTRAINT) as in a fresh database.
    """
    found = {(t, named(columns), to.rpartition(".")[2]): valid for t, columns, to, valid in sql.rows(FOREIGN_KEYS)}
    wrong = []
    for table in present(sql, REFERENCES):
        columns, to = REFERENCES[table]
        if not found.get((table, named(columns.split()), to)):
            wrong.append(f"{table} ({columns}) -> {to}")
    expect_that(not wrong, "foreign keys", "all there and validated", f"missing or NOT VALID: {'; '.join(wrong)}")


def test_indexes_are_there_and_valid(sql, parts):
    """A run is read by its id: without a working index each page of the UI reads whole tables.

    Remedy: REINDEX INDEX CONCURRENTLY what is invalid; CREATE INDEX CONCURRENTLY ON table (run_uuid) what is missing.
    """
    columns, _ = parts
    broken = [f"{index} on {table} is INVALID" for table, index in sql.rows(INVALID) if table in columns]
    first = set(sql.rows(FIRST_COLUMNS))
    there = [(table, LOOKUPS[table]) for table in present(sql, LOOKUPS)]
    broken += [f"none on {table} ({column})" for table, column in there if (table, column) not in first]
    expect_that(not broken, "indexes of MLflow's tables", "there and valid", "; ".join(broken))
