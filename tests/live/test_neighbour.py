"""Whatever a run does on a server that people use, what is theirs stays as it was, to the byte."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fixtures.backends import services
from fixtures.checks.budget import needed_budget
from fixtures.checks.catalog import list_checks
from fixtures.checks.selection import Permission, choose_checks_by_name
from fixtures.config.settings import MAX_BYTES
from fixtures.core.files import ROOT
from tests.live.neighbour import Stored, bucket, database, settle
from tests.live.operators import Operator, counted

pytestmark = pytest.mark.timeout(900)
DEFAULT, READING, LOAD = "rdy-kin-1-", "rdy-kin-2-", "rdy-kin-3-"
FLUSHED = 11  # seconds after which an idle session of Postgres has told its statistics
BUCKET = services.ARTIFACT_BUCKET
FORGOTTEN = {"inputs", "input_tags"}  # no reference leads from them to runs, and `mlflow gc` leaves them (3.17)
COUNTERS = "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables ORDER BY 1"


@pytest.fixture(scope="module")
def neighbour(real_stack, tmp_path_factory):
    """What somebody else has on the stack."""
    settle(real_stack, [DEFAULT, READING, LOAD], tmp_path_factory.mktemp("neighbour"))
    return Stored.of(real_stack)


def journalled(operator_folder: Path, folder_of_ours: str, missing: list[str], seen: list[str]):
    """Note what a run asks for before it stands in its journal, and all that it asks for.

    Args:
        folder_of_ours: how the paths of its own objects begin, in requests to the bucket.
    """

    def look(request):
        if request.method == "POST" and request.path.endswith(("/experiments/create", "/registered-models/create")):
            name = json.loads(request.body).get("name")
        else:
            name = request.path if request.method == "PUT" and request.path.startswith(folder_of_ours) else None
        if not isinstance(name, str) or not name.strip():
            return
        (journal,) = (operator_folder / "reports" / "journals").glob("*.jsonl")
        noted = {json.loads(line)["name"] for line in journal.read_text().splitlines()[1:]}
        seen.append(name)
        if name not in noted and not any(f"{name}/".startswith(f"/{BUCKET}/{key}/") for key in noted):
            missing.append(name)

    return look


@pytest.mark.slow
def test_a_default_run_harms_nobody_keeps_its_budget_and_leaves_what_gc_takes(real_stack, neighbour, tmp_path):
    missing, seen, where = [], [], bucket(real_stack)
    look = journalled(tmp_path, f"/{where.name}/{where.prefix}/{DEFAULT}", missing, seen)
    with counted(real_stack, tmp_path, at_arrival=look) as (operator, server, store):
        before = Stored.of(real_stack)
        code = operator.run("-n", "2", "--prefix", DEFAULT)
        report, after = operator.report(), Stored.of(real_stack)
    assert code == 0, operator.said[-3000:]
    assert "load left out, it needs --allow-load" in operator.said.rpartition("READY")[2]
    assert before.harm(after) == []
    assert after.active(DEFAULT) == []
    assert missing == []
    assert [name for name in seen if name.startswith("/")]
    assert len(seen) > 50
    assert operator.journals == []
    operator.leaves_nothing_here()
    spent, (runs, size) = (
        report["spent"],
        needed_budget(choose_checks_by_name(list_checks(ROOT), Permission(external=True), ["suites"], "")),
    )
    assert server.runs == spent["runs"] <= runs
    assert server.size + store.size <= spent["bytes"] * 1.01
    assert spent["bytes"] <= size <= MAX_BYTES
    assert 1 < server.most <= 4
    collect_garbage(real_stack, operator.reports / report["residue"]["script"])
    cleaned = Stored.of(real_stack)
    assert before.harm(cleaned) == []
    more = {table: len(rows) - len(before.rows[table]) for table, rows in cleaned.rows.items()}
    assert {table for table, number in more.items() if number} <= FORGOTTEN
    assert cleaned.objects == before.objects


def collect_garbage(stack, script):
    """Run the script beside the report with this environment's `mlflow gc`."""
    where = bucket(stack)
    given = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MLFLOW_BACKEND_STORE_URI": stack.db_uri,
        "MLFLOW_S3_ENDPOINT_URL": where.endpoint,
        "AWS_ACCESS_KEY_ID": where.access_key,
        "AWS_SECRET_ACCESS_KEY": where.secret_key,
    }
    text = re.sub(r"--tracking-uri \S+", f"--tracking-uri {stack.mlflow_uri}", script.read_text())
    script.write_text(text)  # the proxy that the run went through is gone
    done = subprocess.run(["sh", script], env=given, cwd=script.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]


def test_a_read_only_run_changes_nothing_at_all(real_stack, neighbour, tmp_path):
    operator = Operator(real_stack, tmp_path)
    before, counters = Stored.of(real_stack), counted_rows(real_stack)
    code = operator.run("-n", "2", "--profile", "read-only", "--prefix", READING)
    assert code == 0, operator.said[-3000:]
    assert Stored.of(real_stack) == before
    assert counted_rows(real_stack) == counters
    assert operator.journals == []
    assert operator.report()["residue"] is None


def counted_rows(stack):
    """How many rows were ever inserted, updated and deleted in each table, once idle sessions have told."""
    threading.Event().wait(FLUSHED)
    with database(stack) as cursor:
        cursor.execute(COUNTERS)
        return cursor.fetchall()


@pytest.mark.slow
def test_a_run_with_load_harms_nobody(real_stack, neighbour, tmp_path):
    operator = Operator(real_stack, tmp_path)
    before = Stored.of(real_stack)
    code = operator.run("suites/load/test_create.py", "--allow-load", "-n", "2", "--prefix", LOAD)
    after = Stored.of(real_stack)
    assert code == 0, operator.said[-3000:]
    assert before.harm(after) == []
    assert after.active(LOAD) == []
    strays = [json.loads(row) for row in set(after.rows["runs"]) - set(before.rows["runs"])]
    assert [run["name"] for run in strays if run["lifecycle_stage"] == "active" and run["experiment_id"] == 0] == []
    operator.leaves_nothing_here()
