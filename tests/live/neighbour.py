"""Somebody else's experiments, runs, models and objects on a server, and what of them is stored, row by row."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql

from fixtures.clients.s3 import open_s3_client
from fixtures.stack import Stack

# Columns that say whose a row is.
OWNERS = ("experiment_id", "run_uuid", "model_id", "trace_id", "request_id")
NAMED = ("experiments", "registered_model", "model_version")  # tables, or how they begin, whose rows go by a name
SHARED = ("experiment_id", "0")  # the experiment Default belongs to nobody


def names_like(prefix: str) -> list[str]:
    """Names that resemble those of a run with `prefix`, such as `rdy-kin-1-`, and do not begin with it."""
    bare = prefix.rstrip("-")
    masked = prefix.replace("-", "_")
    return [bare, prefix.upper() + "UPPER", masked + "x", prefix.replace("-", "%") + "x", f"x{prefix}x", f"{bare}x-x"]


def settle(stack: Stack, prefixes: list[str], folder: Path) -> None:
    """Make the neighbour's things, with names close to those of runs with `prefixes`."""
    import mlflow

    mlflow.set_tracking_uri(stack.mlflow_uri)
    mlflow.set_registry_uri(stack.mlflow_uri)
    client = mlflow.MlflowClient(stack.mlflow_uri)
    file = folder / "weights.bin"
    file.write_bytes(b"the neighbour's weights\n" * 200)
    there = client.get_experiment_by_name("nightly")  # another module of tests has moved in on this stack before
    experiment = there.experiment_id if there else ""
    for name in () if there else ("rdy-", "rdy", "nightly"):
        experiment = client.create_experiment(name, tags={"owner": "somebody else"})
        model_of(client, name, fill(client, experiment, file))
        deleted = client.create_experiment(f"deleted {name}")
        fill(client, deleted, file)
        client.delete_experiment(deleted)
    wanted = [name for prefix in prefixes for name in names_like(prefix)]
    made = [name for name in wanted if client.get_experiment_by_name(name) is None]  # the same module may come twice
    for name in made:
        client.create_run(client.create_experiment(name), run_name=name)
        client.create_registered_model(name)
    if made:
        client.delete_experiment(client.get_experiment_by_name(made[-1]).experiment_id)
    client.delete_run(fill(client, experiment, file))
    doomed = client.create_logged_model(experiment, name="doomed").model_id
    client.delete_logged_model(doomed)
    client.create_logged_model(experiment, name="kept")
    door = open_s3_client(bucket(stack))
    for key in ("rdy-", f"{bucket(stack).prefix}/rdy-note", *names_like(f"artifacts/{prefixes[0]}"), "beside/x.txt"):
        door.put_object(Bucket=bucket(stack).name, Key=key, Body=f"the neighbour's {key}".encode())


def fill(client: Any, experiment: str, file: Path) -> str:
    """A run with a param, metrics, tags and an artifact; its id."""
    run = client.create_run(experiment, run_name="rdy-run").info.run_id
    client.log_param(run, "depth", "7")
    for step in range(3):
        client.log_metric(run, "loss", 1 / (step + 1), step=step)
    client.set_tag(run, "stage", "rdy-")
    client.log_artifact(run, str(file), "model")
    client.set_terminated(run)
    return str(run)


def model_of(client: Any, name: str, run: str) -> None:
    """A registered model with two versions, a stage, an alias and tags."""
    client.create_registered_model(name, tags={"owner": "somebody else"}, description="in use")
    root = client.get_run(run).info.artifact_uri
    for _ in range(2):
        client.create_model_version(name, f"{root}/model", run_id=run)
    client.transition_model_version_stage(name, "1", "Production")
    client.set_registered_model_alias(name, "champion", "2")
    client.set_model_version_tag(name, "2", "approved", "yes")


def bucket(stack: Stack) -> Any:
    assert stack.s3 is not None
    return stack.s3


@contextmanager
def database(stack: Stack) -> Iterator[Any]:
    """A cursor of a session of its own."""
    link = psycopg2.connect(re.sub(r"^postgresql\+\w+", "postgresql", stack.db_uri or ""))
    link.autocommit = True
    with closing(link), link.cursor() as cursor:
        yield cursor


@dataclass(frozen=True)
class Stored:
    """Everything that a deployment stores.

    Args:
        rows: table -> its rows as JSON, in order.
        objects: key -> size, etag and SHA-256.
    """

    rows: dict[str, list[str]]
    objects: dict[str, tuple[int, str, str]]

    @classmethod
    def of(cls, stack: Stack) -> Stored:
        """All tables of the database and all objects of the bucket."""
        rows = {}
        with database(stack) as cursor:
            cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
            for (table,) in sorted(cursor.fetchall()):
                cursor.execute(sql.SQL("SELECT to_jsonb(t)::text FROM {} t").format(sql.Identifier(table)))
                rows[table] = sorted(row[0] for row in cursor.fetchall())
        where = bucket(stack)
        door = open_s3_client(where)
        pages = door.get_paginator("list_objects_v2").paginate(Bucket=where.name)
        objects = {}
        for item in (item for page in pages for item in page.get("Contents", [])):
            body = door.get_object(Bucket=where.name, Key=item["Key"])["Body"].read()
            objects[item["Key"]] = item["Size"], item["ETag"], hashlib.sha256(body).hexdigest()
        return cls(rows, objects)

    def owners(self) -> set[tuple[str, str]]:
        """Ids and names that stand in the rows."""
        return {owner for table, rows in self.rows.items() for row in rows for owner in owners(table, row)} - {SHARED}

    def harm(self, later: Stored) -> list[str]:
        """What of this is not as it was `later`, and what has been added to it."""
        lines, mine = [], self.owners()
        for table, rows in self.rows.items():
            now = set(later.rows.get(table, []))
            lines += [f"{table} lost or changed {row[:300]}" for row in rows if row not in now]
            new = now - set(rows)
            lines += [f"{table} gained {row[:300]}" for row in sorted(new) if mine & set(owners(table, row))]
        lines += [f"object {key} was {was}, is {later.objects.get(key)}" for key, was in self.objects.items()
                  if later.objects.get(key) != was]  # fmt: skip
        folders = {key.rpartition("/")[0] for key in self.objects} - {"", bucket_root(self.objects)}
        new_keys = set(later.objects) - set(self.objects)
        return lines + [
            f"object {key} is new beside others" for key in sorted(new_keys) if key.rpartition("/")[0] in folders
        ]

    def active(self, prefix: str) -> list[str]:
        """Experiments and models that begin with `prefix` and are not deleted, and objects of ours beside runs."""
        found = [json.loads(row) for row in self.rows["experiments"]]
        names = [e["name"] for e in found if e["lifecycle_stage"] != "deleted"]
        names += [json.loads(row)["name"] for row in self.rows["registered_models"]]
        beside = [key for key in self.objects if key.startswith((prefix, f"{bucket_root(self.objects)}/{prefix}"))]
        return [name for name in names if name.startswith(prefix)] + beside


def bucket_root(objects: dict[str, Any]) -> str:
    """The folder of all artifacts, in which everybody's lie."""
    return next(key.partition("/")[0] for key in objects if key.startswith("artifacts/"))


def owners(table: str, row: str) -> list[tuple[str, str]]:
    """Ids and names in `row`, JSON."""
    columns = (*OWNERS, "name") if table.startswith(NAMED) else OWNERS
    found = json.loads(row)
    return [(column, str(found[column])) for column in columns if found.get(column) is not None]
