"""Many real objects with their runs on a private stack, and what it costs to compare them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg2

from fixtures.clients.s3 import open_s3_client
from fixtures.clients.sql import SqlDoor
from fixtures.core.files import ROOT
from fixtures.stack import Stack
from fixtures.tools.stored_data.comparison import open_comparison
from tests.sabotage.harness import clean_environment

OBJECTS_OF_RUN = 5
WRITERS = 12
# Each tenth run says in a tag what it has.
ADD_RUNS = """
INSERT INTO runs (run_uuid, name, artifact_uri, experiment_id, status, lifecycle_stage, start_time, end_time,
    source_type, source_name, source_version, entry_point_name, user_id)
SELECT md5(n::text), 'r' || n, 'mlflow-artifacts:/0/' || md5(n::text) || '/artifacts', 0, 'FINISHED', 'active', 1, 2,
    'UNKNOWN', '', '', '', 'somebody'
FROM generate_series(%(first)s, %(last)s) n;
INSERT INTO tags (run_uuid, key, value) SELECT md5(n::text), 'mlflow.loggedArtifacts', '[{"path": "f0.json"}]'
FROM generate_series(%(first)s, %(last)s) n WHERE n %% 10 = 0 RETURNING 1;
"""


def add_objects(stack: Stack, there: int, number: int) -> None:
    """Let there be `number` objects with their runs, of which so many are there already."""
    assert stack.s3 and stack.db_uri
    first, last = there // OBJECTS_OF_RUN, number // OBJECTS_OF_RUN - 1
    with closing(psycopg2.connect(stack.db_uri.replace("+psycopg2", ""))) as link, link, link.cursor() as cursor:
        cursor.execute(ADD_RUNS, {"first": first, "last": last})
        cursor.execute("SELECT md5(n::text) FROM generate_series(%s, %s) n", (first, last))
        runs = [row[0] for row in cursor.fetchall()]
    client, bucket = open_s3_client(stack.s3), stack.s3

    def put(run: str) -> None:
        for number in range(OBJECTS_OF_RUN):
            key = f"{bucket.prefix}/0/{run}/artifacts/f{number}.json"
            client.put_object(Bucket=bucket.name, Key=key, Body=b'{"a": 1}')

    with ThreadPoolExecutor(WRITERS) as pool:
        deque(pool.map(put, runs), maxlen=0)


def measure_peak(stack: Stack, folder: Path) -> tuple[int, float]:
    """(exit code, most memory in MB) of `make verify-data`."""
    assert stack.s3 and stack.s3.endpoint and stack.s3.access_key and stack.s3.secret_key
    argv = [sys.executable, "-m", "fixtures.tools.verify_data", "--stack", "external", f"--report-dir={folder}"]
    argv += ["--mlflow-uri", stack.mlflow_uri, "--s3-endpoint", stack.s3.endpoint, "--s3-bucket", stack.s3.name]
    secret = {
        "READINESS_DB_URI": stack.db_uri or "",
        "AWS_ACCESS_KEY_ID": stack.s3.access_key,
        "AWS_SECRET_ACCESS_KEY": stack.s3.secret_key,
    }
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "output").open("wb") as output:
        child = subprocess.Popen(
            argv, cwd=ROOT, env=clean_environment() | secret, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, used.ru_maxrss / 1024


def measure_rates(stack: Stack, folder: Path, rounds: int = 3) -> tuple[float, float]:
    """(objects a second of a bare listing, of a whole comparison): the best of some rounds, one after the other."""
    assert stack.s3
    client, bucket = open_s3_client(stack.s3), stack.s3
    bare, whole, number = [], [], 0
    for _ in range(rounds):
        start = time.monotonic()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name, Prefix=f"{bucket.prefix}/")
        number = sum(len(page.get("Contents", ())) for page in pages)
        bare.append(time.monotonic() - start)
        with closing(SqlDoor(stack.db_uri or "")) as rows:
            start = time.monotonic()
            found = open_comparison(stack, client, rows, folder, (50, 0), "")
            found.run()
            whole.append(time.monotonic() - start)
        assert (found.tally.objects, found.tally.faults, found.tally.strays.total) == (number, {}, 0)
    return number / min(bare), number / min(whole)
