"""A baseline of a healthy stack: the same stack keeps it, and what was changed in the database breaks it."""

import json
import re

import pytest

from tests.sabotage.harness import Sabotage, attack, raid, told, trigger
from tests.sabotage.lies import api, lie
from tests.sabotage.rules import delay

pytestmark = pytest.mark.timeout(300)
VALUE = "benchmark/test_logging.py::test_a_logged_value_is_stored_while_it_is_timed"
GROWN = "benchmark/test_growth.py::test_an_operation_answers_right_as_the_server_fills"
FEW = "-k 'log_param or 1000-history'"
EXACT = ("statements", "nested", "commits")
ONCE_MORE = trigger(
    "params", "PERFORM count(*) FROM tags WHERE run_uuid = NEW.run_uuid; RETURN NEW;", when="NEW.key LIKE 'p0%'"
)
INDEXES = """
DO $$ DECLARE one record; BEGIN
  FOR one IN SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'metrics' AND indexname LIKE 'index_%' LOOP
    INSERT INTO sabotage_kept VALUES (one.indexdef);
    EXECUTE 'DROP INDEX ' || quote_ident(one.indexname);
  END LOOP;
  INSERT INTO sabotage_kept SELECT 'ALTER TABLE metrics ADD CONSTRAINT metric_pk ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE conrelid = 'metrics'::regclass AND contype = 'p';
  ALTER TABLE metrics DROP CONSTRAINT metric_pk;
END $$
"""
MEND = """
DO $$ DECLARE one record; BEGIN
  FOR one IN SELECT def FROM sabotage_kept LOOP EXECUTE one.def; END LOOP;
END $$
"""


def run(target, folder, name, *sabotages, options=""):
    """The outcome of the few benchmarks on the stack as one of ours."""
    (folder / name).mkdir()
    few = raid(name, *sabotages, beside=f"{VALUE} {GROWN}", options=f"{FEW} {options}", ours=True)
    return attack(target, few, folder / name)


@pytest.fixture(scope="module")
def healthy(own_stack, tmp_path_factory):
    """(target, file): a baseline that was saved twice, each time from a run of its own."""
    from tests.sabotage.harness import Target

    target, folder = Target(*own_stack), tmp_path_factory.mktemp("baseline")
    file = folder / "baseline.json"
    seen = []
    for name in ("first", "second"):
        done = run(target, folder, name, options=f"--baseline-save {file}")
        assert done.code == 0, done.output[-3000:]
        seen.append(json.loads(file.read_text())["benchmarks"])
    return target, file, seen


@pytest.mark.slow
def test_two_runs_count_the_same(healthy):
    """Statements, those within triggers and keys, and commits are equal; the times of both runs are kept."""
    _, _, (first, second) = healthy
    assert set(first) == set(second) and len(first) == 2
    for name in first:
        pair = [{key: found[name]["counters"][key] for key in EXACT} for found in (first, second)]
        assert pair[0] == pair[1] and pair[0]["statements"] > 0, name
        assert len(second[name]["runs"]) == 2


def test_the_same_stack_keeps_its_baseline(healthy, tmp_path):
    """READY, and the interval of times is inconclusive: two runs do not tell their spread."""
    target, file, _ = healthy
    done = run(target, tmp_path, "same", options=f"--baseline {file}")
    assert done.code == 0, done.output[-3000:]
    assert "inconclusive" in done.output


def test_a_slow_server_is_no_finding_of_two_runs(healthy, tmp_path):
    """A time is never red while the baseline does not know how far restarts differ."""
    target, file, _ = healthy
    slow = Sabotage("slow", {}, lie("slow", api("runs/log-parameter"), delay(0.05)))
    done = run(target, tmp_path, "slow", slow, options=f"--baseline {file}")
    assert done.code == 0, done.output[-3000:]


def test_a_trigger_and_a_lost_index_break_it(healthy, tmp_path):
    """The findings name benchmark, counter, expected and seen value, and what to do."""
    target, file, _ = healthy
    asks = Sabotage("a trigger asks once more", {}, **ONCE_MORE)
    lost = Sabotage(
        "indexes of metrics are gone",
        {},
        sql=("CREATE TABLE sabotage_kept (def text)", INDEXES),
        mend=(MEND, "DROP TABLE sabotage_kept"),
    )
    done = run(target, tmp_path, "broken", asks, lost, options=f"--baseline {file}")
    assert done.code == 1, done.output[-3000:]
    value, grown = (told(done.checks[f"suites/{check}"]) for check in (VALUE, GROWN))
    # what the trigger asks may read many pages, too
    wanted = r"log_param.*: nested\b.*expected nested 1\b.*seen nested 2 .*SELECT count.*trigger"
    assert re.search(wanted, value), value
    assert "1000-history" in grown and "pages" in grown and "index" in grown, grown


def test_a_baseline_of_another_schema_judges_nothing(healthy, tmp_path):
    """One line, exit code 4."""
    target, file, _ = healthy
    data = json.loads(file.read_text())
    data["stack"]["schema"] = "0123456789ab"
    other = tmp_path / "other.json"
    other.write_text(json.dumps(data))
    done = run(target, tmp_path, "schema", options=f"--baseline {other}")
    assert done.code == 4
    lines = [line for line in done.output.splitlines() if "0123456789ab" in line]
    assert len(lines) == 1 and "--baseline" in lines[0] and "schema" in lines[0] and "save one" in lines[0], lines
    assert "Traceback" not in done.output
