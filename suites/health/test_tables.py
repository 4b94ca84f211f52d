"""What a restore or a hand in psql leaves behind in MLflow's tables: sequences, triggers, constraints, defaults."""

import pytest

from fixtures.core.outcomes import expect_that

pytestmark = [pytest.mark.requires("sql"), pytest.mark.read_only]

SCHEMA = "(SELECT relnamespace FROM pg_class WHERE oid = 'alembic_version'::regclass)"
# Sequences that fill a column, as far as the door may read both; (name, table, column).
SEQUENCES = f"""
SELECT s.oid::regclass::text, t.oid::regclass::text, quote_ident(a.attname) FROM pg_class s
JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass
     AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
JOIN pg_class t ON t.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S' AND t.relnamespace = {SCHEMA}
  AND CASE WHEN s.relkind = 'S' THEN has_sequence_privilege(s.oid, 'SELECT') END  -- in any order it would meet tables
  AND has_table_privilege(t.oid, 'SELECT') ORDER BY 1
"""
BY_MLFLOW = "('prevent_secrets_aad_mutation')"  # its only trigger, of 3.7 and later
TRIGGERS = f"""
SELECT t.relname::text, CASE WHEN g.tgenabled = 'D' THEN 'disabled' ELSE 'foreign' END,
       CASE WHEN g.tgisinternal THEN 'trigger of a foreign key' ELSE 'trigger ' || g.tgname END
FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid
WHERE t.relnamespace = {SCHEMA} AND t.relname = ANY(%s)
  AND (g.tgenabled = 'D' OR NOT g.tgisinternal AND g.tgname NOT IN {BY_MLFLOW})
UNION
SELECT t.relname::text, 'foreign', 'rule ' || r.rulename FROM pg_rewrite r JOIN pg_class t ON t.oid = r.ev_class
WHERE t.relnamespace = {SCHEMA} AND t.relname = ANY(%s) AND t.relkind IN ('r', 'p')
UNION
SELECT t.relname::text, 'foreign', 'row security' FROM pg_class t
WHERE t.relnamespace = {SCHEMA} AND t.relname = ANY(%s) AND t.relrowsecurity
ORDER BY 1, 2, 3
"""
NOT_VALID = f"""
SELECT t.relname::text, k.conname::text FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
WHERE t.relnamespace = {SCHEMA} AND t.relname = ANY(%s) AND NOT k.convalidated AND k.contype <> 'f' ORDER BY 1, 2
"""
# (table, column, default; empty if there is none) of the columns that have a default in every MLflow that has them.
DEFAULTS = f"""
SELECT t.relname::text, a.attname::text, coalesce(pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
WHERE t.relnamespace = {SCHEMA} AND t.relname = ANY(%s) AND t.relkind IN ('r', 'p') AND a.attidentity = '' AND (
    a.attname = 'workspace' OR (t.relname, a.attname) IN
    (('experiments', 'experiment_id'), ('metrics', 'step'), ('metrics', 'is_nan'))) ORDER BY 1, 2
"""
EXPECTED_DEFAULTS = {"workspace": "'default'", "experiment_id": "nextval(", "step": "'0'", "is_nan": "false"}


@pytest.fixture(scope="module")
def tables():
    """Names of MLflow's tables, as far as our client knows them: others may have theirs in the same schema."""
    from mlflow.store.db.base_sql_model import Base
    from mlflow.store.model_registry.dbmodels import models as registry  # noqa: F401 - fills Base
    from mlflow.store.tracking.dbmodels import models as tracking  # noqa: F401 - fills Base

    return sorted(Base.metadata.tables)


def test_sequences_are_ahead_of_their_tables(sql):
    """After a restore without its sequences the next experiment gets an id that is taken, and is refused.

    Remedy: SELECT setval('SEQUENCE', (SELECT max(COLUMN) FROM TABLE)) for each that is named.
    """
    behind = []
    for sequence, table, column in sql.rows(SEQUENCES):
        query = f"""SELECT m.most, s.last_value + s.is_called::int * (SELECT seqincrement FROM pg_sequence
            WHERE seqrelid = %s::regclass) FROM (SELECT max({column}) AS most FROM {table}) m, {sequence} s"""
        most, following = sql.rows(query, sequence)[0]
        if most is not None and following <= most:
            behind.append(f"{sequence} gives {following} next, {table}.{column} holds {most}")
    expect_that(not behind, "sequences of MLflow's tables", "above what the tables hold", "; ".join(behind))


def test_triggers_are_those_of_mlflow(sql, tables):
    """A trigger or rule that somebody left changes or drops rows which the server acknowledged.

    Remedy: look at it with \\d TABLE in psql; DROP TRIGGER (or RULE) what is not MLflow's, ALTER TABLE ... ENABLE
    TRIGGER ALL what a restore disabled, ALTER TABLE ... DISABLE ROW LEVEL SECURITY.
    """
    wrong = [f"{kind} {what} on {table}" for table, kind, what in sql.rows(TRIGGERS, tables, tables, tables)]
    expect_that(not wrong, "triggers, rules and row security of MLflow's tables", "MLflow's own", "; ".join(wrong))


def test_constraints_are_validated(sql, tables):
    """A check that is NOT VALID holds for new rows only: old ones break the next upgrade or restore.

    Remedy: ALTER TABLE ... VALIDATE CONSTRAINT ...; correct the rows that it then names.
    """
    wrong = [f"{name} of {table}" for table, name in sql.rows(NOT_VALID, tables)]
    expect_that(not wrong, "constraints of MLflow's tables", "validated", f"NOT VALID: {'; '.join(wrong)}")


def test_defaults_are_those_of_mlflow(sql, tables):
    """Rows take what the server does not send from a default: without it an insert is refused, or stores another value.

    Remedy: ALTER TABLE ... ALTER COLUMN ... SET DEFAULT as in a database that `mlflow db upgrade` made.
    """
    found = sql.rows(DEFAULTS, tables)
    wrong = [
        f"{table}.{column} has {default or 'none'}, not {EXPECTED_DEFAULTS[column]}"
        for table, column, default in found
        if not default.startswith(EXPECTED_DEFAULTS[column])
    ]
    expect_that(found, "columns with a default", "some", "none is seen")
    expect_that(not wrong, "defaults of MLflow's columns", "those of a new database", "; ".join(wrong))
